"""Mode `stream`: chunks of a result are fetched, encoded as Parquet and uploaded, side by side.

Each step has threads of its own, and the rows keep their order.
"""

from contextlib import closing

from importer.job.contract.enforce import Enforcement
from importer.lake.attempt import Attempt
from importer.lake.manifest import Written
from importer.lake.memory import share_one_heap
from importer.lake.parquet import row_groups, write_parts
from importer.snowflake.cursor import DescribingCursor
from importer.snowflake.result_chunks import arrow_batches
from importer.snowflake.type_table import TypeOptions, arrow_schema, casts, manifest_columns
from importer.spec.memory import STREAM_FIXED_MB


def stream(
    cursor: DescribingCursor, memory_mb: int, types: TypeOptions, attempt: Attempt, contract: Enforcement
) -> Written:
    """Write the rows of a query that has run.

    The process takes about `memory_mb`, whatever the rows. Of what the libraries leave, three tenths are for
    chunks that are fetched ahead, and an eighth is for a row group; decoding, encoding and uploading take the
    rest.
    """
    share_one_heap()
    rows_bytes = (memory_mb - STREAM_FIXED_MB) * 2**20
    columns = cursor.columns
    schema = arrow_schema(columns, "stream", types)
    rows = cursor.rowcount or 0
    with closing(arrow_batches(cursor, rows_bytes * 3 // 10, nanoseconds=types.nanoseconds)) as batches:
        groups = row_groups(batches, schema, rows_bytes // 8)
        parts = write_parts(contract.watch(groups, rows), schema, attempt)
    converted = casts(columns, "stream", types)
    return Written(parts, manifest_columns(columns, schema), converted, rows, cursor.sfqid or "")
