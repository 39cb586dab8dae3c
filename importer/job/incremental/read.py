"""Reads the rows of a step, or all rows if the types of the new ones do not fit those of the base."""

from typing import Protocol, assert_never

from importer.job.incremental.plan import FullRead, NewRows, Plan
from importer.lake.manifest import Manifest, Written, schema_hash
from importer.progress import Progress

#: The wider type of a type, in which a full read stores a column that needs it.
_WIDER = {"int64": "decimal128(38, 0)"}


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
    # an empty result has no types of its own, and narrower types are widened
    if written.rows == 0 or _is_narrower(written, plan.base):
        written = written._replace(columns=plan.base.columns, casts=plan.base.casts)
    if schema_hash(written.columns) == plan.base.schema_hash:
        return plan, written
    reader.discard(written)
    full = plan.in_full("the types of the query's columns changed")
    _report(full, progress)
    return full, reader.read(full.query(query))


def _is_narrower(written: Written, base: Manifest) -> bool:
    """Return whether every column has the type of the base, or one that can be widened to it."""
    return all(
        old.type in (new.type, _WIDER.get(new.type))
        for new, old in zip(written.columns, base.columns, strict=True)
    )


def _report(plan: Plan, progress: Progress) -> None:
    match plan.reads:
        case FullRead(reason):
            progress.say("reads all rows", reason=reason)
        case NewRows(base, since):
            progress.say("reads new rows", after=base.version, watermark=str(since))
        case _:
            assert_never(plan.reads)
