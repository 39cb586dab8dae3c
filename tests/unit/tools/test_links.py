"""Links between the repository's pages, and pages that the code names."""

from pathlib import Path

from tools.links import broken_links, main, missing_pages


def test_every_link_of_the_repository_leads_to_a_file_and_heading() -> None:
    assert main() == 0


def test_link_to_a_missing_file_or_heading_is_broken(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n## What `it` says, and why\n## Twice\n## Twice\n"
        "[here](#what-it-says-and-why) [again](#twice-1) [self](page.md#a-page) [site](https://a.example/b)\n"
        "`[code](missing.md)`\n```\n[block](missing.md)\n# no heading\n```\n"
        "[gone](gone.md) [no heading](#no-heading) ![picture](gone.png)\n"
    )
    broken = [f"{page}: broken link {link}" for link in ("gone.md", "#no-heading", "gone.png")]
    assert list(broken_links(page)) == broken


def test_error_that_names_a_missing_page_or_heading_is_found(tmp_path: Path) -> None:
    source = tmp_path / "errors.py"
    page = "docs/" + "gone.md"  # in one piece, this file would name it
    source.write_text(f'"see docs/alone.md, docs/keeping.md#retention-which-versions-stay, {page}"')
    assert list(missing_pages(source)) == [f"{source}: there is no {page}"]
