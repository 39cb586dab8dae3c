"""Settings that the pages in docs/ show."""

from typing import Any

import pytest
import yaml

from stacks.settings.load import load
from tests.unit.docs.pages import blocks, page_id, pages
from tests.unit.stacks.stack_config import config


def shown_imports() -> list[Any]:
    """Return each `imports` that a page shows, by the page."""
    found = []
    for page in pages():
        for block in blocks(page.read_text()):
            shown = yaml.safe_load(block.content) if block.language == "yaml" else None
            if isinstance(shown, dict) and "imports" in shown:
                found.append(pytest.param(shown["imports"], id=page_id(page)))
    return found


@pytest.mark.parametrize("imports", shown_imports())
def test_imports_that_a_page_shows_load_as_settings(imports: list[dict[str, Any]]) -> None:
    assert [item.name for item in load(config(imports=imports)).imports] == [item["name"] for item in imports]


def test_pages_on_incremental_imports_contracts_and_curation_show_imports() -> None:
    shown = {parameters.id for parameters in shown_imports()}
    assert shown >= {"docs/incremental.md", "docs/contracts.md", "docs/curate.md"}
