"""Links between the repository's pages."""

from pathlib import Path

import pytest

from tests.unit.docs.pages import anchors, links, page_id, pages


def broken_links(page: Path) -> list[str]:
    """Return the links of a page whose file or whose heading does not exist."""
    broken = []
    for link in links(page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        is_there = target.exists() and (not anchor or anchor in anchors(target.read_text()))
        if not is_there:
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", pages(), ids=page_id)
def test_every_link_of_a_page_leads_to_a_file_and_heading(page: Path) -> None:
    assert broken_links(page) == []


def test_link_to_a_missing_file_or_heading_is_broken(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n## What `it` says, and why\n## Twice\n## Twice\n"
        "[here](#what-it-says-and-why) [again](#twice-1) [self](page.md#a-page) [site](https://a.example/b)\n"
        "`[code](missing.md)`\n```\n[block](missing.md)\n# no heading\n```\n"
        "[gone](gone.md) [no heading](#no-heading) ![picture](gone.png)\n"
    )
    assert broken_links(page) == ["gone.md", "#no-heading", "gone.png"]
