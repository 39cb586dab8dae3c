"""The parts of a version of an incremental import: those of its base, and what was read on top of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from importer.errors import ImporterError
from importer.job.incremental.plan import Plan
from importer.job.incremental.watermark import Seen, see_watermark
from importer.lake.blob import AssetBlobs
from importer.lake.incremental_step import Step
from importer.lake.manifest import UP, Manifest, Part, Written, part_path, schema_hash
from importer.lake.parquet import write_parts
from importer.lake.version_parts import BlobFile
from importer.progress import Progress

if TYPE_CHECKING:
    from importer.job.incremental.merge import Merge

#: What a whole number is stored as where one of its column takes more than 64 bits: those of a step may not.
_WIDER = {"int64": "decimal128(38, 0)"}

#: As many rows of a part are decoded at once while it is written anew.
_BATCH_ROWS = 16_384


class Result(NamedTuple):
    """The parts of the whole version, and how it came to them."""

    parts: list[Part]
    step: Step


def read_step(
    plan: Plan,
    query: str,
    read: Callable[[str], Written],
    discard: Callable[[Part], None],
    progress: Progress,
) -> tuple[Plan, Written]:
    """Return what was read, and the plan by which.

    Where new rows are of other types than the base's, all rows are read.
    `read` writes the rows of a query, `discard` deletes a part that it wrote.
    """
    _say(plan, progress)
    written = read(plan.query(query))
    before = plan.base.manifest if plan.base else None
    # rows that are none have no types, and what is narrower is widened
    if before is not None and (written.rows == 0 or _is_narrower(written, before)):
        written = written._replace(columns=before.columns, casts=before.casts)
    if plan.base is not None and schema_hash(written.columns) != plan.base.manifest.schema_hash:
        for part in written.parts:
            discard(part)
        plan = plan.in_full("the types of the query's columns changed")
        _say(plan, progress)
        written = read(plan.query(query))
    return plan, written


def _is_narrower(written: Written, before: Manifest) -> bool:
    return all(
        old.type in (new.type, _WIDER.get(new.type))
        for new, old in zip(written.columns, before.columns, strict=True)
    )


def _say(plan: Plan, progress: Progress) -> None:
    if plan.base is None:
        progress.say("reads all rows", reason=plan.reason)
    else:
        progress.say("reads new rows", after=plan.base.manifest.version, watermark=str(plan.base.since))


def write_step(plan: Plan, read: list[Part], blobs: AssetBlobs, folder: str, progress: Progress) -> Result:
    """Put what was `read` into the attempt's `folder` on top of the base's parts, one row for each key.

    A part of which only some rows stay is written anew: earlier versions keep theirs.
    """
    attempt = _Attempt(blobs, folder)
    base = plan.base
    earlier = _as_earlier(base.manifest) if base else []
    if base and any(part.rows for part in read):
        read = _in_types_of(earlier[0], read, attempt)
    seen = Seen()
    for part in read:
        with attempt.open(part) as file:
            seen = seen.and_of(see_watermark(file, plan.column.name))
    kept, new = earlier, read
    if plan.rules.key and any(part.rows for part in read):
        kept, new = _one_row_a_key(plan, earlier, read, attempt)
    filled = [part for part in (*kept, *new) if part.rows]
    parts = filled or read[:1]
    for part in read:
        if part in new and part not in parts:  # it is empty
            attempt.delete(part)
    step = _step(
        plan, seen, added=[p for p in new if p.rows], own=[p for p in parts if not p.name.startswith(UP)]
    )
    if seen.nulls:
        progress.say("rows without a watermark", column=plan.column.name, rows=seen.nulls)
    return Result(parts, step)


def _step(plan: Plan, seen: Seen, added: list[Part], own: list[Part]) -> Step:
    before = plan.base.manifest.step if plan.base else None
    marks = [mark for mark in (seen.mark, plan.base.since if plan.base else None) if mark is not None]
    return Step(
        column=plan.rules.column,
        key=plan.rules.key,
        full=plan.base is None,
        base=plan.base.manifest.version if plan.base else None,
        steps=before.steps + 1 if before else 0,
        watermark=str(max(marks)) if marks else None,
        null_watermarks=before.null_watermarks if before else seen.nulls,
        added_rows=sum(part.rows for part in added),
        added_bytes=sum(part.bytes for part in own),
    )


def _as_earlier(base: Manifest) -> list[Part]:
    """Return the parts of a version as a later one names them."""
    way = f"{UP}version={base.version}/attempt={base.attempt}/"
    return [p if p.name.startswith(UP) else p._replace(name=way + p.name) for p in base.files]


@dataclass(frozen=True)
class _Attempt:
    """The folder that is written, from which all parts are named."""

    blobs: AssetBlobs
    folder: str

    @contextmanager
    def open(self, part: Part) -> Iterator[pq.ParquetFile]:
        """Open a part where it lies: only what is asked for is fetched."""
        path = part_path(self.folder, part)
        try:
            with (
                pa.PythonFile(BlobFile(self.blobs, path, part.bytes), mode="r") as source,
                pq.ParquetFile(source, pre_buffer=True) as file,
            ):
                yield file
        except (pa.ArrowException, OSError) as error:
            raise ImporterError(f"{path} cannot be read: {error}") from None

    def delete(self, part: Part) -> None:
        """Delete a part of the attempt's own."""
        self.blobs.delete(self.folder + part.name)

    def schema(self, part: Part) -> pa.Schema:
        """Return the columns of a part."""
        with self.open(part) as file:
            return file.schema_arrow.remove_metadata()

    def rewrite(
        self, part: Part, prefix: str, schema: pa.Schema, superseded: Callable[[int, int], list[int]]
    ) -> list[Part]:
        """Write a part anew in a schema, without the rows that go; the parts are named with `prefix`."""
        with self.open(part) as file:
            parts, _ = write_parts(
                lambda: _without(file, superseded),
                schema,
                lambda name, blocks: self.blobs.write(self.folder + prefix + name, blocks),
                lambda: lambda _: None,
            )
        return [written._replace(name=prefix + written.name) for written in parts]


