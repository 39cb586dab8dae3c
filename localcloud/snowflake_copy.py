"""COPY INTO a location for the local Snowflake: writes a query's rows as Parquet files to Blob storage.

It supports the options that the importer uses, and refuses what Snowflake refuses:
https://docs.snowflake.com/en/sql-reference/sql/copy-into-location
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self, TypeGuard
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient
from fakesnow.conn import FakeSnowflakeConnection
from fakesnow.rowtype import describe_as_rowtype
from fakesnow.statement_type import COPY
from snowflake.connector.errors import OperationalError, ProgrammingError
from sqlglot import exp

from localcloud.home import BLOB_KEY, Home
from localcloud.snowflake_account import STORAGE_INTEGRATION
from localcloud.snowflake_parameters import Parameters
from localcloud.snowflake_refusal import RefusedError

_PUBLIC_HOST = ".blob.core.windows.net"
_MOST_BYTES = 5 * 2**30
_ROWS_AT_ONCE = 1000
_INTEGERS = (exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT)
_COLUMNS = {"FILE_NAME": "VARCHAR", "FILE_SIZE": "BIGINT", "ROW_COUNT": "BIGINT"}


class _File(NamedTuple):
    """A file as DETAILED_OUTPUT describes it."""

    name: str
    size: int
    rows: int


@dataclass(frozen=True)
class Unload:
    """One COPY INTO 'azure://…' FROM (SELECT …)."""

    query: exp.Query
    account: str
    container: str
    path: str
    credential: str = field(repr=False)
    max_file_bytes: int

    @classmethod
    def read(cls, statement: exp.Copy, home: Home) -> Self:
        """Return the unload of a statement; a RefusedError says why it is not accepted."""
        account, container, path = _location(statement.this.this.name, home)
        source = statement.args["files"][0]
        if not isinstance(source, exp.Subquery):
            raise _unsupported("FROM takes a query in parentheses")
        return cls(source.this, account, container, path, _credential(statement), _read_options(statement))

    def run(self, connection: FakeSnowflakeConnection, home: Home, parameters: Parameters) -> dict[str, Any]:
        """Write the files, and return the answer in the format of Snowflake's drivers."""
        cursor = connection.cursor()
        try:
            cursor.execute(self.query.sql(dialect="snowflake"), server=True)
        except (ProgrammingError, OperationalError) as error:
            raise RefusedError(f"{error.errno:06d}", str(error.msg), error.sqlstate or "") from None
        files = self._write(self._conform(cursor._arrow_table, parameters), cursor.sfqid or "", home)
        return {
            "success": True,
            "data": {
                "rowtype": describe_as_rowtype([(n, t, None, None, None, None) for n, t in _COLUMNS.items()]),
                "rowset": [[str(value) for value in file] for file in files],
                "total": len(files),
                "queryId": cursor.sfqid,
                "queryResultFormat": "json",
                "statementTypeId": COPY,
                "finalDatabaseName": connection.database,
                "finalSchemaName": connection.schema,
            },
        }

    def _conform(self, table: pa.Table, parameters: Parameters) -> pa.Table:
        """Return the rows cast to the types that Snowflake writes."""
        projections: list[exp.Expr] = self.query.selects
        if len(projections) != table.num_columns:  # one of them is a star
            projections = [exp.Null()] * table.num_columns
        fields = [_field(p.unalias(), f) for p, f in zip(projections, table.schema, strict=True)]
        table = table.cast(pa.schema(fields))
        if parameters.unloads_milliseconds:  # digits are lost
            table = table.cast(pa.schema([_in_milliseconds(field) for field in fields]), safe=False)
        if parameters.unloads_smallest_types:
            columns = [_smallest(column) for column in table.columns]
            table = pa.table(columns, names=table.schema.names)
        return table

    def _write(self, table: pa.Table, query_id: str, home: Home) -> list[_File]:
        container = ContainerClient(
            f"{home.blob_url}/{self.account}",
            self.container,
            credential=self.credential,
            connection_verify=str(home.ca_bundle),
        )
        written: list[_File] = []
        for content, rows in _files(table, self.max_file_bytes):
            name = f"data_{query_id}_0_{len(written)}_0.snappy.parquet"
            try:
                container.upload_blob(self.path + name, content)
            except AzureError as error:
                # without its message, which may quote the token
                cause = getattr(error, "error_code", None) or type(error).__name__
                raise RefusedError("091003", f"Failure using stage area. Cause: [{cause}]", "55000") from None
            written.append(_File(name, len(content), rows))
        return written


def is_unload(statement: exp.Expr) -> TypeGuard[exp.Copy]:
    """Return whether a statement is a COPY INTO an external location."""
    return isinstance(statement, exp.Copy) and isinstance(statement.this.this, exp.Literal)


