"""What sections of a stack's settings and of an import's specification share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel


class Section(BaseModel):
    """A section of what is declared: nothing besides the declared fields, in camel case."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=False,
        serialize_by_alias=True,
    )


#: A column's name as the query returns it, without quotes: in capitals, unless the query quotes it.
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=255)]

#: A time span in minutes, hours or days.
Span = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,5}[mhd]$")]
