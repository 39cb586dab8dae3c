"""Writes a page of the documentation that is generated from the program, or checks that it is up to date."""

import sys
from pathlib import Path

_DOCS = Path(__file__).resolve().parents[1] / "docs"


def write_or_check(name: str, text: str, source: str) -> int:
    """Write docs/`name`, or with --check compare it with `text`, made from `source`; return the exit code."""
    page = _DOCS / name
    if "--check" not in sys.argv[1:]:
        page.write_text(text)
        return 0
    if page.read_text() != text:
        print(f"docs/{name} is out of date with {source}: run `make docs`", file=sys.stderr)
        return 1
    return 0
