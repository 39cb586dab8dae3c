"""What the rows of an import must be like for a version to be made of them."""

from typing import Annotated

from pydantic import Field

from importer.section import ColumnName, Section, Span

#: A value of a column: dates and timestamps are ISO 8601 text, and so may numbers be.
Value = bool | int | float | str


class ColumnRules(Section):
    """What the values of one column must be like."""

    type: str | None = Field(
        default=None, description="Snowflake's type, such as `NUMBER(12,2)`: `importer preview` shows it."
    )
    nullable: bool = Field(default=True, description="Whether there may be NULLs.")
    min: Value | None = Field(default=None, description="The smallest value that may be.")
    max: Value | None = Field(default=None, description="The largest value that may be.")
    allowed: list[Value] | None = Field(default=None, description="The only values that may be.")
    unique: bool = Field(default=False, description="Whether no value may be there twice.")
    max_age: Span | None = Field(
        default=None, description="How old the newest value may be at most: `30m`, `6h`, `2d`."
    )


class RowRules(Section):
    """How many rows a version must have."""

    min: Annotated[int, Field(ge=0)] | None = Field(default=None, description="The fewest rows.")
    max: Annotated[int, Field(ge=0)] | None = Field(default=None, description="The most rows.")
    max_decrease: Annotated[float, Field(ge=0, le=100)] | None = Field(
        default=None, description="By how many percent of the last version's there may be fewer rows."
    )
    max_increase: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="By how many percent of the last version's there may be more rows."
    )


class Contract(Section):
    """What must hold; else nothing is registered."""

    columns: dict[ColumnName, ColumnRules] = Field(
        default={}, description="Columns that must be there, each with its rules."
    )
    other_columns: bool = Field(default=True, description="Whether there may be other columns too.")
    unique: list[Annotated[list[ColumnName], Field(min_length=1)]] = Field(
        default=[], description="Groups of columns whose values together may not be there twice."
    )
    rows: RowRules = Field(default=RowRules(), description="How many rows there must be.")
