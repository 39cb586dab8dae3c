"""Arrow tables to Parquet files of a bounded size, in bounded memory.

`row_groups` makes tables of the right size, `write_parts` encodes and uploads them. A part is uploaded while
it is encoded: it is never on disk, nor in memory as a whole.
"""

from collections.abc import Generator, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from importer.errors import ImporterError
from importer.lake.attempt import Attempt
from importer.lake.manifest import DATA, Part
from importer.lake.upload import uploading

#: The size at which a new part starts, in bytes: what Azure recommends for a data lake
#: (https://learn.microsoft.com/azure/storage/blobs/data-lake-storage-best-practices, "File size").
PART_BYTES = 256 * 2**20

#: The default size of a row group in Arrow, in bytes. At 100 bytes a row it has some 300,000 rows, in the
#: range that readers work best with (https://duckdb.org/docs/stable/data/parquet/tips).
ROW_GROUP_BYTES = 32 * 2**20

#: How each part is encoded. By default pyarrow gives up a column's dictionary at 1 MiB, long after it stops
#: paying off: with a quarter of that, a table of mostly distinct values takes half the time and an eighth
#: less space.
PARQUET_OPTIONS: dict[str, Any] = {"compression": "zstd", "dictionary_pagesize_limit": 256 * 2**10}

#: How much of a table is converted at once, in bytes: Snowflake sends whole numbers in as little as one byte
#: each, and here they take 8 or 16.
_CONVERTED_BYTES = 2 * 2**20

_BUFFER_BYTES = 2**20


def row_groups(
    tables: Iterable[pa.Table], schema: pa.Schema, size: int = ROW_GROUP_BYTES
) -> Generator[pa.Table, None, None]:
    """Yield the rows of `tables` in the schema, in tables of about `size` bytes, whatever size they come in.

    Without rows, yield one table without rows.
    An ImporterError names a column with a value that does not fit its type.
    """
    pending = [schema.empty_table()]
    pending_bytes = 0
    for table in tables:
        rows = max(1, table.num_rows * _CONVERTED_BYTES // max(table.nbytes, 1))
        for start in range(0, table.num_rows, rows):
            piece = table.slice(start, rows).rename_columns(schema.names)
            try:
                # the connector picks the type of a column for each batch, by its values
                pending.append(piece.cast(schema))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise _misfit(piece, schema) from None
            pending_bytes += pending[-1].nbytes
            if pending_bytes >= size:
                group = [pa.concat_tables(pending)]
                pending, pending_bytes = [], 0
                yield group.pop()  # keeps no reference: the consumer frees it before the next one is made
    if pending:
        yield pa.concat_tables(pending)


def write_parts(
    groups: Iterator[pa.Table], schema: pa.Schema, attempt: Attempt, prefix: str = DATA
) -> list[Part]:
    """Write each table as a row group of the attempt's `<prefix>part-00000.parquet`, …; return the parts."""
    parts: list[Part] = []
    group: pa.Table | None = next(groups, None)
    while group is not None:
        name = f"{prefix}part-{len(parts):05d}.parquet"
        footers: list[pq.FileMetaData] = []
        size = 0
        with uploading(attempt.blobs, attempt.folder + name) as upload:
            # pyarrow writes page by page: without a buffer it would wait for Python's lock for each page
            file = pa.BufferedOutputStream(pa.PythonFile(upload, mode="w"), _BUFFER_BYTES)
            with (
                file,
                pq.ParquetWriter(file, schema, metadata_collector=footers, **PARQUET_OPTIONS) as writer,
            ):
                while group is not None and size < PART_BYTES:
                    writer.write_table(group, row_group_size=group.num_rows or None)
                    size = file.tell()
                    group = None  # frees it before the next one is made
                    pa.default_memory_pool().release_unused()  # else it keeps what encoding took
                    group = next(groups, None)
        parts.append(Part(name, footers[0].num_rows, upload.size))
    return parts


def _misfit(table: pa.Table, schema: pa.Schema) -> ImporterError:
    """Return the error that names the first column of a table whose values do not fit the schema."""
    for column, field in zip(table.columns, schema, strict=True):
        try:
            column.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            break
    if pa.types.is_decimal(column.type) and pa.types.is_int64(field.type):
        problem = "has a whole number beyond 64 bits: add it to the import's setting decimal"
    else:
        problem = f"has values of type {column.type} that do not fit {field.type}: cast it in the query"
    return ImporterError(f"column {field.name} {problem}")
