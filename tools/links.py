"""Checks the links of the repository's pages, and the pages that code and settings name."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.markdown import REPOSITORY, anchors, links, pages

#: Files in which a page may be named: in a comment, in an error, in a description.
_SOURCES = ("*.py", "*.sh", "*.yaml", "*.yml", "*.toml", "Makefile")

#: A page's path, with the anchor of a heading, outside a Markdown link.
_NAMED_PAGE = re.compile(r"\bdocs/[\w/-]+\.md(?:#[\w-]+)?")


def main() -> int:
    """Print each broken link; return the exit code."""
    found = [line for page in pages() for line in broken_links(page)]
    found += [line for source in sources() for line in missing_pages(source)]
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


def broken_links(page: Path) -> Iterator[str]:
    """Yield a line for each link of a page whose file or heading does not exist."""
    for link in links(page.read_text()):
        if not _leads_somewhere(link, page):
            yield f"{page}: broken link {link}"


def sources() -> list[Path]:
    """Return the tracked files that may name a page."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *_SOURCES], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return [REPOSITORY / name for name in listed.stdout.splitlines()]


def missing_pages(source: Path) -> Iterator[str]:
    """Yield a line for each page that a file of the program names and that does not exist."""
    for named in sorted(set(_NAMED_PAGE.findall(source.read_text()))):
        if not _leads_somewhere(named, REPOSITORY / "README.md"):
            yield f"{source}: there is no {named}"


def _leads_somewhere(link: str, page: Path) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in anchors(target.read_text()))


if __name__ == "__main__":
    sys.exit(main())
