"""The importer's code in a stack: with an image nothing is registered, without one a shared snapshot."""

from typing import Any

import pytest

from components.dynamic.importer_snapshot import read_environment, read_snapshot
from stacks.settings.load import load
from tests.unit.stacks.declared_stacks import (
    EXISTING_WORKSPACE,
    SCHEDULE,
    declare_imports_alone,
    declare_platform,
)
from tests.unit.stacks.stack_config import IMAGE, IMPORT, config
from tools.declared import Declared

CODE = "pulumi-python:dynamic/azureml:ImporterCode"
MLW = "azure-native:machinelearningservices:Workspace"
TWO = [IMPORT, {**IMPORT, "name": "other"}]


def build(kind: str, **changes: Any) -> Declared:
    if kind == "alone":
        return declare_imports_alone(EXISTING_WORKSPACE, imports=TWO, **changes)
    return declare_platform(imports=TWO, **changes)


@pytest.mark.parametrize("kind", ["platform", "alone"])
def test_imports_without_an_image_share_one_snapshot(kind: str) -> None:
    declared = build(kind, importerImage=None)
    (code,) = declared.all(CODE)
    snapshot = read_snapshot()
    assert code.name == "globodev-importer-code"
    assert code.inputs["code_version"] == snapshot.version
    assert code.inputs["environment_version"] == read_environment(snapshot).version
    schedules = declared.all(SCHEDULE)
    assert len(schedules) == 2
    assert [schedule.inputs.get("image") for schedule in schedules] == [None, None]
    for part in ("code", "environment"):
        assert {schedule.inputs[part] for schedule in schedules} == {f"{code.name}-{part}"}


@pytest.mark.parametrize("kind", ["platform", "alone"])
def test_imports_with_an_image_register_no_code(kind: str) -> None:
    declared = build(kind)
    assert declared.all(CODE) == []
    assert [schedule.inputs["image"] for schedule in declared.all(SCHEDULE)] == [IMAGE, IMAGE]


def test_jobs_reach_the_registry_of_an_image_and_no_other() -> None:
    def hosts(**changes: Any) -> set[str]:
        rules = build("platform", **changes).one(MLW)["managedNetwork"]["outboundRules"].values()
        return {rule["destination"] for rule in rules if rule["type"] == "FQDN"}

    assert hosts() - hosts(importerImage=None) == {"globo.azurecr.io"}


def test_stack_without_an_image_is_valid() -> None:
    assert load(config(importerImage=None)).importer_image is None
