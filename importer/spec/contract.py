"""The rules that the rows of an import must meet before a version is registered."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from importer.spec.names import ColumnName
from importer.spec.section import Section, Span
from importer.spec.snowflake_types import normal_type

#: A value of a column. Dates and timestamps are ISO 8601 text; numbers may be text too.
Value = bool | int | Annotated[float, Field(allow_inf_nan=False)] | str

Percent = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _columns_once(columns: list[str]) -> list[str]:
    if len(set(columns)) < len(columns):
        raise ValueError("names a column twice")
    return columns


class ColumnRules(Section):
    """The rules of one column; NULL breaches only `nullable`.

    Each field needs its checks in `importer/job/contract/checks.py`, which names a field that has none.
    """

    type: Annotated[str, AfterValidator(normal_type)] | None = Field(
        default=None, description="Snowflake type, such as `NUMBER(12,2)`; `importer preview` shows it."
    )
    nullable: bool = Field(default=True, description="Whether NULLs are allowed.")
    min: Value | None = Field(default=None, description="Smallest value allowed.")
    max: Value | None = Field(default=None, description="Largest value allowed.")
    allowed: Annotated[list[Value], Field(min_length=1)] | None = Field(
        default=None, description="The only values allowed."
    )
    unique: bool = Field(default=False, description="Whether values must be unique.")
    max_age: Span | None = Field(
        default=None, description="Maximum age of the newest value: `30m`, `6h`, `2d`."
    )

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        for name, bound in (("min", self.min), ("max", self.max)):
            if isinstance(bound, bool):
                raise ValueError(f"{name} is {str(bound).lower()}, which has no order: use allowed")
        # text is compared once the column's type is known
        numbers = [
            bound for bound in (self.min, self.max) if bound is not None and not isinstance(bound, str)
        ]
        if len(numbers) == 2 and numbers[0] > numbers[1]:
            raise ValueError(f"min {numbers[0]} is above max {numbers[1]}")
        return self


class RowRules(Section):
    """The rules for the number of rows of a version."""

    min: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Minimum number of rows.")
    max: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Maximum number of rows.")
    max_decrease: Annotated[Percent, Field(le=100)] | None = Field(
        default=None, description="Maximum decrease from the version before, in percent."
    )
    max_increase: Percent | None = Field(
        default=None, description="Maximum increase from the version before, in percent."
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Contract(Section):
    """The rules of an import: a version is registered only if all of them hold."""

    columns: dict[ColumnName, ColumnRules] = Field(
        default={}, description="Columns that must be present, each with its rules."
    )
    other_columns: bool = Field(default=True, description="Whether other columns are allowed.")
    unique: list[Annotated[list[ColumnName], Field(min_length=1), AfterValidator(_columns_once)]] = Field(
        default=[], description="Groups of columns whose values together must be unique."
    )
    rows: RowRules = Field(default=RowRules(), description="Rules for the number of rows.")
