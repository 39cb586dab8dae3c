"""Contracts, and the columns that they are about."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from importer.snowflake.columns import DescribedColumn
from importer.spec.contract import Contract
from importer.spec.snowflake_types import SnowflakeType

#: The largest number of 38 digits.
BIG = 10**38 - 1
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TYPES = {
    "ID": ("NUMBER", 38, 0),
    "PRICE": ("NUMBER", 12, 2),
    "R": ("FLOAT", None, None),
    "NAME": ("VARCHAR", None, None),
    "D": ("DATE", None, None),
    "T": ("TIME", 0, 9),
    "AT": ("TIMESTAMP_NTZ", 0, 9),
    "TZ": ("TIMESTAMP_TZ", 0, 9),
    "B": ("BOOLEAN", None, None),
    "V": ("VARIANT", None, None),
    "BIN": ("BINARY", None, None),
}
COLUMNS = [
    DescribedColumn(name, SnowflakeType(kind), precision, scale)
    for name, (kind, precision, scale) in TYPES.items()
]


def contract(**fields: Any) -> Contract:
    return Contract.model_validate(fields)


def columns(**rules: Any) -> Contract:
    return contract(columns=rules)


def one(name: str, values: list[Any], kind: pa.DataType) -> pa.Table:
    return pa.table({name: pa.array(values, kind)})
