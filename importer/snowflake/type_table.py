"""How each of Snowflake's types is stored: the one table that preview, `stream`, `unload` and docs read.

A type is stored as it is, stored after a conversion that the manifest records, or refused. Sources:

- results in Arrow: https://github.com/snowflakedb/snowflake-connector-python, CArrowChunkIterator.cpp
- what Snowflake writes into Parquet: https://docs.snowflake.com/en/sql-reference/sql/copy-into-location and
  https://docs.snowflake.com/en/user-guide/data-unload-considerations
- VECTOR is unloaded as an array: https://docs.snowflake.com/en/sql-reference/data-types-vector
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, assert_never

import pyarrow as pa

from importer.errors import ImporterError
from importer.lake.manifest import Cast, ManifestColumn
from importer.snowflake.columns import DescribedColumn, check_column_names, type_text
from importer.spec.import_spec import ImportOptions, Mode
from importer.spec.names import nearest_column
from importer.spec.snowflake_types import SnowflakeType
from importer.spec.sql import identifier

#: The most digits of a second in microseconds.
_MICROSECONDS = 6


class TypeOptions(NamedTuple):
    """The options of an import that decide how its columns are stored."""

    nanoseconds: bool = False
    decimal: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: ImportOptions) -> Self:
        """Return those of an import's options."""
        return cls(options.nanoseconds, tuple(options.decimal))


_ArrowType = Callable[[DescribedColumn, TypeOptions], pa.DataType]


@dataclass(frozen=True)
class Stored:
    """A type that can be stored, by `stream` and by `unload`.

    `select` is how `unload` selects a column: `{name}` is the column, `{scale}` its scale in Snowflake.
    `cast_to` is the type that `stream` and `unload` convert values to, if that can lose something; `{scale}`
    is the scale that is kept. Text of the kind VARCHAR is JSON.
    """

    type: _ArrowType
    select: str | Callable[[DescribedColumn, TypeOptions], str] = "{name}"
    cast_to: str | None = None
    unloaded_type: _ArrowType | None = None
    """The type that `unload` writes, if it is another one."""
    unloaded_cast_to: str | None = None
    """What `unload` converts to, if that is another type."""


@dataclass(frozen=True)
class Refused:
    """A type that Parquet has no equal of; `instead` is what to do."""

    instead: str


def _always(type_: pa.DataType) -> _ArrowType:
    return lambda _column, _options: type_


def _number(column: DescribedColumn, options: TypeOptions) -> pa.DataType:
    if column.scale or column.name in options.decimal:
        return pa.decimal128(column.precision or 38, column.scale or 0)
    return pa.int64()


def _number_select(column: DescribedColumn, options: TypeOptions) -> str:
    """Return the cast to 64 bits, without which Snowflake writes whole numbers as decimals."""
    return "{name}::BIGINT" if pa.types.is_integer(_number(column, options)) else "{name}"


def _time(column: DescribedColumn, options: TypeOptions) -> pa.DataType:
    return pa.time64(_unit(column, options))


def _local_time(column: DescribedColumn, options: TypeOptions) -> pa.DataType:
    return pa.timestamp(_unit(column, options))


def _instant(column: DescribedColumn, options: TypeOptions) -> pa.DataType:
    return pa.timestamp(_unit(column, options), "UTC")


def _unit(column: DescribedColumn, options: TypeOptions) -> str:
    return "ns" if _kept_scale(column, options) > _MICROSECONDS else "us"


def _kept_scale(column: DescribedColumn, options: TypeOptions) -> int:
    scale = column.scale or 0
    return scale if options.nanoseconds else min(scale, _MICROSECONDS)


def _vector(column: DescribedColumn, _options: TypeOptions) -> pa.DataType:
    # 32 bits: https://docs.snowflake.com/en/sql-reference/data-types-vector
    return pa.list_(pa.int32() if column.element == "INT" else pa.float32())


#: Snowflake writes nested values as JSON text, and does not unload time zones to Parquet.
_IN_UTC = "CONVERT_TIMEZONE('UTC', {name})::TIMESTAMP_NTZ({scale})"

