"""`importer list` and `preview`, and unknown or broken imports."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from importer.versions.workspace import Workspace
from localcloud.arm import ArmStore
from localcloud.home import Home
from localcloud.houses import house_sales
from tests.data_cloud import (
    ALL_SALES,
    V1,
    V2,
    WORKSPACE,
    blob_names,
    command,
    error_line,
    put,
    run,
    spec,
)


@pytest.mark.usefixtures("known")
def test_unknown_import_is_an_error_that_lists_the_imports() -> None:
    line = error_line(command("run", "unknown"))
    assert "has no import unknown; it has: known" in line


@pytest.fixture
def known(home: Home) -> Iterator[str]:
    """The name of an import with a schedule in the workspace."""
    arm_id = schedule(home, "known")
    yield "known"
    ArmStore(home.arm_db).delete(arm_id)


DAILY = {"triggerType": "Cron", "expression": "0 6 * * *", "timeZone": "W. Europe Standard Time"}


def schedule(
    home: Home, name: str, trigger: dict[str, Any] = DAILY, variables: dict[str, str] | None = None
) -> str:
    """Store a schedule as `ImportSchedule` makes it, with another trigger or variables, and return its id."""
    arm_id = f"{WORKSPACE}/schedules/import_{name}"
    step = {
        "type": "command",
        "componentId": f"{WORKSPACE}/components/azureml_anonymous/versions/1",
        "environment_variables": {"IMPORT_SPEC": spec(name).model_dump_json()}
        if variables is None
        else variables,
    }
    put(
        home,
        arm_id,
        "Microsoft.MachineLearningServices/workspaces/schedules",
        trigger=trigger,
        action={
            "actionType": "CreateJob",
            "jobDefinition": {"jobType": "Pipeline", "jobs": {"import": step}, "settings": {}},
        },
        isEnabled=True,
        tags={"import": name},
    )
    return arm_id


def test_list_shows_newest_version_and_next_time(home: Home) -> None:
    listed = schedule(home, "listed")
    run(spec("listed"), V1)
    run(spec("listed"), V2)

    result = command("list", "--json", "--wait", "--timeout", "5")

    ArmStore(home.arm_db).delete(listed)

    assert result.returncode == 0, result.stderr
    (status,) = json.loads(result.stdout)
    assert (status["version"], status["rows"], status["time_zone"]) == (V2, 2930, "W. Europe Standard Time")
    assert datetime.fromisoformat(status["next"]) > datetime.now(UTC)


@pytest.mark.usefixtures("known")
def test_list_shows_imports_beside_schedules_that_were_changed_by_hand(home: Home) -> None:
    daily = {"triggerType": "Recurrence", "frequency": "Day", "interval": 1, "timeZone": "UTC"}
    changed = [schedule(home, "recurring", daily), schedule(home, "emptied", variables={})]
    try:
        statuses = {found["name"]: found for found in json.loads(command("list", "--json").stdout)}
        assert Workspace().spec("known").name == "known"
        assert Workspace().spec("recurring").name == "recurring"
        line = error_line(command("run", "emptied"))
    finally:
        for arm_id in changed:
            ArmStore(home.arm_db).delete(arm_id)

    assert statuses.keys() == {"known", "recurring", "emptied"}
    assert (statuses["recurring"]["cron"], statuses["recurring"]["next"]) == (None, None)
    assert [name for name, found in statuses.items() if found["problem"]] == ["emptied"]
    assert "schedule import_emptied: its job has no IMPORT_SPEC" in line


def job(home: Home, name: str, status: str) -> None:
    put(
        home,
        f"{WORKSPACE}/jobs/{name}",
        "Microsoft.MachineLearningServices/workspaces/jobs",
        jobType="Pipeline",
        displayName=f"import_{name}-{V1}",
        status=status,
        properties={"azureml.scheduleName": f"import_{name}"},
        tags={"import": name},
        jobs={},
        settings={},
    )


def test_list_wait_fails_if_a_last_job_failed(home: Home) -> None:
    failing = schedule(home, "failing")
    job(home, "failing", "Failed")
    try:
        line = error_line(command("list", "--wait"))
    finally:
        ArmStore(home.arm_db).delete(failing)
    assert "import failing: job failing is Failed" in line


def test_preview_shows_columns_and_first_rows_and_writes_nothing(home: Home) -> None:
    result = command(
        "preview", "previewed", spec=spec("previewed", ALL_SALES.replace("*", "SALE_PRICE") + " -- all")
    )

    assert result.returncode == 0, result.stderr
    head, *rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert head == {
        "rows": 2930,
        "columns": [{"name": "SALE_PRICE", "type": "NUMBER(38,0)", "nullable": True}],
    }
    assert len(rows) == 10
    assert rows[0]["SALE_PRICE"] == house_sales()["SALE_PRICE"][0].as_py()
    assert blob_names(home, "previewed") == []
