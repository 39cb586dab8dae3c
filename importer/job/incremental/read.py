"""Reads the rows of a step, or all rows if the types of the new ones do not fit those of the base."""

from typing import Protocol, assert_never

from importer.job.incremental.plan import FullRead, NewRows, Plan
from importer.lake.manifest import Written, schema_hash
from importer.progress import Progress


class Reader(Protocol):
    """Writes rows into an attempt."""

    def read(self, query: str) -> Written:
        """Write the rows of a query."""

    def discard(self, written: Written) -> None:
        """Delete the parts of what was written."""


def read_step(plan: Plan, query: str, reader: Reader, progress: Progress) -> tuple[Plan, Written]:
    """Return what was read, and the plan by which: if the columns' types changed, all rows are read."""
    _report(plan, progress)
    written = reader.read(plan.query(query))
    if plan.base is None:
        return plan, written
    if written.rows == 0:  # without rows, the version has those of the base alone
        written = written._replace(columns=plan.base.columns, casts=plan.base.casts)
    if schema_hash(written.columns) == plan.base.schema_hash:
        return plan, written
    reader.discard(written)
    full = plan.in_full("the types of the query's columns changed")
    _report(full, progress)
    return full, reader.read(full.query(query))


def _report(plan: Plan, progress: Progress) -> None:
    match plan.reads:
        case FullRead(reason):
            progress.say("reads all rows", reason=reason)
        case NewRows(base, since):
            progress.say("reads new rows", after=base.version, watermark=str(since))
        case _:
            assert_never(plan.reads)
