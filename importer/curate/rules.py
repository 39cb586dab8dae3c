"""How raw rows become clean ones, and which are set aside."""

from typing import Annotated

from pydantic import Field, StringConstraints

from importer.contract.rules import Value
from importer.section import ColumnName, Section


class ValueRules(Section):
    """What a clean value must be like; a row with another one goes to quarantine."""

    required: bool = Field(default=False, description="Whether it must be there.")
    min: Value | None = Field(default=None, description="The smallest value that may be.")
    max: Value | None = Field(default=None, description="The largest value that may be.")
    allowed: list[Value] | None = Field(default=None, description="The only values that may be.")


class CleanColumn(ValueRules):
    """How a raw column becomes a clean one."""

    name: ColumnName | None = Field(default=None, description="Its name from then on.")
    trim: bool = Field(
        default=False, description="Whether blanks around text go; text of nothing else becomes NULL."
    )
    cast: str | None = Field(
        default=None, description="The type that it is cast to, such as `DATE`; what cannot be is set aside."
    )


class DerivedColumn(ValueRules):
    """A column that is computed from clean ones."""

    expression: str = Field(description="SQL expression of clean columns, such as `price / area`.")


class Deduplicate(Section):
    """Of several rows with the same key one stays; the others are set aside."""

    key: Annotated[list[ColumnName], Field(min_length=1)] = Field(
        description="Clean columns that tell rows apart."
    )
    latest: ColumnName | None = Field(
        default=None, description="Clean column whose greatest value stays; else the first row does."
    )


class Curate(Section):
    """A clean asset that is made of every version."""

    asset: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = Field(
        description="Name of the clean asset."
    )
    columns: dict[ColumnName, CleanColumn] = Field(
        default={}, description="Raw columns that change or have rules."
    )
    other_columns: bool = Field(default=True, description="Whether all other columns come along as they are.")
    derive: dict[ColumnName, DerivedColumn] = Field(
        default={}, description="Columns to compute, by their names."
    )
    deduplicate: Deduplicate | None = Field(default=None, description="Which rows are the same.")
