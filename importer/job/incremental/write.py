"""The parts of an incremental version: those of its base and the new ones, with one row for each key."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from importer.job.incremental.plan import Plan
from importer.job.incremental.watermark import Seen, see_watermark
from importer.lake.attempt import Attempt
from importer.lake.incremental_step import Step
from importer.lake.manifest import DATA, UP, Manifest, Part
from importer.lake.parquet import row_groups, write_parts
from importer.progress import Progress

if TYPE_CHECKING:
    from importer.job.incremental.merge import Merge

#: How many rows of a part are decoded at once when it is rewritten.
_BATCH_ROWS = 16_384


class StepParts(NamedTuple):
    """The parts of the whole version, and the step that made it."""

    parts: list[Part]
    step: Step


def write_step(plan: Plan, read: list[Part], attempt: Attempt, progress: Progress) -> StepParts:
    """Add the parts that were read into the attempt to those of the base, and keep one row for each key.

    A part that loses some of its rows is rewritten into the attempt: earlier versions keep theirs.
    """
    earlier = _as_earlier(plan.base) if plan.base else []
    seen = Seen()
    for part in read:
        with attempt.open_part(part) as file:
            seen = seen.and_of(see_watermark(file, plan.column.name))
    kept, new = earlier, read
    if plan.rules.key and any(part.rows for part in read):
        kept, new = _one_row_a_key(plan, earlier, read, attempt)
    parts = [part for part in (*kept, *new) if part.rows] or read[:1]
    for part in read:
        if part in new and part not in parts:  # it has no rows
            attempt.delete(part.name)
    rows = _Rows(read=_count(read), added=_count(new), replaced=_count(earlier) - _count(kept))
    step = _step(plan, seen, rows, own=[p for p in parts if not p.name.startswith(UP)])
    if not step.full:
        progress.say("compared", **step.counts())
    if seen.nulls:
        progress.say("rows without a watermark", column=plan.column.name, rows=seen.nulls)
    return StepParts(parts, step)


class _Rows(NamedTuple):
    """How many rows were read, how many of them the version has, and how many of the base they replace."""

    read: int
    added: int
    replaced: int


def _count(parts: list[Part]) -> int:
    return sum(part.rows for part in parts)


def _step(plan: Plan, seen: Seen, rows: _Rows, own: list[Part]) -> Step:
    before = plan.base.step if plan.base else None
    marks = [mark for mark in (seen.mark, plan.since) if mark is not None]
    return Step(
        column=plan.rules.column,
        key=plan.rules.key,
        full=plan.base is None,
        base=plan.base.version if plan.base else None,
        steps=plan.new_rows.steps if plan.new_rows else 0,
        watermark=str(max(marks)) if marks else None,
        null_watermarks=before.null_watermarks if before else seen.nulls,
        read_rows=rows.read,
        added_rows=rows.added,
        replaced_rows=rows.replaced,
        added_bytes=sum(part.bytes for part in own),
    )


def _as_earlier(base: Manifest) -> list[Part]:
    """Return the parts of a version under the names that a later version gives them."""
    way = f"{UP}{base.version}/{base.attempt}/"
    return [p if p.name.startswith(UP) else p._replace(name=way + p.name) for p in base.files]


def _one_row_a_key(
    plan: Plan, earlier: list[Part], read: list[Part], attempt: Attempt
) -> tuple[list[Part], list[Part]]:
    """Return the parts of the earlier rows, and of those that were read, without superseded rows."""
    from importer.job.incremental.merge import merging  # imports DuckDB, which takes memory

    with merging(plan.rules.key, plan.rules.column, plan.memory_mb) as merge:
        for number, part in enumerate(read):
            with attempt.open_part(part) as file:
                merge.add(number, file, plan.since)
        merge.settle()
        for number, part in enumerate(earlier, start=len(read)):
            with attempt.open_part(part) as file:
                merge.meet(number, file)
        new = [p for n, part in enumerate(read) for p in _without_superseded(merge, n, part, attempt)]
        kept = [
            p
            for n, part in enumerate(earlier, start=len(read))
            for p in _without_superseded(merge, n, part, attempt)
        ]
    return kept, new


def _without_superseded(merge: "Merge", number: int, part: Part, attempt: Attempt) -> list[Part]:
    """Return a part, rewritten without its superseded rows; nothing if it has no other rows."""
    superseded = merge.superseded(number)
    if not superseded:
        return [part]
    rewritten: list[Part] = []
    if superseded < part.rows:
        with attempt.open_part(part) as file:
            schema = file.schema_arrow.remove_metadata()
            groups = row_groups(_remaining_rows(file, merge, number), schema)
            rewritten = write_parts(groups, schema, attempt, prefix=f"{DATA}merged-{number:05d}-")
    if not part.name.startswith(UP):
        attempt.delete(part.name)
    return rewritten


def _remaining_rows(file: pq.ParquetFile, merge: "Merge", number: int) -> Iterator[pa.Table]:
    start = 0
    for batch in _batches(file):
        remains = [True] * batch.num_rows
        for row in merge.superseded_rows(number, start, start + batch.num_rows):
            remains[row - start] = False
        start += batch.num_rows
        yield batch.filter(pa.array(remains, pa.bool_()))


def _batches(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """Yield the rows of a file in small tables, one row group in memory at a time."""
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group]):
            yield pa.Table.from_batches([batch])
