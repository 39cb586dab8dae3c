"""Mode `unload`: Snowflake's warehouse writes the rows to Blob Storage itself, by one COPY INTO.

The rules of Parquet are those of https://docs.snowflake.com/en/sql-reference/sql/copy-into-location
"""

from datetime import timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from snowflake.connector import SnowflakeConnection
from snowflake.connector.constants import FIELD_ID_TO_NAME
from snowflake.connector.cursor import ResultMetadata, SnowflakeCursor

from importer.errors import ImporterError
from importer.job.contract.enforce import Enforcement
from importer.lake.attempt import Attempt
from importer.lake.azure import awaiting_roles
from importer.lake.folder_signature import delegation_key, folder_token
from importer.lake.manifest import Cast, Part, Written
from importer.lake.parquet import row_groups, write_parts
from importer.progress import Progress
from importer.snowflake.columns import arrow_schema, check_column_names, manifest_columns, type_text
from importer.snowflake.session import describe, execute
from importer.spec.sql import identifier, literal

#: How long Snowflake may take; then its access to the data lake expires.
UNLOAD_TIMEOUT = timedelta(hours=6)

#: The size at which Snowflake starts a new file, in bytes; its limit is 5 GiB.
MAX_FILE_BYTES = 256 * 2**20

#: How much of a file's end is fetched at first, in bytes. The footer of a wide table with many row groups may
#: be longer, and takes a second call.
_FOOTER_BYTES = 64 * 2**10

#: The expressions that make text of the types that Snowflake does not unload to Parquet, or unloads nested.
_TO_TEXT = {
    "VARIANT": "TO_JSON({})",
    "OBJECT": "TO_JSON({})",
    "ARRAY": "TO_JSON({})",
    "MAP": "TO_JSON({}::OBJECT)",
    "VECTOR": "TO_JSON({}::ARRAY)",
    "GEOGRAPHY": "TO_JSON(ST_ASGEOJSON({}))",
    "GEOMETRY": "TO_JSON(ST_ASGEOJSON({}))",
}


class _Selected(NamedTuple):
    """How the statement selects a column, and the type that it casts the column to, if it does."""

    expression: str
    cast_to: str | None = None


class _File(NamedTuple):
    """A file as Snowflake reports it: its name in the folder, and its rows."""

    name: str
    rows: int


def snowflake_access(storage_integration: str | None, attempt: Attempt, progress: Progress) -> str:
    """Return the clause that gives Snowflake access to the attempt's folder.

    It names the storage integration, or else holds a token for the folder. A token expires with
    UNLOAD_TIMEOUT, so it is made only when the statement is about to run.
    """
    if storage_integration is not None:
        return f"STORAGE_INTEGRATION = {storage_integration}"
    datastore = attempt.blobs.datastore
    key = awaiting_roles(progress, delegation_key, datastore, UNLOAD_TIMEOUT)
    return f"CREDENTIALS = (AZURE_SAS_TOKEN = {literal(folder_token(datastore, attempt.folder, key))})"


def unload(
    connection: SnowflakeConnection,
    query: str,
    described: list[ResultMetadata],
    attempt: Attempt,
    access: str,
    contract: Enforcement,
) -> Written:
    """Make Snowflake write the rows of a query, which returns the `described` columns, into the attempt.

    `access` is the clause of `snowflake_access`. The files are checked against what Snowflake reports, and
    the contract sees their footers.
    """
    check_column_names([column.name for column in described])
    selected = [_select(column) for column in described]
    casts = [
        Cast(column.name, type_text(column), cast_to)
        for column, (_, cast_to) in zip(described, selected, strict=True)
        if cast_to
    ]
    # a query may end in a comment, so the parenthesis is on a line of its own
    select = f"SELECT {', '.join(s.expression for s in selected)}\nFROM (\n{query}\n)"
    unloaded = describe(connection, select)
    url = attempt.blobs.datastore.snowflake_url(attempt.folder)
    cursor = execute(connection, _statement(url, select, access), UNLOAD_TIMEOUT)
    files = _reported_files(cursor)
    if files:
        sizes = attempt.blobs.sizes(attempt.folder)
        parts, schema = _check_files(attempt, files, sizes, [column.name for column in unloaded], contract)
        for name in sizes.keys() - {file.name for file in files}:
            attempt.delete(name)  # a retry within Snowflake has left it
    else:  # Snowflake writes no file for an empty result
        schema = arrow_schema(unloaded)
        parts = write_parts(row_groups([], schema), schema, attempt)
    rows = sum(file.rows for file in files)
    return Written(parts, manifest_columns(described, schema), casts, rows, cursor.sfqid or "")


