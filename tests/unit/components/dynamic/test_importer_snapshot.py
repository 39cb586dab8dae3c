"""Which files a snapshot of the importer has, what it is called, and what its environment is built of."""

import ast
import os
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from components.dynamic.importer_snapshot import BASE_IMAGE, Snapshot, read_environment, read_snapshot
from tests.local_cloud import REPOSITORY

LOCK = "duckdb==2.0.0 \\\n    --hash=sha256:ab\n    # via x==1\nazure-core==1.41.0 \\\n    --hash=sha256:cd\n"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small importer of its own."""
    package = tmp_path / "checkout" / "importer"
    (package / "report").mkdir(parents=True)
    (package / "__init__.py").write_bytes(b"")
    (package / "run.py").write_bytes(b"print('hello')\nprint('you')\n")
    (package / "report" / "page.html").write_bytes("<p>größer</p>\n".encode())
    (package / "report" / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\r\n")
    (package / "requirements.txt").write_bytes(LOCK.encode())
    return package


def test_the_files_are_all_that_the_job_needs() -> None:
    files = read_snapshot().files
    assert {"__main__.py", "job/run.py", "requirements.txt"} <= files.keys()
    assert not [name for name in files if "__pycache__" in name or name.endswith(".pyc")]


def _touch(package: Path) -> None:
    os.utime(package / "run.py", (0, 0))


def _compile(package: Path) -> None:
    (package / "report" / "__pycache__").mkdir()
    (package / "report" / "__pycache__" / "page.cpython-311.pyc").write_bytes(b"\0")


def _let_git_change_line_ends(package: Path) -> None:
    for path in package.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def _move(package: Path) -> None:
    package.rename(package.parents[1] / "importer")


def _leave_what_tools_leave(package: Path) -> None:
    (package / ".mypy_cache").mkdir()
    (package / ".mypy_cache" / "x.json").write_text("{}")
    (package / "report" / ".DS_Store").write_bytes(b"\0")
    (package / "empty").mkdir()


def _forbid_to_write(package: Path) -> None:
    (package / "run.py").chmod(0o555)


@pytest.mark.parametrize(
    "change", [_touch, _compile, _let_git_change_line_ends, _move, _leave_what_tools_leave, _forbid_to_write]
)
def test_what_is_no_change_of_the_code_is_the_same_version(
    package: Path, change: Callable[[Path], None]
) -> None:
    before = read_snapshot(package)
    change(package)
    (after,) = (read_snapshot(path) for path in package.parents[1].rglob("importer"))
    assert (after.version, after.files) == (before.version, before.files)


def _change_a_byte(package: Path) -> None:
    (package / "run.py").write_bytes(b"print('hello')\nprint('yoU')\n")


def _change_a_binary_line_end(package: Path) -> None:
    logo = package / "report" / "logo.png"
    logo.write_bytes(logo.read_bytes().replace(b"\r\n", b"\n"))


def _rename(package: Path) -> None:
    (package / "run.py").rename(package / "ran.py")


def _move_text_to_the_next_file(package: Path) -> None:
    (package / "run.py").write_bytes(b"print('hello')\n")
    (package / "run2.py").write_bytes(b"print('you')\n")


def _add(package: Path) -> None:
    (package / "report" / "__init__.py").write_bytes(b"")


def _remove(package: Path) -> None:
    (package / "report" / "page.html").unlink()


@pytest.mark.parametrize(
    "change",
    [_change_a_byte, _change_a_binary_line_end, _rename, _move_text_to_the_next_file, _add, _remove],
)
def test_a_change_of_the_code_is_another_version(package: Path, change: Callable[[Path], None]) -> None:
    before = read_snapshot(package).version
    change(package)
    assert read_snapshot(package).version != before


def test_what_is_written_is_what_was_read(package: Path, tmp_path: Path) -> None:
    snapshot = read_snapshot(package)
    snapshot.write(tmp_path / "job")
    assert read_snapshot(tmp_path / "job" / "importer") == snapshot
    assert (tmp_path / "job" / "importer" / "report" / "page.html").read_text("utf-8") == "<p>größer</p>\n"


def test_the_environment_has_the_locks_exact_versions() -> None:
    environment = read_environment(Snapshot("importer", {"requirements.txt": LOCK.encode()}))
    assert environment.image == BASE_IMAGE
    assert environment.conda["dependencies"] == [
        "python=3.11",
        "pip",
        {"pip": ["duckdb==2.0.0", "azure-core==1.41.0"]},
    ]


@pytest.mark.parametrize(
    ("lock", "is_same"),
    [
        (LOCK.replace("ab", "ef"), True),
        (LOCK.replace("\n", "\n# a remark\n"), True),
        (LOCK.replace("2.0.0", "2.0.1"), False),
        (LOCK + "numpy==2.0\n", False),
    ],
)
def test_another_package_is_another_environment(lock: str, is_same: bool) -> None:
    versions = {
        read_environment(Snapshot("importer", {"requirements.txt": text.encode()})).version
        for text in (LOCK, lock)
    }
    assert (len(versions) == 1) is is_same


def _pins(path: Path) -> dict[str, str]:
    lines = (line.split()[0] for line in path.read_text().splitlines() if line[:1].isalnum())
    return {name: version for name, _, version in (line.partition("==") for line in lines)}


def test_the_importers_lock_agrees_with_the_repositorys() -> None:
    own, all_ = (_pins(REPOSITORY / path) for path in ("importer/requirements.txt", "requirements.txt"))
    assert own == {name: all_.get(name) for name in own}
    assert not own.keys() & {"pulumi", "pulumi-azure-native", "fakesnow", "mltable"}


def test_the_importers_lock_has_whatever_it_imports() -> None:
    imported = set()
    for path in (REPOSITORY / "importer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module)
    foreign = {name.split(".")[0] for name in imported} - sys.stdlib_module_names - {"importer", "azure"}
    distributions = packages_distributions()
    needed = {_normal(distributions[name][0]) for name in foreign}
    # a namespace of several distributions
    needed |= {_normal(name) for name in _azure(imported)}
    assert needed <= {_normal(name) for name in _pins(REPOSITORY / "importer/requirements.txt")}


def _azure(imported: set[str]) -> set[str]:
    """Return the distributions of the `azure` modules, which are called as these are."""
    parts = (name.split(".") for name in imported if name.startswith("azure."))
    return {"-".join(part[:2]) if part[1] in ("core", "identity") else "-".join(part[:3]) for part in parts}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")
