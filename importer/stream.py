"""Rows that pass through the importer: chunks of a result, encoded as Parquet, uploaded as they are encoded.

Fetching, encoding and uploading go on side by side, each in threads of its own; the rows keep their order.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress

from snowflake.connector.cursor import SnowflakeCursor

from importer.fetch import arrow_batches
from importer.manifest import Written
from importer.parquet import Watcher, arrow_schema, manifest_columns, write_parts
from importer.upload import Upload

#: What the importer takes before it holds a row, Python and the clients of Azure and Snowflake (225), and
#: what Arrow's allocator keeps of what was freed.
_LIBRARIES_MB = 280

#: https://man7.org/linux/man-pages/man3/mallopt.3.html
_M_ARENA_MAX, _M_MMAP_THRESHOLD = -8, -3


def stream(cursor: SnowflakeCursor, memory_mb: int, upload: Upload, watch: Callable[[], Watcher]) -> Written:
    """Write the rows of a query that has run; who watches is as in `write_parts`.

    The process takes about `memory_mb`, whatever the rows: of what the libraries leave, a fifth is for chunks
    that are fetched ahead, less for a row group; decoding, encoding and uploading take the rest.
    """
    return_freed_memory()
    rows_bytes = (memory_mb - _LIBRARIES_MB) * 2**20
    parts, schema = write_parts(
        lambda: arrow_batches(cursor, rows_bytes // 5),
        arrow_schema(cursor.description),
        upload,
        watch,
        row_group_bytes=rows_bytes * 3 // 20,
    )
    columns = manifest_columns(cursor.description, schema)
    return Written(parts, columns, [], cursor.rowcount or 0, cursor.sfqid or "")


def return_freed_memory() -> None:
    """Have glibc use one heap for all threads, and none for large blocks, as a chunk is.

    Else it keeps what is freed, a heap for each thread: 30 MB more. Arrow has an allocator of its own.
    """
    with suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 4 * 2**20)
