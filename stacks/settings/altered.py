"""Values that YAML or Pulumi have changed before the program sees them, as far as the result shows it.

YAML reads a bare date as a time, which Pulumi passes on as Go prints it. Pulumi passes numbers on as doubles,
which hold whole numbers up to 2**53 only (https://protobuf.dev/reference/protobuf/google.protobuf/#value).
"""

import re
from collections.abc import Iterator

_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} \S+")
_EXACT = 2**53

#: The way from a setting to a value in it.
Path = list[int | str]


def altered_values(value: object, path: Path) -> Iterator[tuple[Path, str, object]]:
    """Yield path, problem and value of each value below `path` that is not as it was written."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from altered_values(inner, [*path, str(name)])
        case list():
            for number, inner in enumerate(value):
                yield from altered_values(inner, [*path, number])
        case str() if _DATE.fullmatch(value):
            yield path, "YAML has read a date and changed how it is written: put it in quotes", value
        case bool():
            pass
        case int() | float() if abs(value) >= _EXACT:
            yield path, "a number from 2^53 on loses digits on its way: put it in quotes", value
        case _:
            pass
