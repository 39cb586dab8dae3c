"""How raw rows become clean ones, and which are set aside."""

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

#: What a column can be cast to (https://duckdb.org/docs/stable/sql/data_types/overview).
_CAST_TYPES = (
    *("BOOLEAN", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "VARCHAR", "DATE", "TIME"),
    *("TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMPTZ"),
)
_DECIMAL = re.compile(r"DECIMAL\(([1-9]|[12]\d|3[0-8]),(\d|[12]\d|3[0-8])\)")


def _cast_type(text: str) -> str:
    """Return the type in capitals; a ValueError says which there are."""
    name = text.upper().replace(" ", "")
    decimal = _DECIMAL.fullmatch(name)
    if name in _CAST_TYPES or (decimal and int(decimal[2]) <= int(decimal[1])):
        return name
    raise ValueError(
        f"{text} is none of {', '.join(_CAST_TYPES)}, DECIMAL(digits,decimals) of up to 38 digits"
    )


class ValueRules(Section):
    """What a clean value must be like; a row with another one is set aside. Only `required` is for NULL."""

    required: bool = Field(default=False, description="Whether it must be there.")
    min: Value | None = Field(default=None, description="The smallest value that may be.")
    max: Value | None = Field(default=None, description="The largest value that may be.")
    allowed: Annotated[list[Value], Field(min_length=1)] | None = Field(
        default=None, description="The only values that may be."
    )


class CleanColumn(ValueRules):
    """How a raw column becomes a clean one."""

    name: ColumnName | None = Field(default=None, description="Its name from then on.")
    trim: bool = Field(
        default=False, description="Whether blanks around text go; text of nothing else becomes NULL."
    )
    cast: Annotated[str, AfterValidator(_cast_type)] | None = Field(
        default=None,
        description="DuckDB's type that it is cast to, such as `DATE` or `DECIMAL(12,2)`; a row whose value "
        "cannot be is set aside.",
    )


class DerivedColumn(ValueRules):
    """A column that is computed from clean ones."""

    expression: Annotated[str, StringConstraints(max_length=4000), AfterValidator(check_expression)] = Field(
        description="Expression of clean columns in DuckDB's SQL, such as `price / area`."
    )


class Deduplicate(Section):
    """Of several good rows with the same key one stays; the others are set aside."""

    key: Annotated[list[ColumnName], Field(min_length=1)] = Field(
        description="Clean columns that tell rows apart; a row with a NULL in one is like no other."
    )
    latest: ColumnName | None = Field(
        default=None,
        description="Clean column whose greatest value stays, of equal ones the first; else the first row.",
    )


class Curate(Section):
    """A clean asset that is made of every version."""

    asset: AssetName = Field(description="Name of the clean asset.")
    columns: dict[ColumnName, CleanColumn] = Field(
        default={}, description="Raw columns that change or have rules."
    )
    other_columns: bool = Field(default=True, description="Whether all other columns come along as they are.")
    derive: dict[ColumnName, DerivedColumn] = Field(
        default={}, description="Columns to compute, by their names."
    )
    deduplicate: Deduplicate | None = Field(default=None, description="Which rows are the same.")
    max_quarantined: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        default=None, description="How many percent of the rows may be set aside; with more nothing is made."
    )

    @model_validator(mode="after")
    def _names_are_given_once(self) -> Self:
        names = Counter([*(rules.name or raw for raw, rules in self.columns.items()), *self.derive])
        for name in (name for name, times in names.items() if times > 1):
            raise ValueError(f"two clean columns have the name {name}")
        return self


def rules_hash(rules: Curate) -> str:
    """Return the SHA-256 of rules, in hex, whatever order they are written in."""
    declared = rules.model_dump(mode="json", exclude_defaults=True)
    return hashlib.sha256(json.dumps(declared, sort_keys=True).encode()).hexdigest()
