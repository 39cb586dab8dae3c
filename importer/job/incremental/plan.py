"""What a run of an incremental import reads: the rows that are new since an earlier version, or all rows."""

from dataclasses import dataclass, replace
from typing import Self, assert_never

from importer.errors import ImporterError
from importer.job.incremental.watermark import Mark, WatermarkColumn
from importer.lake.manifest import Manifest
from importer.lake.run_notes import RunNotes
from importer.lake.stored_versions import StoredVersions
from importer.snowflake.columns import DescribedColumn
from importer.spec.import_spec import ImportSpec
from importer.spec.incremental import Incremental
from importer.spec.query import query_hash
from importer.spec.schedule import is_older, version_order


@dataclass(frozen=True)
class Previous:
    """The version before this one: a contract compares with it, an incremental import adds to it."""

    manifest: Manifest
    before: str
    """The version that is to be made."""


@dataclass(frozen=True)
class FullRead:
    """All rows are read, for this reason."""

    reason: str


@dataclass(frozen=True)
class NewRows:
    """Only the rows past the watermark of an earlier version are read; the new version includes its rows.

    `steps` is the number of imports since the last full read, with this one.
    """

    base: Manifest
    since: Mark
    steps: int = 1


@dataclass(frozen=True)
class Plan:
    """What an incremental import reads, and how it finds new rows."""

    rules: Incremental
    column: WatermarkColumn
    memory_mb: int
    reads: NewRows | FullRead

    @property
    def new_rows(self) -> NewRows | None:
        """The new rows that are read; None if all rows are read."""
        match self.reads:
            case NewRows():
                return self.reads
            case FullRead():
                return None
            case _:
                assert_never(self.reads)

    @property
    def base(self) -> Manifest | None:
        """The version whose rows the new version includes; None if all rows are read."""
        return self.new_rows.base if self.new_rows else None

    @property
    def since(self) -> Mark | None:
        """The watermark past which rows are read; None if all rows are read."""
        return self.new_rows.since if self.new_rows else None

    def in_full(self, reason: str) -> Self:
        """Return the plan that reads all rows instead."""
        return replace(self, reads=FullRead(reason))

    def query(self, query: str) -> str:
        """Return the query of the rows to read."""
        match self.reads:
            case FullRead():
                return query
            case NewRows(since=since):
                rows = self.column.rows_past(since, ties=bool(self.rules.key), overlap=self.rules.overlap)
                # a query may end in a comment, so the parenthesis is on a line of its own
                return f"SELECT * FROM (\n{query}\n) WHERE {rows}"  # noqa: S608 - the name is quoted, the value ours
            case _:
                assert_never(self.reads)


def make_plan(
    spec: ImportSpec,
    rules: Incremental,
    previous: Previous | FullRead,
    columns: list[DescribedColumn],
    stored: StoredVersions,
) -> Plan:
    """Return what an import reads, whose query returns `columns`."""
    column = WatermarkColumn.of(rules.column, rules.key, columns)
    column.check_overlap(rules.overlap)
    match previous:
        case FullRead():
            reads: NewRows | FullRead = previous
        case Previous():
            reads = _reads_after(previous, spec, rules, column, [c.name for c in columns], stored)
        case _:
            assert_never(previous)
    return Plan(rules, column, spec.memory_mb, reads)


def _reads_after(
    previous: Previous,
    spec: ImportSpec,
    rules: Incremental,
    column: WatermarkColumn,
    names: list[str],
    stored: StoredVersions,
) -> NewRows | FullRead:
    """Return the rows that are new since the previous version, or why all rows must be read."""
    base = previous.manifest
    step = base.step
    if step is None or (step.column, step.key) != (rules.column, rules.key):
        return FullRead("incremental.column or incremental.key changed")
    if base.query_hash != query_hash(spec.query):
        return FullRead("the query changed")
    if [found.name for found in base.columns] != names:
        return FullRead("the query's columns changed")
    steps = step.steps + 1
    if rules.full_every is not None:
        # imports that found nothing new count too: rows may have been deleted
        steps += RunNotes(stored.blobs).unchanged_between(base.version, previous.before)
        if steps >= rules.full_every:
            return FullRead("incremental.fullEvery")
    if step.watermark is None:
        return FullRead(f"version {base.version} has no watermark")
    if stored.lost_parts(base):
        return FullRead(f"parts of version {base.version} are gone")
    try:
        return NewRows(base, Mark.parse(step.watermark, column.kind), steps)
    except ValueError:
        return FullRead("the type of incremental.column changed")


def find_previous(version: str, registered: list[str], stored: StoredVersions) -> Previous | FullRead:
    """Return the newest version before this one, of those that are `registered` and made by the importer."""
    found = stored.all()
    older = [v for v in registered if is_older(v, version) and v in found and found[v].is_committed]
    if not older:
        return FullRead("it is the first")
    newest = max(older, key=version_order)
    try:
        return Previous(stored.committed_manifest(newest), version)
    except (ImporterError, ValueError, KeyError):
        return FullRead(f"the manifest of version {newest} cannot be read")