def _select(column: ResultMetadata) -> _Selected:
    """Return how a column is selected, so that Parquet holds it in the type that mode `stream` gives it."""
    name = identifier(column.name)
    kind = FIELD_ID_TO_NAME[column.type_code]
    if kind in ("TIMESTAMP_TZ", "TIMESTAMP_LTZ"):
        # Snowflake does not unload time zones to Parquet: the time is stored in UTC
        target = f"TIMESTAMP_NTZ({column.scale})"
        return _Selected(f"CONVERT_TIMEZONE('UTC', {name})::{target} AS {name}", target)
    if kind in _TO_TEXT:
        return _Selected(f"{_TO_TEXT[kind].format(name)} AS {name}", "VARCHAR")
    if kind == "FIXED" and not column.scale:
        # 64 bits: without the cast it would be a decimal, see
        # https://docs.snowflake.com/en/user-guide/data-unload-considerations
        return _Selected(f"{name}::BIGINT AS {name}")
    return _Selected(name)


def _statement(url: str, select: str, access: str) -> str:
    """Return the COPY INTO. With its query id in the file names, a retry within Snowflake adds no rows."""
    return f"""COPY INTO {literal(url)}
FROM (
{select}
)
{access}
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE
MAX_FILE_SIZE = {MAX_FILE_BYTES}
INCLUDE_QUERY_ID = TRUE
DETAILED_OUTPUT = TRUE"""


def _reported_files(cursor: SnowflakeCursor) -> list[_File]:
    """Return the files that the statement reports, by their names in the folder."""
    names = [column.name for column in cursor.description]
    reported = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [_File(row["FILE_NAME"].rpartition("/")[2], int(row["ROW_COUNT"])) for row in reported]


def _check_files(
    attempt: Attempt, files: list[_File], sizes: dict[str, int], names: list[str], contract: Enforcement
) -> tuple[list[Part], pa.Schema]:
    """Return the files as parts, and their schema; an ImporterError if one is not as Snowflake reports it."""
    parts: list[Part] = []
    schema = pa.schema([])
    for file in files:
        path = attempt.folder + file.name
        if file.name not in sizes:
            raise ImporterError(
                f"Snowflake reports {path}, but it does not exist; nothing is registered: import again"
            )
        footer = _read_footer(attempt, file.name, sizes[file.name])
        rows, found = footer.num_rows, footer.schema.to_arrow_schema().remove_metadata()
        if rows != file.rows:
            raise ImporterError(
                f"Snowflake reports {file.rows} rows in {path}, but it has {rows}; nothing is registered: "
                "import again"
            )
        if found.names != names or (parts and found != schema):
            raise ImporterError(
                f"{path} has other columns than the query; nothing is registered: import again"
            )
        contract.see_footer(footer)
        schema = found
        parts.append(Part(file.name, rows, sizes[file.name]))
    return parts, schema


def _read_footer(attempt: Attempt, name: str, size: int) -> pq.FileMetaData:
    """Return the footer of a Parquet file, from the end of the file.

    The last 8 bytes are the footer's length and a magic number (https://parquet.apache.org/docs/file-format).
    """
    path = attempt.folder + name
    end = attempt.blobs.read_range(path, max(0, size - _FOOTER_BYTES), size) if size else b""
    footer = int.from_bytes(end[-8:-4], "little") + 8
    if len(end) < footer <= size:
        end = attempt.blobs.read_range(path, size - footer, size)
    try:
        return pq.read_metadata(pa.BufferReader(end))
    except pa.ArrowInvalid as error:
        raise ImporterError(f"{path} is not a complete Parquet file: {error}: import again") from None
