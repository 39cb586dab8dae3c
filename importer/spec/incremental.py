"""How an import that reads only what is new tells what that is."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from importer.spec.names import ColumnName
from importer.spec.section import Section, Span

#: How far back: a time span, or a number where the column holds numbers.
Overlap = Span | Annotated[int, Field(ge=1)]


class Incremental(Section):
    """Each version adds the rows that are new since the one before it."""

    column: ColumnName = Field(
        description="Column that grows with every new or changed row: a date, a timestamp or a number."
    )
    key: list[ColumnName] = Field(
        default=[],
        description="Columns that tell rows apart: of several rows with the same key the newest stays.",
    )
    overlap: Overlap | None = Field(
        default=None,
        description="How far back every import reads again, for rows that came late: `30m`, `6h`, `2d`, or a "
        "number where `column` is one. Needs `key`.",
    )
    full_every: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None,
        description="Every so many versions one is read in full, without the rows that were deleted since.",
    )

    @model_validator(mode="after")
    def _overlap_needs_a_key(self) -> Self:
        if self.overlap is not None and not self.key:
            raise ValueError("overlap needs key: without one, what is read again would be there twice")
        return self
