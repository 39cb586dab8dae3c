"""Rows that pass through the importer: chunks of a result, encoded as Parquet, uploaded as they are encoded.

Fetching, encoding and uploading go on side by side, each in threads of its own; the rows keep their order.
"""

from collections.abc import Callable

from snowflake.connector.cursor import SnowflakeCursor

from importer.lake.manifest import Written
from importer.lake.memory import share_one_heap
from importer.lake.parquet import Watcher, write_parts
from importer.lake.upload import Upload
from importer.snowflake.columns import arrow_schema, manifest_columns
from importer.snowflake.result_chunks import arrow_batches
from importer.spec.memory import STREAM_FIXED_MB


def stream(cursor: SnowflakeCursor, memory_mb: int, upload: Upload, watch: Callable[[], Watcher]) -> Written:
    """Write the rows of a query that has run; who watches is as in `write_parts`.

    The process takes about `memory_mb`, whatever the rows: of what the libraries leave, three tenths are for
    chunks that are fetched ahead, an eighth for a row group; decoding, encoding and uploading take the rest.
    """
    share_one_heap()
    rows_bytes = (memory_mb - STREAM_FIXED_MB) * 2**20
    parts, schema = write_parts(
        lambda: arrow_batches(cursor, rows_bytes * 3 // 10),
        arrow_schema(cursor.description),
        upload,
        watch,
        row_group_bytes=rows_bytes // 8,
    )
    columns = manifest_columns(cursor.description, schema)
    return Written(parts, columns, [], cursor.rowcount or 0, cursor.sfqid or "")
