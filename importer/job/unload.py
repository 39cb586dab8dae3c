"""Mode `unload`: Snowflake's warehouse writes the rows to Blob Storage itself, by one COPY INTO.

The rules of Parquet are those of https://docs.snowflake.com/en/sql-reference/sql/copy-into-location
"""

from datetime import timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from snowflake.connector import SnowflakeConnection
from snowflake.connector.cursor import SnowflakeCursor

from importer.errors import ImporterError
from importer.job.contract.enforce import Enforcement
from importer.lake.attempt import Attempt
from importer.lake.azure import awaiting_roles
from importer.lake.folder_signature import delegation_key, folder_token
from importer.lake.manifest import DATA, Part, Written
from importer.lake.parquet import row_groups, write_parts
from importer.progress import Progress
from importer.snowflake.columns import DescribedColumn
from importer.snowflake.session import execute
from importer.snowflake.type_table import TypeOptions, arrow_schema, casts, manifest_columns, selected
from importer.spec.sql import literal

#: How long Snowflake may take; then its access to the data lake expires.
UNLOAD_TIMEOUT = timedelta(hours=6)

#: The size at which Snowflake starts a new file, in bytes; its limit is 5 GiB.
MAX_FILE_BYTES = 256 * 2**20

#: How much of a file's end is fetched at first, in bytes. The footer of a wide table with many row groups may
#: be longer, and takes a second call.
_FOOTER_BYTES = 64 * 2**10


class _File(NamedTuple):
    """A file as Snowflake reports it: its name in the attempt's folder, and its rows."""

    name: str
    rows: int


def snowflake_access(storage_integration: str | None, attempt: Attempt, progress: Progress) -> str:
    """Return the clause that gives Snowflake access to the folder of the attempt's parts.

    It names the storage integration, or else holds a token for the folder. A token expires with
    UNLOAD_TIMEOUT, so it is made only when the statement is about to run.
    """
    if storage_integration is not None:
        return f"STORAGE_INTEGRATION = {storage_integration}"
    datastore = attempt.blobs.datastore
    key = awaiting_roles(progress, delegation_key, datastore, UNLOAD_TIMEOUT)
    return f"CREDENTIALS = (AZURE_SAS_TOKEN = {literal(folder_token(datastore, attempt.folder + DATA, key))})"


def unload(
    connection: SnowflakeConnection,
    query: str,
    columns: list[DescribedColumn],
    types: TypeOptions,
    attempt: Attempt,
    access: str,
    contract: Enforcement,
) -> Written:
    """Make Snowflake write the rows of a query, which returns the `columns`, into the attempt.

    `access` is the clause of `snowflake_access`. The files are checked against what Snowflake reports and
    against the columns, and the contract sees their footers.
    """
    schema = arrow_schema(columns, "unload", types)
    # a query may end in a comment, so the parenthesis is on a line of its own
    select = f"SELECT {', '.join(selected(column, types) for column in columns)}\nFROM (\n{query}\n)"
    url = attempt.blobs.datastore.snowflake_url(attempt.folder + DATA)
    cursor = _copy(connection, _statement(url, select, access), schema)
    files = _reported_files(cursor)
    if files:
        sizes = {DATA + name: size for name, size in attempt.blobs.sizes(attempt.folder + DATA).items()}
        parts = _check_files(attempt, files, sizes, schema, contract)
        for name in sizes.keys() - {file.name for file in files}:
            attempt.delete(name)  # a retry within Snowflake has left it
    else:  # Snowflake writes no file for an empty result
        parts = write_parts(row_groups([], schema), schema, attempt)
    rows = sum(file.rows for file in files)
    written = manifest_columns(columns, schema)
    return Written(parts, written, casts(columns, "unload", types), rows, cursor.sfqid or "")


def _copy(connection: SnowflakeConnection, statement: str, schema: pa.Schema) -> SnowflakeCursor:
    """Run the COPY INTO; the error of a number that does not fit names the columns and the setting."""
    try:
        return execute(connection, statement, UNLOAD_TIMEOUT)
    except ImporterError as error:
        whole = [field.name for field in schema if pa.types.is_integer(field.type)]
        if not whole or "out of range" not in str(error).lower():
            raise
        raise ImporterError(
            f"{error}; if {' or '.join(whole)} has whole numbers beyond 64 bits, add it to the import's "
            "setting decimal"
        ) from None


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
    """Return the files that the statement reports, by their names in the attempt's folder."""
    names = [column.name for column in cursor.description]
    reported = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [_File(DATA + row["FILE_NAME"].rpartition("/")[2], int(row["ROW_COUNT"])) for row in reported]


def _check_files(
    attempt: Attempt, files: list[_File], sizes: dict[str, int], schema: pa.Schema, contract: Enforcement
) -> list[Part]:
    """Return the files as parts; an ImporterError if one is not as reported, or has other types."""
    parts: list[Part] = []
    for file in files:
        path = attempt.folder + file.name
        if file.name not in sizes:
            raise ImporterError(
                f"Snowflake reports {path}, but it does not exist; nothing is registered: import again"
            )
        footer = _read_footer(attempt, file.name, sizes[file.name])
        if footer.num_rows != file.rows:
            raise ImporterError(
                f"Snowflake reports {file.rows} rows in {path}, but it has {footer.num_rows}; nothing is "
                "registered: import again"
            )
        _check_schema(path, footer.schema.to_arrow_schema().remove_metadata(), schema)
        contract.see_footer(footer)
        parts.append(Part(file.name, footer.num_rows, sizes[file.name]))
    return parts


def _check_schema(path: str, found: pa.Schema, expected: pa.Schema) -> None:
    """Raise an ImporterError if a file has other columns or types: the unit of a time, its UTC flag, any."""
    if found.names != expected.names:
        raise ImporterError(f"{path} has other columns than the query; nothing is registered: import again")
    for written, field in zip(found, expected, strict=True):
        if written.type != field.type:
            raise ImporterError(
                f"Snowflake wrote column {field.name} as {written.type} instead of {field.type} into {path}; "
                "nothing is registered: cast it in the query, or use the mode stream"
            )


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