def _unsupported(what: str) -> RefusedError:
    return RefusedError("000002", f"Unsupported feature 'COPY INTO': the local Snowflake: {what}.", "0A000")


def _location(url: str, home: Home) -> tuple[str, str, str]:
    """Return the account, the container and the path of `azure://…`, at Azure's or Azurite's address."""
    address = urlsplit(url)
    path = address.path.lstrip("/")
    if address.netloc.endswith(_PUBLIC_HOST):
        path = f"{address.netloc.removesuffix(_PUBLIC_HOST)}/{path}"
    elif address.netloc != urlsplit(home.blob_url).netloc:
        path = ""
    parts = path.split("/", 2)
    if address.scheme != "azure" or len(parts) != 3:
        message = f"SQL compilation error:\ninvalid URL prefix found in: '{url}'"
        raise RefusedError("001011", message, "42601")
    return parts[0], parts[1], parts[2]


def _credential(statement: exp.Copy) -> str:
    """Return the statement's token; for the account's storage integration, the account key."""
    given = statement.args.get("credentials") or exp.Credentials()
    integration = given.args.get("storage")
    if isinstance(integration, exp.Identifier):
        name = integration.name if integration.quoted else integration.name.upper()
        if name != STORAGE_INTEGRATION:
            message = f"SQL compilation error:\nIntegration '{name}' does not exist or not authorized."
            raise RefusedError("002003", message, "02000")
        return BLOB_KEY
    tokens = {p.name.upper(): p.args["value"].name for p in given.args.get("credentials", [])}
    token = str(tokens.get("AZURE_SAS_TOKEN", ""))
    if parse_qs(token).get("spr") != ["https"]:
        raise _unsupported("it takes a storage integration, or a shared access signature for HTTPS only")
    return token


def _read_options(statement: exp.Copy) -> int:
    """Return MAX_FILE_SIZE; all other options must have the supported values."""
    given = {parameter.name.upper(): parameter for parameter in statement.args["params"]}
    most = int(given.pop("MAX_FILE_SIZE").expression.name) if "MAX_FILE_SIZE" in given else 16 * 2**20
    options = {
        name: p.expression.sql() if p.expression else " ".join(e.sql() for e in p.expressions)
        for name, p in given.items()
    }
    expected = {
        "FILE_FORMAT": "TYPE=PARQUET",
        "HEADER": "TRUE",
        "INCLUDE_QUERY_ID": "TRUE",
        "DETAILED_OUTPUT": "TRUE",
    }
    if options != expected or not 0 < most <= _MOST_BYTES:
        raise _unsupported(f"the options must be {expected} and MAX_FILE_SIZE up to {_MOST_BYTES}")
    return most


def _field(projection: exp.Expr, column: pa.Field) -> pa.Field:
    """Return a column with the type that Snowflake writes: decimals for integers, unless cast explicitly.

    https://docs.snowflake.com/en/user-guide/data-unload-considerations
    """
    if pa.types.is_timestamp(column.type) and column.type.tz:
        message = (
            "Error encountered when unloading to PARQUET: TIMESTAMP_TZ and LTZ types are not supported for "
            "unloading to Parquet. value get: TIMESTAMP_TZ"
        )
        raise RefusedError("100352", message, "22000")
    if pa.types.is_null(column.type):
        return column.with_type(pa.string())
    is_cast = isinstance(projection, exp.Cast) and projection.to.this in _INTEGERS
    if pa.types.is_integer(column.type) and not is_cast:
        return column.with_type(pa.decimal128(38, 0))
    return column


def _smallest(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return whole numbers in the smallest type that holds the values, other columns as they are."""
    is_whole = pa.types.is_integer(column.type) or (
        pa.types.is_decimal(column.type) and column.type.scale == 0
    )
    for kind in (pa.int8(), pa.int16(), pa.int32()) if is_whole else ():
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            continue
    return column


def _in_milliseconds(column: pa.Field) -> pa.Field:
    if pa.types.is_timestamp(column.type):
        return column.with_type(pa.timestamp("ms"))
    return column.with_type(pa.time32("ms")) if pa.types.is_time(column.type) else column


def _files(table: pa.Table, most_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Yield the content and the number of rows of each file; a file ends once it has `most_bytes`."""
    start = 0
    while start < table.num_rows:
        first, sink = start, pa.BufferOutputStream()
        with pq.ParquetWriter(sink, table.schema, compression="snappy") as writer:
            while start < table.num_rows and sink.tell() < most_bytes:
                writer.write_table(table.slice(start, _ROWS_AT_ONCE))
                start = min(start + _ROWS_AT_ONCE, table.num_rows)
        yield sink.getvalue().to_pybytes(), start - first
