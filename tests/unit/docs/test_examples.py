"""Settings that the pages in docs/ show."""

import json
from typing import Any

import pytest
import yaml

from stacks.settings.load import load
from tests.unit.stacks.stack_config import config
from tools.markdown import blocks, page_id, pages


def shown(section: str) -> list[Any]:
    """Return the `section` of each YAML example that has one, by the page."""
    found = []
    for page in pages():
        for block in blocks(page.read_text()):
            example = yaml.safe_load(block.content) if block.language == "yaml" else None
            if isinstance(example, dict) and section in example:
                found.append(pytest.param(example[section], id=page_id(page)))
    return found


@pytest.mark.parametrize("imports", shown("imports"))
def test_imports_that_a_page_shows_load_as_settings(imports: list[dict[str, Any]]) -> None:
    assert [item.name for item in load(config(imports=imports)).imports] == [item["name"] for item in imports]


def test_pages_on_incremental_imports_contracts_and_curation_show_imports() -> None:
    found = {parameters.id for parameters in shown("imports")}
    assert found >= {"docs/incremental.md", "docs/contracts.md", "docs/curate.md"}


@pytest.mark.parametrize("example", shown("config"))
def test_configuration_that_a_page_shows_loads_as_settings(example: dict[str, Any]) -> None:
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in example.items()}
    assert load(given).name == example["ai-platform:name"]


def test_page_on_existing_workspaces_shows_a_configuration() -> None:
    assert "docs/alone.md" in {parameters.id for parameters in shown("config")}
