"""The page `docs/first-import.md`: its commands run in order, in one shell, and print what the page shows."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.local_cloud import REPOSITORY, new_cloud
from tools.markdown import blocks

PAGE = (REPOSITORY / "docs" / "first-import.md").read_text()

#: `make` of the page, without the set-up that the tests have done already. The test has no platform before
#: the page's first `make up`, and so no variables that name its workspace.
_MAKE = 'make() { MAKE=true tools/stack.sh "$1" local && . .local/env; }\n'
_END = "the status of the block is"


class Shell:
    """A shell that keeps its functions and variables from one block to the next."""

    def __init__(self, directory: Path) -> None:
        self._script = directory / "block.sh"
        kept = ("HOME", "PATH", "XDG_CACHE_HOME")  # a shell that has sourced nothing
        self._process = subprocess.Popen(
            ["bash"],
            cwd=directory,
            env={name: os.environ[name] for name in kept if name in os.environ}
            | {"LOCALCLOUD_HOME": str(directory / ".local")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )

    def run(self, block: str) -> tuple[str, int]:
        """Run a block; return what it printed and the status of its last command."""
        assert self._process.stdin
        assert self._process.stdout
        self._script.write_text(block)
        self._process.stdin.write(f'. "{self._script}" </dev/null\necho "{_END} $?"\n')
        self._process.stdin.flush()
        printed = ""
        for line in self._process.stdout:
            if line.startswith(_END):
                return printed, int(line.removeprefix(_END))
            printed += line
        raise AssertionError(f"the shell has ended: {printed}")

    def close(self) -> None:
        """End the shell, and a command that still runs in it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working tree whose settings the page may change, with a local cloud that has no platform yet."""
    project = tmp_path_factory.mktemp("project")
    packages = ("stacks", "components", "importer", "localcloud", "tools", ".venv")
    for name in (*packages, "__main__.py", "Pulumi.yaml"):
        (project / name).symlink_to(REPOSITORY / name)
    shutil.copy(REPOSITORY / "Pulumi.local.yaml", project)
    cloud = new_cloud(project / ".local")
    try:
        cloud.start()
        yield project
    finally:
        cloud.run("stop")


@pytest.fixture(scope="module")
def shell(project: Path) -> Iterator[Shell]:
    """The reader's shell, in the working tree."""
    shell = Shell(project)
    shell.run(_MAKE)
    yield shell
    shell.close()


def sections() -> list[str]:
    """Return the sections of the page that have commands, in order."""
    return [section for section in re.split(r"^## ", PAGE, flags=re.MULTILINE) if blocks(section)]


def set_import(settings: Path, entry: str) -> None:
    """Add an entry of imports to a stack's settings, or replace the one with its name."""
    document = yaml.safe_load(settings.read_text())
    (item,) = yaml.safe_load(entry)
    imports = document["config"]["ai-platform:imports"]
    document["config"]["ai-platform:imports"] = [i for i in imports if i["name"] != item["name"]] + [item]
    settings.write_text(yaml.safe_dump(document))


def missing_lines(printed: str, expected: str) -> list[str]:
    """Return the expected lines that are part of no printed one; `…` is any text, some blanks are one."""
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    return [
        line
        for line in expected.splitlines()
        if not any(re.search(".*".join(map(re.escape, line.split("…"))), found) for found in lines)
    ]


@pytest.mark.timeout(600)  # a section deploys the platform and imports twice
@pytest.mark.parametrize("section", sections(), ids=lambda section: section.splitlines()[0])
def test_commands_of_a_section_print_what_it_shows(project: Path, shell: Shell, section: str) -> None:
    printed, status = "", 0
    for language, content in blocks(section):
        match language:
            case "bash":
                printed, status = shell.run(content)
                assert status == 0 or "error: " in section, printed[-2000:]
            case "text":
                assert missing_lines(printed, content) == [], printed[-2000:]
                assert (status != 0) == ("error: " in content)
            case "yaml":
                set_import(project / "Pulumi.local.yaml", content)
            case _:
                pytest.fail(f"the page has a block of {language}")
