"""Mode `stream`: chunks of a result are fetched, encoded as Parquet and uploaded, side by side.

Each step has threads of its own, and the rows keep their order.
"""

from contextlib import closing

from snowflake.connector.cursor import SnowflakeCursor

from importer.job.contract.enforce import Enforcement
from importer.lake.attempt import Attempt
from importer.lake.manifest import Part, Written
from importer.lake.memory import share_one_heap
from importer.lake.parquet import NarrowColumnError, row_groups, write_parts
from importer.snowflake.columns import arrow_schema, manifest_columns
from importer.snowflake.result_chunks import arrow_batches
from importer.spec.memory import STREAM_FIXED_MB


def stream(cursor: SnowflakeCursor, memory_mb: int, attempt: Attempt, contract: Enforcement) -> Written:
    """Write the rows of a query that has run.

    The process takes about `memory_mb`, whatever the rows. Of what the libraries leave, three tenths are for
    chunks that are fetched ahead, and an eighth is for a row group; decoding, encoding and uploading take the
    rest.
    """
    share_one_heap()
    rows_bytes = (memory_mb - STREAM_FIXED_MB) * 2**20
    schema = arrow_schema(cursor.description)
    parts: list[Part] | None = None
    while parts is None:
        with closing(arrow_batches(cursor, rows_bytes * 3 // 10)) as batches:
            groups = row_groups(batches, schema, rows_bytes // 8)
            try:
                parts = write_parts(contract.watch(groups, cursor.rowcount or 0), schema, attempt)
            except NarrowColumnError as error:  # all rows are written again, with the wider type
                schema = schema.set(schema.get_field_index(error.field.name), error.field)
    columns = manifest_columns(cursor.description, schema)
    return Written(parts, columns, [], cursor.rowcount or 0, cursor.sfqid or "")
