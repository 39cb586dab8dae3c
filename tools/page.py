"""A page of the documentation that is made from the program: written, or held against what it should be."""

import sys
from pathlib import Path

_DOCS = Path(__file__).resolve().parents[1] / "docs"


def write_or_check(name: str, text: str, source: str) -> int:
    """Write docs/`name`, or with --check say whether it is what `source` says; return the exit code."""
    page = _DOCS / name
    if "--check" not in sys.argv[1:]:
        page.write_text(text)
        return 0
    if page.read_text() != text:
        print(f"docs/{name} is not what {source} says: run `make docs`", file=sys.stderr)
        return 1
    return 0
