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


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_pages_link_to_pages_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