def _without(file: pq.ParquetFile, superseded: Callable[[int, int], list[int]]) -> Iterator[pa.Table]:
    start = 0
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group]):
            stays = [True] * batch.num_rows
            for row in superseded(start, start + batch.num_rows):
                stays[row - start] = False
            start += batch.num_rows
            yield pa.Table.from_batches([batch]).filter(pa.array(stays, pa.bool_()))


def _in_types_of(earlier: Part, read: list[Part], attempt: _Attempt) -> list[Part]:
    """Return what was read, in the types of an earlier part."""
    schema = attempt.schema(earlier)
    found: list[Part] = []
    for number, part in enumerate(read):
        if part.rows and attempt.schema(part).types != schema.types:
            found += attempt.rewrite(part, f"widened-{number:05d}-", schema, lambda *_: [])
            attempt.delete(part)
        else:
            found.append(part)
    return found


def _one_row_a_key(
    plan: Plan, earlier: list[Part], read: list[Part], attempt: _Attempt
) -> tuple[list[Part], list[Part]]:
    """Return what stays of the earlier parts and of those that were read."""
    from importer.job.incremental.merge import merging  # takes DuckDB, which no other import does

    with merging(plan.rules.key, plan.rules.column, plan.memory_mb) as merge:
        for number, part in enumerate(read):
            with attempt.open(part) as file:
                merge.add(number, file, plan.base.since if plan.base else None)
        merge.settle()
        for number, part in enumerate(earlier, start=len(read)):
            with attempt.open(part) as file:
                merge.meet(number, file)
        new = [p for n, part in enumerate(read) for p in _what_stays(merge, n, part, attempt)]
        kept = [p for n, part in enumerate(earlier, len(read)) for p in _what_stays(merge, n, part, attempt)]
    return kept, new


def _what_stays(merge: "Merge", number: int, part: Part, attempt: _Attempt) -> list[Part]:
    gone = merge.superseded(number)
    if not gone:
        return [part]
    stays: list[Part] = []
    if gone < part.rows:
        stays = attempt.rewrite(
            part,
            f"merged-{number:05d}-",
            attempt.schema(part),
            lambda start, end: merge.superseded_rows(number, start, end),
        )
    if not part.name.startswith(UP):
        attempt.delete(part)
    return stays
