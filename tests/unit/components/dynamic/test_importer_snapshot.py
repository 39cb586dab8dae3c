"""Which files a snapshot of the importer has, what changes its version, and what its environment has."""

import ast
import os
import subprocess
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
    """A small importer."""
    package = tmp_path / "checkout" / "importer"
    (package / "job").mkdir(parents=True)
    (package / "commands").mkdir()
    (package / "__init__.py").write_bytes(b"")
    (package / "run.py").write_bytes(b"print('hello')\nprint('you')\n")
    (package / "job" / "text.txt").write_bytes("größer\n".encode())
    (package / "job" / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\r\n")
    (package / "commands" / "page.html").write_bytes(b"<p></p>\n")
    (package / "requirements.txt").write_bytes(LOCK.encode())
    return package


def test_snapshot_has_the_job_and_its_lock_but_neither_commands_nor_compiled_files() -> None:
    files = read_snapshot().files
    assert {"__main__.py", "job/run.py", "spec/import_spec.py", "requirements.txt"} <= files.keys()
    assert not [name for name in files if "__pycache__" in name or name.startswith("commands/")]


def _touch(package: Path) -> None:
    os.utime(package / "run.py", (0, 0))


def _compile(package: Path) -> None:
    (package / "job" / "__pycache__").mkdir()
    (package / "job" / "__pycache__" / "page.cpython-311.pyc").write_bytes(b"\0")


def _change_line_ends(package: Path) -> None:
    for path in package.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def _move(package: Path) -> None:
    package.rename(package.parents[1] / "importer")


def _add_files_of_tools(package: Path) -> None:
    (package / ".mypy_cache").mkdir()
    (package / ".mypy_cache" / "x.json").write_text("{}")
    (package / "job" / ".DS_Store").write_bytes(b"\0")
    (package / "empty").mkdir()


def _make_read_only(package: Path) -> None:
    (package / "run.py").chmod(0o555)


def _change_a_command(package: Path) -> None:
    (package / "commands" / "page.html").write_bytes(b"<p>new</p>\n")
    (package / "commands" / "new.py").write_bytes(b"")


@pytest.mark.parametrize(
    "change",
    [
        _touch,
        _compile,
        _change_line_ends,
        _move,
        _add_files_of_tools,
        _make_read_only,
        _change_a_command,
    ],
)
def test_a_change_that_no_job_sees_keeps_the_version(package: Path, change: Callable[[Path], None]) -> None:
    before = read_snapshot(package)
    change(package)
    (after,) = (read_snapshot(path) for path in package.parents[1].rglob("importer"))
    assert (after.version, after.files) == (before.version, before.files)


def _change_a_byte(package: Path) -> None:
    (package / "run.py").write_bytes(b"print('hello')\nprint('yoU')\n")


def _change_a_binary_line_end(package: Path) -> None:
    logo = package / "job" / "logo.png"
    logo.write_bytes(logo.read_bytes().replace(b"\r\n", b"\n"))


def _change_the_job(package: Path) -> None:
    (package / "job" / "text.txt").write_bytes(b"other\n")


def _rename(package: Path) -> None:
    (package / "run.py").rename(package / "ran.py")


def _move_text_to_the_next_file(package: Path) -> None:
    (package / "run.py").write_bytes(b"print('hello')\n")
    (package / "run2.py").write_bytes(b"print('you')\n")


def _add(package: Path) -> None:
    (package / "job" / "__init__.py").write_bytes(b"")


def _remove(package: Path) -> None:
    (package / "job" / "text.txt").unlink()


@pytest.mark.parametrize(
    "change",
    [
        _change_a_byte,
        _change_a_binary_line_end,
        _change_the_job,
        _rename,
        _move_text_to_the_next_file,
        _add,
        _remove,
    ],
)
def test_a_change_of_the_job_changes_the_version(package: Path, change: Callable[[Path], None]) -> None:
    before = read_snapshot(package).version
    change(package)
    assert read_snapshot(package).version != before


def test_a_written_snapshot_reads_as_the_same_snapshot(package: Path, tmp_path: Path) -> None:
    snapshot = read_snapshot(package)
    snapshot.write(tmp_path / "job")
    assert read_snapshot(tmp_path / "job" / "importer") == snapshot
    assert (tmp_path / "job" / "importer" / "job" / "text.txt").read_text("utf-8") == "größer\n"


def test_environment_keeps_the_marker_of_a_package_and_leaves_out_its_hashes() -> None:
    lock = "tzdata==2026.6 ; sys_platform == 'win32' \\\n    --hash=sha256:ab\n    # via tzlocal\n"
    environment = read_environment(Snapshot("importer", {"requirements.txt": lock.encode()}))
    assert environment.conda["dependencies"][-1] == {"pip": ["tzdata==2026.6 ; sys_platform == 'win32'"]}


def test_environment_has_the_exact_versions_of_the_lock() -> None:
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
def test_a_changed_package_changes_the_environment_and_a_changed_comment_does_not(
    lock: str, is_same: bool
) -> None:
    versions = {
        read_environment(Snapshot("importer", {"requirements.txt": text.encode()})).version
        for text in (LOCK, lock)
    }
    assert (len(versions) == 1) is is_same


def test_lock_of_the_job_has_no_package_that_only_the_program_or_a_command_needs() -> None:
    own = _pins(REPOSITORY / "importer/requirements.txt")
    of_others = {"pulumi", "pulumi-azure-native", "jinja2", "vl-convert-python", "fakesnow", "mltable"}
    assert not own.keys() & of_others


def test_lock_of_the_job_has_every_package_that_its_files_import() -> None:
    imported = set()
    for name, content in read_snapshot().files.items():
        for node in ast.walk(ast.parse(content)) if name.endswith(".py") else ():
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module)
    foreign = {name.split(".")[0] for name in imported} - sys.stdlib_module_names - {"importer", "azure"}
    distributions = packages_distributions()
    needed = {_normal(distributions[name][0]) for name in foreign}
    # a namespace of several distributions
    needed |= {_normal(name) for name in _azure(imported)}
    assert needed <= _locked()