TYPES: Mapping[SnowflakeType, Stored | Refused] = {
    SnowflakeType.NUMBER: Stored(_number, _number_select),
    SnowflakeType.DECFLOAT: Refused("cast it in the query to NUMBER(38,10), FLOAT or VARCHAR"),
    # else Snowflake could write the 32 bits that Parquet calls FLOAT
    SnowflakeType.FLOAT: Stored(_always(pa.float64()), "{name}::DOUBLE"),
    SnowflakeType.VARCHAR: Stored(_always(pa.string())),
    SnowflakeType.BINARY: Stored(_always(pa.binary())),
    SnowflakeType.BOOLEAN: Stored(_always(pa.bool_())),
    SnowflakeType.DATE: Stored(_always(pa.date32())),
    SnowflakeType.TIME: Stored(_time, cast_to="TIME({scale})"),
    SnowflakeType.TIMESTAMP_NTZ: Stored(_local_time, cast_to="TIMESTAMP_NTZ({scale})"),
    SnowflakeType.TIMESTAMP_LTZ: Stored(
        _instant, _IN_UTC, "TIMESTAMP_LTZ({scale})", _local_time, "TIMESTAMP_NTZ({scale})"
    ),
    SnowflakeType.TIMESTAMP_TZ: Stored(
        _instant, _IN_UTC, "TIMESTAMP_LTZ({scale})", _local_time, "TIMESTAMP_NTZ({scale})"
    ),
    SnowflakeType.INTERVAL_YEAR_MONTH: Refused("cast it in the query to VARCHAR"),
    SnowflakeType.INTERVAL_DAY_TIME: Refused("cast it in the query to VARCHAR"),
    SnowflakeType.VARIANT: Stored(_always(pa.string()), "TO_JSON({name})", "VARCHAR"),
    SnowflakeType.OBJECT: Stored(_always(pa.string()), "TO_JSON({name})", "VARCHAR"),
    SnowflakeType.ARRAY: Stored(_always(pa.string()), "TO_JSON({name})", "VARCHAR"),
    SnowflakeType.MAP: Stored(_always(pa.string()), "TO_JSON({name}::OBJECT)", "VARCHAR"),
    SnowflakeType.VECTOR: Stored(
        _vector, "TO_JSON({name}::ARRAY)", None, _always(pa.string()), "VARCHAR"
    ),
    SnowflakeType.GEOGRAPHY: Stored(_always(pa.string()), "TO_JSON(ST_ASGEOJSON({name}))", "VARCHAR"),
    SnowflakeType.GEOMETRY: Stored(_always(pa.string()), "TO_JSON(ST_ASGEOJSON({name}))", "VARCHAR"),
    SnowflakeType.FILE: Refused("select its path instead, FL_GET_RELATIVE_PATH of it"),
}  # fmt: skip


def check_columns(columns: Sequence[DescribedColumn]) -> None:
    """Raise an ImporterError if a query's columns cannot be stored, because of a name or a type."""
    check_column_names([column.name for column in columns])
    for column in columns:
        _stored(column)


def check_options(columns: Sequence[DescribedColumn], options: TypeOptions) -> None:
    """Raise an ImporterError if an option names a column that the query lacks, or that it does not fit."""
    known = {column.name: column for column in columns}
    for name in options.decimal:
        if name not in known:
            raise ImporterError(f"decimal: the query returns no column {name}; {nearest_column(name, known)}")
        if known[name].kind is not SnowflakeType.NUMBER:
            raise ImporterError(f"decimal: {name} is a {type_text(known[name])}, and no NUMBER")


def arrow_schema(columns: Sequence[DescribedColumn], mode: Mode, options: TypeOptions) -> pa.Schema:
    """Return the types of a query's columns in Parquet: they follow from the description, not from rows."""
    return pa.schema([pa.field(column.name, _arrow_type(column, mode, options)) for column in columns])


def _arrow_type(column: DescribedColumn, mode: Mode, options: TypeOptions) -> pa.DataType:
    stored = _stored(column)
    match mode:
        case "stream":
            return stored.type(column, options)
        case "unload":
            return (stored.unloaded_type or stored.type)(column, options)
        case _:
            assert_never(mode)


def casts(columns: Sequence[DescribedColumn], mode: Mode, options: TypeOptions) -> list[Cast]:
    """Return the columns whose values are converted, with the type that they are converted to."""
    found = []
    for column in columns:
        stored = _stored(column)
        target = stored.cast_to
        if mode == "unload" and stored.unloaded_cast_to is not None:
            target = stored.unloaded_cast_to
        target = target and target.format(scale=_kept_scale(column, options))
        if target is not None and target != type_text(column):
            found.append(Cast(column.name, type_text(column), target))
    return found


def selected(column: DescribedColumn, options: TypeOptions) -> str:
    """Return how `unload` selects a column, in SQL, so that Snowflake writes the type of `arrow_schema`."""
    select = _stored(column).select
    text = select if isinstance(select, str) else select(column, options)
    name = identifier(column.name)
    expression = text.replace("{scale}", str(column.scale)).replace("{name}", name)
    return expression if expression == name else f"{expression} AS {name}"


def manifest_columns(columns: Sequence[DescribedColumn], schema: pa.Schema) -> list[ManifestColumn]:
    """Return a query's columns with their types in Snowflake and in the Parquet files."""
    return [
        ManifestColumn(column.name, type_text(column), str(field.type))
        for column, field in zip(columns, schema, strict=True)
    ]


def _stored(column: DescribedColumn) -> Stored:
    rule = TYPES[column.kind]
    match rule:
        case Stored():
            return rule
        case Refused(instead):
            raise ImporterError(
                f"column {column.name} has the type {column.kind}, which Parquet does not have: {instead}"
            )
        case _:
            assert_never(rule)
