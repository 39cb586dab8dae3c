"""Rows that Snowflake's warehouse writes to Blob Storage itself, by one COPY INTO: none pass through the job.

The rules of Parquet are those of https://docs.snowflake.com/en/sql-reference/sql/copy-into-location
"""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from azure.storage.blob import UserDelegationKey
from snowflake.connector import SnowflakeConnection
from snowflake.connector.constants import FIELD_ID_TO_NAME
from snowflake.connector.cursor import ResultMetadata, SnowflakeCursor

from importer.errors import ImporterError
from importer.lake.blob import AssetBlobs
from importer.lake.manifest import Cast, Part, Written
from importer.lake.parquet import write_parts
from importer.snowflake.columns import arrow_schema, check_column_names, manifest_columns, type_text
from importer.snowflake.session import describe, execute
from importer.spec.import_spec import ImportSpec
from importer.spec.sql import identifier, literal

#: How long Snowflake may take; its access to the data lake ends then.
UNLOAD_TIMEOUT = timedelta(hours=6)

#: The size at which Snowflake starts another file, in bytes; the most it takes is 5 GiB.
MAX_FILE_BYTES = 256 * 2**20

#: Enough for most Parquet footers: one of a wide table with many row groups takes a second call.
_FOOTER_BYTES = 64 * 2**10

#: What makes text of a type that Parquet files of Snowflake do not hold, or hold nested values of.
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
    """How the statement selects a column, and the type that this makes of it, where it is another one."""

    expression: str
    cast_to: str | None = None


class _File(NamedTuple):
    """A file as Snowflake reports it: its name in the folder, and its rows."""

    name: str
    rows: int


def unload(
    connection: SnowflakeConnection,
    spec: ImportSpec,
    blobs: AssetBlobs,
    folder: str,
    key: UserDelegationKey | None,
    see_footer: Callable[[pq.FileMetaData], None] = lambda _: None,
) -> Written:
    """Have Snowflake write the rows of the query into `folder`, and check what it wrote.

    It opens the folder with the import's storage integration; without one, with a token signed by `key`.
    `see_footer` is given the footer of each file.
    """
    described = describe(connection, spec.query)
    check_column_names([column.name for column in described])
    selected = [_select(column) for column in described]
    casts = [
        Cast(column.name, type_text(column), cast_to)
        for column, (_, cast_to) in zip(described, selected, strict=True)
        if cast_to
    ]
    # a query may end in a comment, so the parenthesis is on a line of its own
    select = f"SELECT {', '.join(s.expression for s in selected)}\nFROM (\n{spec.query}\n)"
    unloaded = describe(connection, select)
    access = (
        f"CREDENTIALS = (AZURE_SAS_TOKEN = {literal(blobs.folder_token(folder, key))})"
        if key
        else f"STORAGE_INTEGRATION = {spec.storage_integration}"
    )
    cursor = execute(connection, _statement(blobs.snowflake_url(folder), select, access), UNLOAD_TIMEOUT)
    files = _reported(cursor)
    parts, schema = (
        _check_files(blobs, folder, files, [column.name for column in unloaded], see_footer)
        if files
        else _write_empty(blobs, folder, unloaded)
    )
    rows = sum(file.rows for file in files)
    return Written(parts, manifest_columns(described, schema), casts, rows, cursor.sfqid or "")


def _select(column: ResultMetadata) -> _Selected:
    """Return how a column is selected so that Parquet takes it, and in the type that `stream` gives it."""
    name = identifier(column.name)
    kind = FIELD_ID_TO_NAME[column.type_code]
    if kind in ("TIMESTAMP_TZ", "TIMESTAMP_LTZ"):
        # Parquet takes none with a time zone: the time in UTC stays
        target = f"TIMESTAMP_NTZ({column.scale})"
        return _Selected(f"CONVERT_TIMEZONE('UTC', {name})::{target} AS {name}", target)
    if kind in _TO_TEXT:
        return _Selected(f"{_TO_TEXT[kind].format(name)} AS {name}", "VARCHAR")
    if kind == "FIXED" and not column.scale:
        # 64 bits wide; else it would be a decimal, by
        # https://docs.snowflake.com/en/user-guide/data-unload-considerations
        return _Selected(f"{name}::BIGINT AS {name}")
    return _Selected(name)


def _statement(url: str, select: str, access: str) -> str:
    """Return the COPY INTO; with its query id in the files' names, a retry within Snowflake adds no rows."""
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


def _reported(cursor: SnowflakeCursor) -> list[_File]:
    """Return the files that the statement reports; the names are paths in some places, and ours is flat."""
    names = [column.name for column in cursor.description]
    reported = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [_File(row["FILE_NAME"].rpartition("/")[2], int(row["ROW_COUNT"])) for row in reported]


def _check_files(
    blobs: AssetBlobs,
    folder: str,
    files: list[_File],
    names: list[str],
    see_footer: Callable[[pq.FileMetaData], None],
) -> tuple[list[Part], pa.Schema]:
    """Return the files as they are stored, and their schema; an ImporterError says which is not as reported.

    A file that is not reported is what a retry within Snowflake left behind: it is deleted.
    """
    sizes = blobs.sizes(folder)
    parts: list[Part] = []
    schema = pa.schema([])
    for file in files:
        path = folder + file.name
        if file.name not in sizes:
            raise ImporterError(f"Snowflake reports {path}, but it is not there; nothing is registered")
        footer = _read_footer(blobs, path, sizes[file.name])
        rows, found = footer.num_rows, footer.schema.to_arrow_schema().remove_metadata()
        if rows != file.rows:
            raise ImporterError(
                f"Snowflake reports {file.rows} rows in {path}, but it has {rows}; nothing is registered"
            )
        if found.names != names or (parts and found != schema):
            raise ImporterError(f"{path} has other columns than the query; nothing is registered")
        see_footer(footer)
        schema = found
        parts.append(Part(file.name, rows, sizes[file.name]))
    for stray in sizes.keys() - {file.name for file in files}:
        blobs.delete(folder + stray)
    return parts, schema


def _read_footer(blobs: AssetBlobs, path: str, size: int) -> pq.FileMetaData:
    """Return the footer of a Parquet file, by its end.

    The last 8 bytes are the footer's length and a magic number (https://parquet.apache.org/docs/file-format).
    """
    end = blobs.read_range(path, max(0, size - _FOOTER_BYTES), size) if size else b""
    footer = int.from_bytes(end[-8:-4], "little") + 8
    if len(end) < footer <= size:
        end = blobs.read_range(path, size - footer, size)
    try:
        return pq.read_metadata(pa.BufferReader(end))
    except pa.ArrowInvalid as error:
        raise ImporterError(f"{path} is no whole Parquet file: {error}") from None


def _write_empty(
    blobs: AssetBlobs, folder: str, columns: list[ResultMetadata]
) -> tuple[list[Part], pa.Schema]:
    """Write one part without rows, as Snowflake writes no file where there are none."""
    return write_parts(
        list,
        arrow_schema(columns),
        lambda name, file: blobs.write(folder + name, file),
        lambda: lambda _: None,
    )
