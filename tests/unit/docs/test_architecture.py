"""The page on the architecture: its rooms, and the files and names that its walks pass."""

import re

import pytest

from tools.markdown import REPOSITORY, spans, steps

PAGE = (REPOSITORY / "docs" / "architecture.md").read_text()


def rooms() -> list[str]:
    """Return the folder of each room of the packages that the page is about."""
    packages = [REPOSITORY / package for package in ("stacks", "components", "importer")]
    files = [file for package in packages for file in sorted(package.glob("*/__init__.py"))]
    return [f"{file.parent.relative_to(REPOSITORY).as_posix()}/" for file in files]


def names(step: str) -> list[str]:
    """Return the classes and functions that a step names: `Class`, `function()`, `Class.method()`."""
    return [span for span in spans(step) if re.fullmatch(r"[A-Z]\w*[a-z]\w*|[\w.]+\(\)", span)]


@pytest.mark.parametrize("room", rooms())
def test_every_room_is_on_the_page(room: str) -> None:
    assert f"| `{room}` |" in PAGE


@pytest.mark.parametrize("step", steps(PAGE), ids=lambda step: spans(step)[0])
def test_every_name_of_a_step_is_defined_in_a_file_of_the_step(step: str) -> None:
    files = [REPOSITORY / span for span in spans(step) if span.endswith(".py")]
    code = "\n".join(file.read_text() for file in files)
    for name in names(step):
        for part in name.removesuffix("()").split("."):
            assert re.search(rf"\b(class|def) {part}\b", code), name


def test_walks_have_steps_that_name_code() -> None:
    assert len(steps(PAGE)) > 25
    assert sum(len(names(step)) for step in steps(PAGE)) > 25
