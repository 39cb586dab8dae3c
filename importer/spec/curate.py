"""The rules that turn raw rows into clean rows, and that quarantine the others."""

import hashlib
import json
import re
from collections import Counter
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from importer.spec.contract import Value
from importer.spec.expression import check_expression
from importer.spec.names import AssetName, ColumnName
from importer.spec.section import Section

#: The types that a column can be cast to (https://duckdb.org/docs/stable/sql/data_types/overview).
_CAST_TYPES = (
    *("BOOLEAN", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR", "DATE", "TIME"),
    *("TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMPTZ"),
)
_DECIMAL = re.compile(r"DECIMAL\(([1-9]|[12]\d|3[0-8]),(\d|[12]\d|3[0-8])\)")


def _cast_type(text: str) -> str:
    """Return the type in capitals; a ValueError lists the known types."""
    name = text.upper().replace(" ", "")
    decimal = _DECIMAL.fullmatch(name)
    if name in _CAST_TYPES or (decimal and int(decimal[2]) <= int(decimal[1])):
        return name
    raise ValueError(
        f"unknown type {text}: use {', '.join(_CAST_TYPES)} or DECIMAL(digits,decimals) of up to 38 digits"
    )


class ValueRules(Section):
    """The rules of a clean value; a row that breaches one is quarantined. NULL breaches only `required`."""

    required: bool = Field(default=False, description="Whether a row with NULL is quarantined.")
    min: Value | None = Field(default=None, description="Smallest value allowed.")
    max: Value | None = Field(default=None, description="Largest value allowed.")
    allowed: Annotated[list[Value], Field(min_length=1)] | None = Field(
        default=None, description="The only values allowed."
    )


class CleanColumn(ValueRules):
    """How a raw column becomes a clean column."""

    name: ColumnName | None = Field(default=None, description="Name of the clean column, if it differs.")
    trim: bool = Field(
        default=False, description="Whether to remove blanks around text; text of only blanks becomes NULL."
    )
    cast: Annotated[str, AfterValidator(_cast_type)] | None = Field(
        default=None,
        description="DuckDB type to cast to, such as `DATE` or `DECIMAL(12,2)`; a row is quarantined if its "
        "value cannot be cast.",
    )


class DerivedColumn(ValueRules):
    """A column that is computed from clean columns."""

    expression: Annotated[str, StringConstraints(max_length=4000), AfterValidator(check_expression)] = Field(
        description="Expression of clean columns in DuckDB's SQL, such as `price / area`."
    )


class Deduplicate(Section):
    """Of several rows with the same key one is kept; the others are quarantined."""

    key: Annotated[list[ColumnName], Field(min_length=1)] = Field(
        description="Clean columns that identify a row; a row with a NULL in one is never a duplicate."
    )
    latest: ColumnName | None = Field(
        default=None,
        description="Clean column whose greatest value is kept; of equal values, or if it is not set, the "
        "first row is kept.",
    )


class Curate(Section):
    """A clean asset that is made from every version."""

    asset: AssetName = Field(description="Name of the clean asset.")
    columns: dict[ColumnName, CleanColumn] = Field(
        default={}, description="Raw columns that change or have rules."
    )
    other_columns: bool = Field(default=True, description="Whether all other columns are copied unchanged.")
    derive: dict[ColumnName, DerivedColumn] = Field(default={}, description="Columns to compute, by name.")
    deduplicate: Deduplicate | None = Field(default=None, description="Which rows count as duplicates.")
    max_quarantined: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        default=None, description="Maximum percentage of rows in quarantine; above it nothing is registered."
    )

    @model_validator(mode="after")
    def _names_are_given_once(self) -> Self:
        names = Counter([*(rules.name or raw for raw, rules in self.columns.items()), *self.derive])
        for name in (name for name, times in names.items() if times > 1):
            raise ValueError(f"two clean columns have the name {name}")
        return self


def rules_hash(rules: Curate) -> str:
    """Return the SHA-256 of rules in hex; the order in which they are written does not matter."""
    declared = rules.model_dump(mode="json", exclude_defaults=True)
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()
