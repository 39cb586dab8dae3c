"""The page for contributors: the files and names of its recipes, and its table of sentences."""

import re

import pytest

from tools.markdown import REPOSITORY, blocks, spans, steps

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text()

#: A class, a function or a constant: `Class`, `Class.method()`, `_function()`, `CONSTANT`.
_NAME = re.compile(r"_?[A-Z]\w*|[A-Za-z_][\w.]*\(\)")


def recipes() -> list[str]:
    """Return the recipes, each with its heading."""
    found = PAGE.split("\n# Recipes\n")[1].split("\n## ")
    return found[1:]


def undefined_names(recipe: str) -> list[str]:
    """Return the names in the steps that no Python file of the recipe and no example of it defines."""
    files = [REPOSITORY / span for span in spans(recipe) if re.fullmatch(r"[\w./]+/\w+\.py", span)]
    code = "\n".join([*(block.content for block in blocks(recipe)), *(file.read_text() for file in files)])
    named = [span.removesuffix("()") for span in spans("".join(steps(recipe))) if _NAME.fullmatch(span)]
    parts = [part for name in named for part in name.split(".")]
    return [part for part in parts if not _is_defined(part, code)]


def _is_defined(name: str, code: str) -> bool:
    return bool(re.search(rf"\b(class|def) {name}\b|^ *{name}\b.* = ", code, re.MULTILINE))


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.split("\n")[0])
def test_every_name_in_a_step_is_defined_in_the_recipes_files_or_example(recipe: str) -> None:
    assert undefined_names(recipe) == []


def test_name_that_its_file_does_not_define_is_undefined() -> None:
    example = "   ```python\n   class New: ...\n   ```\n"
    recipe = f"Add\n1. `Import` and `Export` in `importer/job/run.py`.\n{example}2. `New`.\n"
    assert undefined_names(recipe) == ["Export"]


@pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.split("\n")[0])
def test_every_recipe_says_how_to_see_the_change_work(recipe: str) -> None:
    assert recipe.count("**See it work:**") == 1


def test_files_at_the_top_of_the_repository_exist() -> None:
    named = {span for span in spans(PAGE) if re.fullmatch(r"[A-Za-z][\w.-]*\.(md|toml|json|yaml|txt)", span)}
    assert len(named) > 5
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists()] == []
