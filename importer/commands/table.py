"""Tables that commands print, and the text of their cells."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

#: More than the width of any table: rich would cut names off at the width of the terminal, 80 in a pipe.
_WIDE = 250


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[str] = frozenset()
) -> None:
    """Print a table; the columns named in `right` are aligned to the right.

    A narrow terminal wraps its lines, so that names and versions are whole.
    """
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, width=_WIDE).print(table)


def open_console() -> Console:
    """Return a console as wide as the terminal."""
    return Console(markup=False, width=None if sys.stdout.isatty() else _WIDE)


def moment(time: datetime | None) -> str:
    """Return a time in UTC, to the minute; nothing if there is none."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%MZ}" if time else ""


def number(value: int | None) -> str:
    """Return a number with separators of thousands; nothing if there is none."""
    return "" if value is None else f"{value:,}"
