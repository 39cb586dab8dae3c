"""The pages in docs/: the settings that they show are such."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.settings.stack import load
from tests.unit.stacks.settings.test_settings import config

DOCS = Path(__file__).parents[3] / "docs"


def shown_imports() -> list[Any]:
    """Return each `imports` that a page shows, by the page."""
    found = []
    for page in sorted(DOCS.glob("*.md")):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            shown = yaml.safe_load(block)
            if isinstance(shown, dict) and "imports" in shown:
                found.append(pytest.param(shown["imports"], id=page.name))
    return found


@pytest.mark.parametrize("imports", shown_imports())
def test_imports_that_the_docs_show_are_settings(imports: list[dict[str, Any]]) -> None:
    assert [item.name for item in load(config(imports=imports)).imports] == [item["name"] for item in imports]


def test_there_are_imports_in_the_docs() -> None:
    assert {parameters.id for parameters in shown_imports()} >= {"incremental.md", "contracts.md"}


PAGES = sorted([*DOCS.parent.glob("*.md"), *DOCS.rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS.parent)))
def test_links_of_a_page_lead_to_files_in_the_repository(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_index_lists_every_decision_with_its_title_status_and_date() -> None:
    index = (DOCS / "decisions" / "README.md").read_text()
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [line for line in index.splitlines() if line.startswith("| [")] == [
        "| [{number}]({file}) | {title} | {status} | {date} |".format(file=path.name, **_head(path))
        for path in records
    ]


def _head(record: Path) -> dict[str, str]:
    form = (
        r"# (?P<number>\d{4})\. (?P<title>.+)\n\n"
        r"Status: (?P<status>.+) · Date: (?P<date>\d{4}-\d\d-\d\d)\n\n## Context\n"
    )
    found = re.match(form, record.read_text())
    assert found, f"{record.name} does not begin as the other records do"
    return found.groupdict()
