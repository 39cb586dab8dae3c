"""Schedules of imports without an image, whose code is registered in the workspace."""

from typing import Any

import pytest
from pulumi.output import UNKNOWN

from tests.unit.components.dynamic.fake_workspace import ROOT, FakeWorkspace
from tests.unit.components.dynamic.import_schedules import (
    ID,
    PROVIDER,
    SCHEDULE,
    create,
    declared,
    live_job,
    workspace,
    writes,
)

__all__ = ["workspace"]

ENVIRONMENT = f"{ROOT}/environments/importer/versions/e1"
CODE = f"{ROOT}/codes/importer/versions/c1"
#: The changes that replace the image by registered code.
FROM_CODE = {"image": None, "environment": ENVIRONMENT, "code": CODE}


@pytest.mark.parametrize(
    ("changes", "is_right"),
    [
        ({}, True),
        (FROM_CODE, True),
        (FROM_CODE | {"image": "importer:1"}, False),
        (FROM_CODE | {"environment": None}, False),
        (FROM_CODE | {"code": None}, False),
        ({"image": None}, False),
        ({"code": CODE}, False),
        ({"environment": ENVIRONMENT}, False),
        # in a preview of a changed importer
        (FROM_CODE | {"environment": UNKNOWN, "code": UNKNOWN}, True),
        (FROM_CODE | {"environment": UNKNOWN}, True),
        (FROM_CODE | {"code": UNKNOWN}, True),
    ],
)
def test_check_requires_either_an_image_or_environment_and_code(
    changes: dict[str, Any], is_right: bool
) -> None:
    given = {name: value for name, value in (declared() | changes).items() if value is not None}
    reasons = [failure.reason for failure in PROVIDER.check({}, given).failures]
    assert (reasons == []) is is_right
    assert all(
        reason.startswith("code: expected either an image or both environment and code; got")
        for reason in reasons
    )


def test_job_without_an_image_runs_the_code_in_the_environment(workspace: FakeWorkspace) -> None:
    outs = create(**FROM_CODE)

    (component,) = (d for path, d in workspace.documents.items() if path.startswith("components/"))
    spec = component["properties"]["componentSpec"]
    assert (spec["environment"], spec["code"]) == (f"azureml:{ENVIRONMENT}", f"azureml:{CODE}")
    assert not [path for path in workspace.documents if path.startswith(("environments/", "codes/"))]
    variables = live_job(workspace)["jobs"]["import"]["environment_variables"]
    assert (variables["IMPORTER_ENVIRONMENT"], variables["IMPORTER_CODE"]) == (ENVIRONMENT, CODE)
    assert "IMPORTER_IMAGE" not in variables
    assert PROVIDER.read(ID, outs).outs == outs
    assert PROVIDER.diff(ID, outs, declared(**FROM_CODE)).changes is False


def test_new_code_updates_the_schedule_in_place(workspace: FakeWorkspace) -> None:
    outs = create(**FROM_CODE)
    writes(workspace)
    news = declared(**FROM_CODE | {"code": CODE.replace("c1", "c2")})

    assert PROVIDER.changes(outs, news | {"code": UNKNOWN}) == ["code"]
    diff = PROVIDER.diff(ID, outs, news)
    assert (diff.changes, diff.replaces) == (True, [])
    PROVIDER.update(ID, outs, news)
    assert writes(workspace) == [f"PUT {SCHEDULE}"]
    assert live_job(workspace)["jobs"]["import"]["environment_variables"]["IMPORTER_CODE"].endswith("c2")


def test_image_can_be_replaced_by_code_and_back(workspace: FakeWorkspace) -> None:
    outs = create()
    assert PROVIDER.changes(outs, declared(**FROM_CODE)) == ["code", "environment", "image"]
    updated = PROVIDER.update(ID, outs, declared(**FROM_CODE)).outs or {}
    assert PROVIDER.read(ID, updated).outs == updated
    assert PROVIDER.update(ID, updated, declared()).outs == outs
    assert "IMPORTER_CODE" not in live_job(workspace)["jobs"]["import"]["environment_variables"]
