"""The columns of a query's result: their types in Snowflake and in Parquet."""

from typing import NamedTuple

import pyarrow as pa
from snowflake.connector.constants import FIELD_ID_TO_NAME
from snowflake.connector.cursor import ResultMetadata

from importer.errors import ImporterError
from importer.lake.manifest import ManifestColumn

#: Snowflake's names of the types that the connector names differently
#: (https://docs.snowflake.com/en/sql-reference/intro-summary-data-types).
_TYPE_NAMES = {"FIXED": "NUMBER", "REAL": "FLOAT", "TEXT": "VARCHAR"}
_WITH_SCALE = {"TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ"}
_LONGEST_TEXT = 16_777_216

#: The Arrow types that do not depend on precision or scale; all other types are text, such as JSON.
_TYPES = {
    "REAL": pa.float64(),
    "DATE": pa.date32(),
    "BOOLEAN": pa.bool_(),
    "BINARY": pa.binary(),
}


class Column(NamedTuple):
    """A column of a query; `type` is as Snowflake writes it, such as `NUMBER(38,0)`."""

    name: str
    type: str
    nullable: bool


def type_text(column: ResultMetadata) -> str:
    """Return the type of a described column as Snowflake writes it."""
    name = _TYPE_NAMES.get(kind := FIELD_ID_TO_NAME[column.type_code], kind)
    if name == "NUMBER":
        return f"NUMBER({column.precision},{column.scale})"
    if name in _WITH_SCALE:
        return f"{name}({column.scale})"
    if name == "VARCHAR" and 0 < (column.internal_size or 0) < _LONGEST_TEXT:
        return f"VARCHAR({column.internal_size})"
    return name


def columns_of(description: list[ResultMetadata]) -> list[Column]:
    """Return the described columns with their types as Snowflake writes them."""
    return [Column(column.name, type_text(column), column.is_nullable) for column in description]


def arrow_schema(description: list[ResultMetadata]) -> pa.Schema:
    """Return the Parquet schema of a query's result: it depends on the columns' types, not on the rows.

    So the versions of an asset have one schema until the query's columns change. Integers have 64 bits, and
    times with a scale above 6 are in nanoseconds; `write_parts` widens a column whose values do not fit.
    """
    names = [column.name for column in description]
    check_column_names(names)
    return pa.schema([pa.field(column.name, _arrow_type(column)) for column in description])


def _arrow_type(column: ResultMetadata) -> pa.DataType:
    kind = FIELD_ID_TO_NAME[column.type_code]
    unit = "us" if (column.scale or 0) <= 6 else "ns"
    if kind == "FIXED":
        return pa.decimal128(column.precision or 38, column.scale) if column.scale else pa.int64()
    if kind == "TIME":
        return pa.time64(unit)
    if kind in ("TIMESTAMP_TZ", "TIMESTAMP_LTZ"):
        return pa.timestamp(unit, "UTC")
    if kind.startswith("TIMESTAMP"):
        return pa.timestamp(unit)
    return _TYPES.get(kind, pa.string())


def manifest_columns(description: list[ResultMetadata], schema: pa.Schema) -> list[ManifestColumn]:
    """Return a query's columns with their types in Snowflake and in the Parquet files."""
    return [
        ManifestColumn(column.name, type_text(column), str(field.type))
        for column, field in zip(description, schema, strict=True)
    ]


def check_column_names(names: list[str]) -> None:
    """Raise an ImporterError if a query returns two columns with the same name: a table cannot hold both."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ImporterError(f"the query returns column {twice[0]} twice: give each its own alias")
