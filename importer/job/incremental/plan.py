"""What a run of an incremental import reads: what is new since an earlier version, or all rows."""

from dataclasses import dataclass, replace
from typing import Self

from snowflake.connector.cursor import ResultMetadata

from importer.errors import ImporterError
from importer.job.incremental.watermark import Mark, WatermarkColumn
from importer.lake.blob import AssetBlobs
from importer.lake.manifest import Manifest
from importer.spec.import_spec import ImportSpec
from importer.spec.incremental import Incremental
from importer.spec.query import query_hash


@dataclass(frozen=True)
class Base:
    """The version whose rows are in the next one too, and the one before which nothing is read."""

    manifest: Manifest
    since: Mark


@dataclass(frozen=True)
class Plan:
    """What is read: past the base's watermark, or, where there is no base, everything, for a reason."""

    rules: Incremental
    column: WatermarkColumn
    memory_mb: int
    base: Base | None = None
    reason: str = ""

    def in_full(self, reason: str) -> Self:
        """Return the plan that reads everything instead."""
        return replace(self, base=None, reason=reason)

    def query(self, query: str) -> str:
        """Return the query of what is read."""
        if self.base is None:
            return query
        rows = self.column.rows_past(self.base.since, ties=bool(self.rules.key), overlap=self.rules.overlap)
        # a query may end in a comment, so the parenthesis is on a line of its own
        return f"SELECT * FROM (\n{query}\n) WHERE {rows}"  # noqa: S608 - the name is quoted, the value ours


def make_plan(
    spec: ImportSpec,
    rules: Incremental,
    newest: Manifest | str,
    columns: list[ResultMetadata],
    blobs: AssetBlobs,
) -> Plan:
    """Return what is read of a query with such `columns`, after `newest`, a version or why there is none."""
    column = WatermarkColumn.of(rules.column, rules.key, columns)
    plan = Plan(rules, column, spec.memory_mb)
    if isinstance(newest, str):
        return plan.in_full(newest)
    step = newest.step
    if step is None or (step.column, step.key) != (rules.column, rules.key):
        return plan.in_full("incremental.column or incremental.key changed")
    if newest.query_hash != query_hash(spec.query):
        return plan.in_full("the query changed")
    if [c.name for c in newest.columns] != [c.name for c in columns]:
        return plan.in_full("the query's columns changed")
    if rules.full_every is not None and step.steps + 1 >= rules.full_every:
        return plan.in_full("incremental.fullEvery")
    if step.watermark is None:
        return plan.in_full(f"version {newest.version} has no watermark")
    if blobs.lost_parts(newest):
        return plan.in_full(f"parts of version {newest.version} are gone")
    try:
        since = Mark.parse(step.watermark, column.kind)
    except ValueError:
        return plan.in_full("the type of incremental.column changed")
    return replace(plan, base=Base(newest, since))


def newest_before(version: str, registered: list[str], blobs: AssetBlobs) -> Manifest | str:
    """Return the manifest of the importer's newest version before this one, of those `registered`.

    A text says why there is none.
    """
    found = blobs.versions()
    older = [v for v in registered if v < version and v in found and found[v].is_committed]
    if not older:
        return "it is the first"
    newest = max(older)
    try:
        return blobs.committed_manifest(newest)
    except (ImporterError, ValueError, KeyError):
        return f"the manifest of version {newest} cannot be read"