#: Runs the importer where only the distributions of the job's lock can be imported.
_RUN = """
import sys

class OnlyLocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"{name} is not in the lock")

sys.meta_path.insert(0, OnlyLocked())
import importlib, pkgutil, runpy
import importer

for module in pkgutil.walk_packages(importer.__path__, "importer."):
    if module.name != "importer.__main__":
        importlib.import_module(module.name)
sys.argv = ["importer", "run", "houses"]
runpy.run_module("importer", run_name="__main__", alter_sys=True)
"""


def test_snapshot_runs_an_import_with_the_packages_of_its_lock_alone(tmp_path: Path) -> None:
    read_snapshot().write(tmp_path)
    locked = _locked()
    missing = {
        module
        for module, names in packages_distributions().items()
        if not locked.intersection(map(_normal, names)) and module not in sys.stdlib_module_names
    }
    assert {"pulumi", "fakesnow", "mltable"} <= missing
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"MISSING = {missing!r}\n{_RUN}"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    # everything is imported; what is missing is the workspace in the environment
    assert done.stderr.startswith("error: "), done.stderr
    assert "AZUREML_WORKSPACE" in done.stderr
    assert done.returncode == 1


def _pins(path: Path) -> dict[str, str]:
    lines = (line.split()[0] for line in path.read_text().splitlines() if line[:1].isalnum())
    return {name: version for name, _, version in (line.partition("==") for line in lines)}


def _locked() -> set[str]:
    """Return the distributions of the job's lock."""
    return {_normal(name) for name in _pins(REPOSITORY / "importer/requirements.txt")}


def _azure(imported: set[str]) -> set[str]:
    """Return the distributions of the `azure` modules, which are named after their modules."""
    parts = (name.split(".") for name in imported if name.startswith("azure."))
    return {"-".join(part[:2]) if part[1] in ("core", "identity") else "-".join(part[:3]) for part in parts}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-")
