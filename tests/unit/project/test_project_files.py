"""The files around the code: the version, and what Renovate sees of the pinned versions."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

import importer
from components import versions

ROOT = Path(__file__).resolve().parents[3]
LOCK = "dev-requirements.txt"
RENOVATE = json.loads((ROOT / "renovate.json").read_text())


def test_pyproject_takes_its_version_from_the_importer() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert pyproject["project"]["dynamic"] == ["version"]
    assert pyproject["tool"]["setuptools"]["dynamic"] == {"version": {"attr": "importer.__version__"}}


def test_the_latest_release_in_the_changelog_is_the_version_of_the_importer() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    releases = re.findall(r"^## \[([^]]+)](?: - \d{4}-\d\d-\d\d)?$", changelog, re.MULTILINE)

    assert releases[:2] == ["Unreleased", importer.__version__]


def pins(lock: str) -> dict[str, str]:
    """The version of each package of a lock, by its name."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("part", ["requirements.txt", "importer/requirements.txt"])
def test_part_of_the_lock_has_the_versions_of_the_whole_lock(part: str) -> None:
    of_all = pins(LOCK)

    assert len(pins(part)) > 80
    assert pins(part) == {name: of_all.get(name) for name in pins(part)}


def test_whole_lock_comes_first_by_name_as_renovate_updates_the_locks_in_that_order() -> None:
    """Its parts are constrained by it."""
    (pattern,) = RENOVATE["pip-compile"]["managerFilePatterns"]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    locks = [name for name in listed.stdout.splitlines() if re.search(pattern.strip("/"), name)]

    assert sorted(locks) == [LOCK, "importer/requirements.txt", "requirements.txt"]


def test_lock_has_one_version_of_each_package_for_all_platforms() -> None:
    names = re.findall(r"^([a-z0-9-]+)==", (ROOT / LOCK).read_text(), re.MULTILINE)

    assert len(names) == len(set(names))


def found_by_renovate(manager: dict[str, Any]) -> list[tuple[str, str]]:
    """Each dependency that a custom manager finds: its name and its pinned version."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    patterns = [pattern.strip("/") for pattern in manager["managerFilePatterns"]]
    forms = [form.replace("(?<", "(?P<") for form in manager["matchStrings"]]  # as Python spells it
    return [
        (str(found.get("depName", manager.get("depNameTemplate"))), str(found["currentValue"]))
        for name in listed.stdout.splitlines()
        if any(re.search(pattern, name) for pattern in patterns)
        for form in forms
        for found in (match.groupdict() for match in re.finditer(form, (ROOT / name).read_text()))
    ]


@pytest.mark.parametrize("manager", RENOVATE["customManagers"], ids=lambda manager: manager["description"])
def test_each_custom_manager_of_renovate_finds_a_pinned_version(manager: dict[str, Any]) -> None:
    found = found_by_renovate(manager)

    assert found
    if form := manager.get("versioningTemplate", "").removeprefix("regex:").replace("(?<", "(?P<"):
        assert [version for _, version in found if not re.match(form, version)] == []


def test_renovate_finds_every_chart_that_the_components_pin() -> None:
    pinned = sorted(value for name, value in vars(versions).items() if name.endswith("_CHART"))

    found = [
        version
        for manager in RENOVATE["customManagers"]
        if manager["datasourceTemplate"] == "helm"
        for _, version in found_by_renovate(manager)
    ]
    assert sorted(found) == pinned


def test_workflows_use_actions_by_their_digest() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        used = re.findall(r"uses: (\S+)(.*)", workflow.read_text())
        assert used
        for action, remark in used:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), f"{workflow.name}: {action}"
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", remark), f"{workflow.name}: {action}"
