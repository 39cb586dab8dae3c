"""The repository's pages in Markdown: their text, links, headings and code."""

import re
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[1]

#: A fenced block, with its language and content.
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^()\s]+)\)|^\[[^\]]+\]: (\S+)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    content: str


def pages() -> list[Path]:
    """Return every page that a reader of the repository starts from."""
    names = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
    top = [REPOSITORY / name for name in names]
    return [page for page in (*top, *sorted((REPOSITORY / "docs").rglob("*.md"))) if page.exists()]


def page_id(page: Path) -> str:
    """Return a page's path in the repository, which names it in a test's id."""
    return page.relative_to(REPOSITORY).as_posix()


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page."""
    return [Block(*found) for found in _BLOCK.findall(text)]


def spans(text: str) -> list[str]:
    """Return the code between backticks, outside fenced blocks."""
    return _SPAN.findall(_BLOCK.sub("", text))


def steps(text: str) -> list[str]:
    """Return the numbered steps of a page, or of a part of it."""
    return [step for step in re.split(r"^(?=\d+\. |## )", text, flags=re.MULTILINE) if step[:1].isdigit()]


def links(text: str) -> list[str]:
    """Return the targets of a page's links and pictures, without those to other sites."""
    prose = _SPAN.sub("", _BLOCK.sub("", text))
    targets = [inline or reference for inline, reference in _LINK.findall(prose)]
    return [target for target in targets if not re.match(r"\w+:", target)]


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives a page's headings: the second of a name ends in `-1`."""
    found: set[str] = set()
    counts: dict[str, int] = {}
    for heading in _HEADING.findall(_BLOCK.sub("", text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        number = counts.get(slug, 0)
        counts[slug] = number + 1
        found.add(f"{slug}-{number}" if number else slug)
    return found
