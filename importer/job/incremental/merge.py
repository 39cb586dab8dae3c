"""One row for each key: finds the rows that newer rows supersede, in bounded memory."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_never

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from importer.errors import ImporterError
from importer.job.incremental.watermark import Kind, Mark, value_bounds
from importer.spec.memory import MERGE_FIXED_MB


class Merge:
    """Finds the superseded rows among those that were read and those of earlier versions.

    Of the rows with the same key, the one with the greatest watermark is kept; NULL is the least. A row that
    was read and has the watermark of an earlier one is kept if any other value differs: it was updated within
    the watermark's unit. Of several such rows that were read, the first is kept. A row with a NULL in its key
    equals no other row.
    """

    def __init__(self, key: Sequence[str], column: str, memory_mb: int, folder: Path) -> None:
        self._columns = [*key, column]
        self._keys = [f"k{n}" for n in range(len(key))]
        # beyond its limit DuckDB spills to disk, "Larger-than-Memory Workloads" in
        # https://duckdb.org/docs/stable/guides/performance/how_to_tune_workloads
        limit = f"{memory_mb - MERGE_FIXED_MB}MB"
        options = {"memory_limit": limit, "threads": "2", "preserve_insertion_order": "false"}
        self._database = duckdb.connect(
            str(folder / "keys.duckdb"), config={**options, "temp_directory": str(folder)}
        )
        self._database.execute("CREATE TABLE superseded (part INTEGER, row BIGINT)")
        self._has_rows = False

    def add(self, part: int, file: pq.ParquetFile, since: Mark | None) -> None:
        """Add the rows of a file that was read.

        A row with a NULL in its key counts as new only past the watermark `since`, if there is one: it has
        no key by which it could be found in an earlier version.
        """
        for group in range(file.num_row_groups):
            values, first = file.read_row_group(group), _first_row(file, group)
            self._add_contents(values, first)
            with self._registered(part, values, first):
                self._keep_rows()
                if since is not None:
                    self._execute(
                        f"INSERT INTO superseded SELECT part, row FROM incoming "  # noqa: S608 - names of ours
                        f"WHERE (w > $since) IS NOT TRUE AND NOT ({self._whole()})",
                        since=_plain_mark(since),
                    )

    def _keep_rows(self) -> None:
        select = f"SELECT * FROM incoming JOIN contents USING (row) WHERE {self._whole()}"  # noqa: S608 - names of ours
        self._execute(f"INSERT INTO read {select}" if self._has_rows else f"CREATE TABLE read AS {select}")
        self._has_rows = True

    def _whole(self) -> str:
        return " AND ".join(f"{key} IS NOT NULL" for key in self._keys)

    def settle(self) -> None:
        """Find the newest row of each key among those that were read."""
        if not self._has_rows:
            return
        self._execute(
            f"""CREATE TABLE ranked AS SELECT *, row_number() OVER (
                PARTITION BY {", ".join(self._keys)} ORDER BY w DESC NULLS LAST, part, row
            ) AS place FROM read"""  # noqa: S608 - names of ours
        )
        self._execute("INSERT INTO superseded SELECT part, row FROM ranked WHERE place > 1")
        self._execute("DROP TABLE read")

    def meet(self, part: int, file: pq.ParquetFile) -> None:
        """Compare the rows that were read with a file of an earlier version."""
        if not self._has_rows:
            return
        bounds = self._first_key_bounds(file)
        for group in range(file.num_row_groups):
            if bounds is not None and _is_apart(file, group, self._columns[0], bounds):
                continue
            first = _first_row(file, group)
            with self._registered(part, file.read_row_group(group, columns=self._columns), first):
                self._execute(
                    f"""CREATE OR REPLACE TEMP TABLE met AS SELECT i.part, i.row, r.part AS read_part,
                        r.row AS read_row, r.w IS NOT NULL AND (i.w IS NULL OR r.w > i.w) AS is_newer,
                        r.w IS NOT DISTINCT FROM i.w AS is_tie, r.content
                    FROM incoming i JOIN ranked r USING ({", ".join(self._keys)})
                    WHERE r.place = 1"""  # noqa: S608 - names of ours
                )
                if self._execute("SELECT 1 FROM met WHERE is_tie LIMIT 1"):
                    self._add_contents(file.read_row_group(group), first)
                    self._execute(
                        """UPDATE met SET is_newer = TRUE FROM contents
                        WHERE met.row = contents.row AND is_tie AND met.content <> contents.content"""
                    )
                self._execute("INSERT INTO superseded SELECT part, row FROM met WHERE is_newer")
                self._execute("INSERT INTO superseded SELECT read_part, read_row FROM met WHERE NOT is_newer")

    def superseded(self, part: int) -> int:
        """Return the number of superseded rows of a file."""
        [(count,)] = self._execute("SELECT count(DISTINCT row) FROM superseded WHERE part = $part", part=part)
        return int(count)

    def superseded_rows(self, part: int, start: int, end: int) -> list[int]:
        """Return the superseded rows of a file from `start` up to, but without, `end`."""
        found = self._execute(
            "SELECT DISTINCT row FROM superseded WHERE part = $part AND row >= $start AND row < $end",
            part=part,
            start=start,
            end=end,
        )
        return [int(row) for (row,) in found]

    @contextmanager
    def _registered(self, part: int, found: pa.Table, first: int) -> Iterator[None]:
        """Make the table `incoming`: keys, watermarks and positions of the rows of a row group.

        `first` is the number of the first row in the file.
        """
        rows = pa.table(
            [
                pa.repeat(pa.scalar(part, pa.int32()), found.num_rows),
                pa.array(range(first, first + found.num_rows), pa.int64()),
                *(_plain(found.column(name)) for name in self._columns),
            ],
            names=["part", "row", *self._keys, "w"],
        )
        self._database.register("incoming", rows)
        try:
            yield
        finally:
            self._database.unregister("incoming")

    def _add_contents(self, values: pa.Table, first: int) -> None:
        """Make the table `contents`: a hash of all values of each row of a row group, 64 bits long."""
        names = [f"c{n}" for n in range(values.num_columns)]
        numbers = pa.array(range(first, first + values.num_rows), pa.int64())
        table = pa.table([numbers, *map(_plain, values.columns)], names=["row", *names])
        self._database.register("values_of_rows", table)
        try:
            self._execute(
                f"CREATE OR REPLACE TEMP TABLE contents AS "  # noqa: S608 - names of ours
                f"SELECT row, hash({', '.join(names)}) AS content FROM values_of_rows"
            )
        finally:
            self._database.unregister("values_of_rows")

    def _first_key_bounds(self, file: pq.ParquetFile) -> tuple[int, int] | None:
        """Return the bounds of the first key column of the rows that were read, as in Parquet statistics."""
        stored = file.schema_arrow.field(self._columns[0]).type
        if not (pa.types.is_temporal(stored) or pa.types.is_decimal(stored) or pa.types.is_integer(stored)):
            return None
        [(low, high)] = self._execute("SELECT min(k0), max(k0) FROM ranked")
        if low is None:  # every key has a NULL: no value is within these bounds
            return 1, 0
        scale = stored.scale if pa.types.is_decimal(stored) else 0
        return _unscaled(low, scale), _unscaled(high, scale)

    def _execute(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        try:
            # statements hold no name and no value of the data
            return self._database.execute(statement, values or None).fetchall()
        except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
            reason = str(error).partition("\n")[0]
            raise ImporterError(
                "incremental.key: not enough memory or disk to compare keys, raise memoryMb or the disk: "
                f"{reason}"
            ) from None

    def close(self) -> None:
        """Close the database."""
        self._database.close()


@contextmanager
def merging(key: Sequence[str], column: str, memory_mb: int) -> Iterator[Merge]:
    """Open a merge in a temporary folder; the process takes about `memory_mb`."""
    with tempfile.TemporaryDirectory(prefix="importer-merge-", ignore_cleanup_errors=True) as folder:
        merge = Merge(key, column, memory_mb, Path(folder))
        try:
            yield merge
        finally:
            merge.close()


def _first_row(file: pq.ParquetFile, group: int) -> int:
    """Return the number of a row group's first row in its file."""
    return sum(file.metadata.row_group(n).num_rows for n in range(group))


def _is_apart(file: pq.ParquetFile, group: int, name: str, bounds: tuple[int, int]) -> bool:
    """Return whether statistics prove that all values of a row group are out of the bounds."""
    place = file.schema_arrow.get_field_index(name)
    found = value_bounds(file.metadata.row_group(group).column(place).statistics)
    return found is not None and (found[1] < bounds[0] or found[0] > bounds[1])


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return dates and times as numbers: DuckDB has no type for nanoseconds with a time zone."""
    if pa.types.is_date32(column.type) or pa.types.is_time32(column.type):
        return column.cast(pa.int32())
    return column.cast(pa.int64()) if pa.types.is_temporal(column.type) else column


def _plain_mark(mark: Mark) -> int | Decimal:
    """Return a watermark as the table `incoming` holds it."""
    match mark.kind:
        case Kind.NUMBER:
            return Decimal(str(mark))
        case Kind.DATE | Kind.MOMENT:
            return mark.value
        case _:
            assert_never(mark.kind)


def _unscaled(value: object, scale: int) -> int:
    return int(value.scaleb(scale)) if isinstance(value, Decimal) else int(str(value))
