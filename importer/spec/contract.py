"""What the rows of an import must be like for a version to be made of them."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from importer.spec.names import ColumnName
from importer.spec.section import Section, Span
from importer.spec.snowflake_types import normal_type

#: A value of a column: dates and timestamps are ISO 8601 text, and so may numbers be.
Value = bool | int | Annotated[float, Field(allow_inf_nan=False)] | str

Percent = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _columns_once(columns: list[str]) -> list[str]:
    if len(set(columns)) < len(columns):
        raise ValueError("names a column twice")
    return columns


class ColumnRules(Section):
    """What the values of one column must be like; a NULL breaches `nullable` and nothing else."""

    type: Annotated[str, AfterValidator(normal_type)] | None = Field(
        default=None, description="Snowflake's type, such as `NUMBER(12,2)`: `importer preview` shows it."
    )
    nullable: bool = Field(default=True, description="Whether there may be NULLs.")
    min: Value | None = Field(default=None, description="The smallest value that may be.")
    max: Value | None = Field(default=None, description="The largest value that may be.")
    allowed: Annotated[list[Value], Field(min_length=1)] | None = Field(
        default=None, description="The only values that may be."
    )
    unique: bool = Field(default=False, description="Whether no value may be there twice.")
    max_age: Span | None = Field(
        default=None, description="How old the newest value may be at most: `30m`, `6h`, `2d`."
    )

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        for name, bound in (("min", self.min), ("max", self.max)):
            if isinstance(bound, bool):
                raise ValueError(f"{name} is {str(bound).lower()}, which has no order: use allowed")
        # what text means, the column's type tells
        numbers = [
            bound for bound in (self.min, self.max) if bound is not None and not isinstance(bound, str)
        ]
        if len(numbers) == 2 and numbers[0] > numbers[1]:
            raise ValueError(f"min {numbers[0]} is above max {numbers[1]}")
        return self


class RowRules(Section):
    """How many rows a version must have."""

    min: Annotated[int, Field(ge=0)] | None = Field(default=None, description="The fewest rows.")
    max: Annotated[int, Field(ge=0)] | None = Field(default=None, description="The most rows.")
    max_decrease: Annotated[Percent, Field(le=100)] | None = Field(
        default=None, description="By how many percent of the last version's there may be fewer rows."
    )
    max_increase: Percent | None = Field(
        default=None, description="By how many percent of the last version's there may be more rows."
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Contract(Section):
    """What must hold; else nothing is registered."""

    columns: dict[ColumnName, ColumnRules] = Field(
        default={}, description="Columns that must be there, each with its rules."
    )
    other_columns: bool = Field(default=True, description="Whether there may be other columns too.")
    unique: list[Annotated[list[ColumnName], Field(min_length=1), AfterValidator(_columns_once)]] = Field(
        default=[], description="Groups of columns whose values together may not be there twice."
    )
    rows: RowRules = Field(default=RowRules(), description="How many rows there must be.")
