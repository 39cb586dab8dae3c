"""Commands and paths that the repository's pages name."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.markdown import REPOSITORY, blocks, page_id, pages, spans

#: Blocks that hold no commands.
_NOT_COMMANDS = ("yaml", "mermaid", "python")

#: Folders of the repository whose files pages name by their path.
_FOLDERS = ("bench", "components", "docs", "importer", "localcloud", "stacks", "tests", "tools", ".github")

#: What the set-up makes: a fresh clone lacks it.
_MADE_BY_SET_UP = {"localcloud/node_modules"}


def commands(page: Path) -> list[str]:
    """Return what a page shows as code that may be a command."""
    text = page.read_text()
    shown = [
        line
        for block in blocks(text)
        if block.language not in _NOT_COMMANDS
        for line in block.content.split("\n")
    ]
    return [*shown, *spans(text)]


def make_targets() -> set[str]:
    """Return the targets of the Makefile."""
    rules = re.findall(r"^([a-z][a-z ]*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    return {target for rule in rules for target in rule.split()}


def subcommands(package: str) -> set[str]:
    """Return the commands that a package's `__main__` declares with typer."""
    tree = ast.parse((REPOSITORY / package / "__main__.py").read_text())
    return {
        str(call.args[0].value) if call.args and isinstance(call.args[0], ast.Constant) else function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for call in function.decorator_list
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "app.command"
    }


def unknown_commands(shown: list[str]) -> Iterator[str]:
    """Yield the commands of this repository that do not exist."""
    known = {package: subcommands(package) for package in ("importer", "localcloud")}
    targets = make_targets()
    for text in shown:
        for target in re.findall(r"\bmake ([a-z]+)\b", text):
            if target not in targets:
                yield f"make {target}"
        for module in re.findall(r"\bpython -m ([a-z_.]+)", text):
            if importlib.util.find_spec(module) is None:
                yield f"python -m {module}"
        for package, command in re.findall(r"(?:^|-m |\s)(importer|localcloud) ([a-z]+)\b", text):
            if command not in known[package]:
                yield f"{package} {command}"


@pytest.mark.parametrize("page", pages(), ids=page_id)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    assert list(unknown_commands(commands(page))) == []


def test_command_that_does_not_exist_is_unknown() -> None:
    shown = [
        "make up STACK=dev",
        "make coffee",
        "python -m importer lost NAME",
        "importer list",
        "python -m loca",
    ]
    assert list(unknown_commands(shown)) == ["make coffee", "importer lost", "python -m loca"]


#: Decisions are dated: a path in one is the path of that day.
_CURRENT = [page for page in pages() if page.parent.name != "decisions"]


@pytest.mark.parametrize("page", _CURRENT, ids=page_id)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    named = {span.rstrip("/") for span in spans(page.read_text()) if span.split("/")[0] in _FOLDERS}
    paths = {path for path in named - _MADE_BY_SET_UP if re.fullmatch(r"[\w./*-]+", path)}
    assert [path for path in sorted(paths) if not list(REPOSITORY.glob(path))] == []
