"""Arrow tables of one result to Parquet files of a bounded size, in bounded memory.

A part is uploaded while it is encoded: it is in no file here, and never in memory as a whole.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from importer.errors import ImporterError
from importer.lake.manifest import Part
from importer.lake.upload import Upload, uploading

#: The size at which another part starts, in bytes: what Azure recommends for a data lake
#: (https://learn.microsoft.com/azure/storage/blobs/data-lake-storage-best-practices, "File size").
PART_BYTES = 256 * 2**20

#: The size of a row group in Arrow, in bytes, where no other is given: at 100 bytes a row some 300,000 rows,
#: in the range that readers work best with (https://duckdb.org/docs/stable/data/parquet/tips).
ROW_GROUP_BYTES = 32 * 2**20

#: How each part is encoded. Pyarrow by itself gives up a column's dictionary at 1 MiB, far beyond where one
#: still pays: with a quarter, a table of mostly different values takes half the time, an eighth less space.
PARQUET_OPTIONS: dict[str, Any] = {"compression": "zstd", "dictionary_pagesize_limit": 256 * 2**10}

#: So much of a table is converted at once: Snowflake sends whole numbers in as little as one byte each, and
#: here they have eight, or sixteen.
_CONVERTED_BYTES = 2 * 2**20

_BUFFER_BYTES = 2**20

#: Is given each row group.
Watcher = Callable[[pa.Table], None]


def write_parts(
    read: Callable[[], Iterable[pa.Table]],
    schema: pa.Schema,
    upload: Upload,
    watch: Callable[[], Watcher],
    row_group_bytes: int = ROW_GROUP_BYTES,
) -> tuple[list[Part], pa.Schema]:
    """Write the tables as `part-00000.parquet`, …; return the parts and the schema that they have.

    `read` is called again, and the parts are written again, where a column turns out to need a wider type.
    No rows give one part without rows. Whoever watches, anew each time, is given each row group as it is
    written.
    """
    while True:
        groups = _row_groups(read(), schema, row_group_bytes)
        try:
            return list(_write(groups, schema, upload, watch())), schema
        except _TooNarrowError as error:
            schema = schema.set(schema.get_field_index(error.field.name), error.field)
        finally:
            groups.close()


def _write(groups: Iterator[pa.Table], schema: pa.Schema, upload: Upload, watcher: Watcher) -> Iterator[Part]:
    group: pa.Table | None = next(groups, schema.empty_table())
    number = 0
    while group is not None:
        name = f"part-{number:05d}.parquet"
        footers: list[pq.FileMetaData] = []
        size = 0
        with uploading(upload, name) as sink:
            # pyarrow writes a page at a time: without a buffer it would wait for Python's lock as often
            file = pa.BufferedOutputStream(pa.PythonFile(sink, mode="w"), _BUFFER_BYTES)
            with (
                file,
                pq.ParquetWriter(file, schema, metadata_collector=footers, **PARQUET_OPTIONS) as writer,
            ):
                while group is not None and size < PART_BYTES:
                    writer.write_table(group, row_group_size=group.num_rows or None)
                    size = file.tell()
                    watcher(group)
                    group = None  # frees it before the next one is made
                    pa.default_memory_pool().release_unused()  # else it keeps what encoding took
                    group = next(groups, None)
        yield Part(name, footers[0].num_rows, sink.size)
        number += 1


def _row_groups(tables: Iterable[pa.Table], schema: pa.Schema, size: int) -> Generator[pa.Table, None, None]:
    """Yield the rows in tables of about `size` bytes: Snowflake's chunks may be far smaller, or larger."""
    pending: list[pa.Table] = []
    pending_bytes = 0
    for piece in _pieces(tables):
        conformed = _conform(piece, schema)
        pending.append(conformed)
        pending_bytes += conformed.nbytes
        if pending_bytes >= size:
            group = [pa.concat_tables(pending)]
            pending, pending_bytes, conformed = [], 0, None
            yield group.pop()
    if pending:
        yield pa.concat_tables(pending)


def _pieces(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    for table in tables:
        rows = max(1, table.num_rows * _CONVERTED_BYTES // max(table.nbytes, 1))
        for start in range(0, table.num_rows, rows):
            yield table.slice(start, rows)


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return `table` in `schema`; the connector picks a type for each batch, by the values in it."""
    return pa.table([_cast(c, f) for c, f in zip(table.columns, schema, strict=True)], schema=schema)


def _cast(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        wider = _wider(field)
    if wider is None:
        hint = " (nanoseconds end in the year 2261)" if pa.types.is_timestamp(field.type) else ""
        raise ImporterError(
            f"column {field.name} has values of type {column.type} that are no {field.type}: "
            f"cast it in the query{hint}"
        )
    raise _TooNarrowError(wider)


def _wider(field: pa.Field) -> pa.Field | None:
    if field.type == pa.int64():
        return field.with_type(pa.decimal128(38, 0))
    if pa.types.is_timestamp(field.type) and field.type.unit == "ns":
        return field.with_type(pa.timestamp("us", field.type.tz))
    return None


class _TooNarrowError(Exception):
    """A value does not fit the type of its column, but fits that of `field`."""

    def __init__(self, field: pa.Field) -> None:
        self.field = field
