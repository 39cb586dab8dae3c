"""Snowflake's types and their names: many types have several.

https://docs.snowflake.com/en/sql-reference/intro-summary-data-types
"""

import re
from enum import StrEnum


class SnowflakeType(StrEnum):
    """A type, by the name that Snowflake's documentation prefers."""

    NUMBER = "NUMBER"
    DECFLOAT = "DECFLOAT"
    FLOAT = "FLOAT"
    VARCHAR = "VARCHAR"
    BINARY = "BINARY"
    BOOLEAN = "BOOLEAN"
    DATE = "DATE"
    TIME = "TIME"
    TIMESTAMP_NTZ = "TIMESTAMP_NTZ"
    TIMESTAMP_LTZ = "TIMESTAMP_LTZ"
    TIMESTAMP_TZ = "TIMESTAMP_TZ"
    INTERVAL_YEAR_MONTH = "INTERVAL_YEAR_MONTH"
    INTERVAL_DAY_TIME = "INTERVAL_DAY_TIME"
    VARIANT = "VARIANT"
    OBJECT = "OBJECT"
    ARRAY = "ARRAY"
    MAP = "MAP"
    VECTOR = "VECTOR"
    GEOGRAPHY = "GEOGRAPHY"
    GEOMETRY = "GEOMETRY"
    FILE = "FILE"


_WRITTEN = re.compile(r"([A-Z][A-Z0-9_ ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?")

_WHOLE = ("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BYTEINT")
_NUMBERS = ("NUMBER", "DECIMAL", "DEC", "NUMERIC")
_FLOATS = ("FLOAT", "FLOAT4", "FLOAT8", "DOUBLE", "DOUBLE PRECISION", "REAL")
_LONG_TEXTS = ("VARCHAR", "STRING", "TEXT", "NVARCHAR", "NVARCHAR2", "CHAR VARYING", "NCHAR VARYING")
_SHORT_TEXTS = ("CHAR", "CHARACTER", "NCHAR")
_BYTES = ("BINARY", "VARBINARY")
_MOMENTS = {
    "TIME": "TIME",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "DATETIME": "TIMESTAMP_NTZ",
    "TIMESTAMP_NTZ": "TIMESTAMP_NTZ",
    "TIMESTAMPNTZ": "TIMESTAMP_NTZ",
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP_NTZ",
    "TIMESTAMP_LTZ": "TIMESTAMP_LTZ",
    "TIMESTAMPLTZ": "TIMESTAMP_LTZ",
    "TIMESTAMP WITH LOCAL TIME ZONE": "TIMESTAMP_LTZ",
    "TIMESTAMP_TZ": "TIMESTAMP_TZ",
    "TIMESTAMPTZ": "TIMESTAMP_TZ",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_TZ",
}
#: https://docs.snowflake.com/en/sql-reference/data-types-vector
_VECTOR = re.compile(r"VECTOR\s*\(\s*(FLOAT|INT)\s*,\s*([1-9]\d*)\s*\)")

#: The types without parameters; VECTOR has no default for its own.
_PLAIN = frozenset(SnowflakeType) - {SnowflakeType.VECTOR}

#: The length of a VARCHAR that is declared without one.
LONGEST_TEXT = 16_777_216


def normal_type(written: str) -> str:
    """Return a type as Snowflake describes it; a ValueError if Snowflake has no such type."""
    found = _WRITTEN.fullmatch(" ".join(written.upper().split()))
    if vector := _VECTOR.fullmatch(written.upper().strip()):
        return f"VECTOR({vector[1]},{vector[2]})"
    name, *numbers = found.groups() if found else ("",)
    first, second = (None if number is None else int(number) for number in numbers or (None, None))
    if name in _NUMBERS:
        return f"NUMBER({38 if first is None else first},{second or 0})"
    if second is None:
        if name in _LONG_TEXTS or name in _SHORT_TEXTS:
            length = (1 if name in _SHORT_TEXTS else LONGEST_TEXT) if first is None else first
            return f"VARCHAR({length})" if length < LONGEST_TEXT else "VARCHAR"
        if name in _MOMENTS:
            return f"{_MOMENTS[name]}({9 if first is None else first})"
        if name in _BYTES:
            return "BINARY"  # Snowflake does not describe its length
    if first is None:
        if name in _WHOLE:
            return "NUMBER(38,0)"
        if name in _FLOATS:
            return "FLOAT"
        if name in _PLAIN:
            return name
    raise ValueError(
        f"{written} is not a Snowflake type; expected one such as NUMBER(12,2), TIMESTAMP_NTZ(9) or ARRAY"
    )
