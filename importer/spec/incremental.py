"""How an import finds the rows that are new since the version before."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from importer.spec.names import ColumnName
from importer.spec.section import Section, Span

#: How far back: a time span, or a number where the column holds numbers.
Overlap = Span | Annotated[int, Field(ge=1)]


class Incremental(Section):
    """Each version adds the rows that are new since the version before."""

    column: ColumnName = Field(
        description="Column that increases with every new or changed row: a date, a timestamp or a number."
    )
    key: list[ColumnName] = Field(
        default=[],
        description="Columns that identify a row: of several rows with the same key the newest is kept.",
    )
    overlap: Overlap | None = Field(
        default=None,
        description="How far back every import reads again, for late rows: `30m`, `6h`, `2d`, or a number if "
        "`column` is a number. Needs `key`.",
    )
    full_every: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="Number of imports after which one reads all rows, and so drops those deleted since.",
    )

    register_unchanged: bool = Field(
        default=False,
        description="Whether an import that finds no new row registers a version too, with the rows of the "
        "version before.",
    )

    @model_validator(mode="after")
    def _overlap_needs_a_key(self) -> Self:
        if self.overlap is not None and not self.key:
            raise ValueError("overlap needs key: without it, rows that are read again would be duplicated")
        return self
