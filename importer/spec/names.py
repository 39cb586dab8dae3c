"""The rule of each kind of name."""

import difflib
import re
from collections.abc import Collection
from typing import Annotated

from pydantic import StringConstraints

#: An Azure ML asset name (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules),
#: without hyphens: so it is also a Python and a Snowflake identifier.
AssetName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]

#: A Snowflake identifier that needs no quotes (https://docs.snowflake.com/en/sql-reference/identifiers-syntax).
IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_$]{0,254}$")
Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER.pattern)]

#: A column's name as the query returns it, without quotes: in capitals, unless the query quotes it.
ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=255)]

#: The most columns that an error lists.
_LISTED = 10


def nearest_column(name: str, known: Collection[str]) -> str:
    """Return the end of an error about an unknown column: which one was probably meant, or which exist."""
    by_letters = {column.casefold(): column for column in known}
    close = difflib.get_close_matches(name.casefold(), by_letters, n=1)
    if close:
        return f"did you mean {by_letters[close[0]]}?"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"the columns are {', '.join([*known][:_LISTED])}{more}"
