"""`importer list`, `history`, `start`, `run` and `preview`, and unknown or broken imports."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
import snowflake.connector

from importer.errors import ImporterError
from importer.spec.contract import Contract
from importer.spec.incremental import Incremental
from importer.versions.workspace import Workspace
from localcloud.arm import ArmStore
from localcloud.home import Home
from localcloud.houses import house_sales
from tests.data_cloud import (
    ALL_SALES,
    V1,
    V2,
    V3,
    WORKSPACE,
    blob_names,
    command,
    deployer,
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
    home: Home,
    name: str,
    trigger: dict[str, Any] = DAILY,
    variables: dict[str, str] | None = None,
    tags: dict[str, str] | None = None,
    enabled: bool = True,
) -> str:
    """Store a schedule as `ImportSchedule` makes it, with other properties, and return its id."""
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
            "jobDefinition": {
                "jobType": "Pipeline",
                "jobs": {"import": step},
                "settings": {},
                "tags": {"import": name},
            },
        },
        isEnabled=enabled,
        tags={"import": name, **(tags or {})},
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


def test_list_shows_the_time_zone_of_the_tag_unless_the_schedule_has_another(home: Home) -> None:
    for written, shown in (("Europe/Vienna", "Europe/Vienna"), ("Asia/Tokyo", "W. Europe Standard Time")):
        listed = schedule(home, "zoned", tags={"time_zone": written})
        (status,) = json.loads(command("list", "--json").stdout)
        ArmStore(home.arm_db).delete(listed)
        assert status["time_zone"] == shown


def job(home: Home, name: str, status: str, version: str = V1, number: int = 0) -> str:
    arm_id = f"{WORKSPACE}/jobs/{name}{number or ''}"
    put(
        home,
        arm_id,
        "Microsoft.MachineLearningServices/workspaces/jobs",
        jobType="Pipeline",
        displayName=f"import_{name}-{version}",
        status=status,
        properties={"azureml.scheduleName": f"import_{name}"},
        tags={"import": name},
        jobs={},
        settings={},
    )
    return arm_id


def test_list_wait_fails_with_the_reason_if_a_last_job_failed_since_then(home: Home) -> None:
    failing = schedule(home, "failing")
    job(home, "failing", "Failed")
    broken = spec("failing", "SELECT * FROM GLOBOREALTY.REAL_ESTATE.NONE")
    failed = error_line(command("run", "failing", "--version", "2026-11-23T06:00:00Z", spec=broken))
    try:
        line = error_line(command("list", "--wait", "--since", "2025-12-31T00:00:00Z"))
        later = command("list", "--wait", "--since", "2026-01-02T00:00:00Z")
    finally:
        ArmStore(home.arm_db).delete(failing)
    reason = failed.removeprefix("error: ")
    assert reason.startswith("the query failed in Snowflake: 002003")
    assert line.startswith(f"error: import failing: job failing is Failed: {reason}; log: ")
    assert (later.returncode, later.stderr) == (0, "")
    assert f"failing: job failing is Failed: {reason}" in later.stdout


def test_list_with_a_wrong_time_is_one_line() -> None:
    assert error_line(command("list", "--since", "noon")) == (
        "error: --since noon: expected a time such as 2026-11-23T06:00:00Z"
    )


def test_history_shows_each_run_with_its_rows_and_outcome(home: Home) -> None:
    growing = spec(
        "past",
        "SELECT * FROM GLOBOREALTY.REAL_ESTATE.T_PAST",
        incremental=Incremental.model_validate({"column": "ID", "key": ["NAME"], "overlap": 5}),
    )
    strict = growing.model_copy(update={"contract": Contract.model_validate({"rows": {"min": 9}})})
    listed = schedule(home, "past", variables={"IMPORT_SPEC": growing.model_dump_json()})
    with closing(snowflake.connector.connect(**deployer())) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE OR REPLACE TABLE GLOBOREALTY.REAL_ESTATE.T_PAST (ID INT, NAME VARCHAR)")
        cursor.execute("INSERT INTO GLOBOREALTY.REAL_ESTATE.T_PAST VALUES (1, 'a'), (2, 'b')")
        run(growing, V1)
        run(growing, V2)
        cursor.execute("INSERT INTO GLOBOREALTY.REAL_ESTATE.T_PAST VALUES (3, 'c'), (4, 'b')")
        with pytest.raises(ImporterError):
            run(strict, V3)
        run(growing, V3)
    job(home, "past", "Completed", V2, 2)
    job(home, "past", "Completed", V3, 3)
    try:
        result = command("history", "past")
        found = json.loads(command("history", "past", "--json").stdout)
        newest = json.loads(command("history", "past", "--json", "--count", "1").stdout)
    finally:
        ArmStore(home.arm_db).delete(listed)

    shown = ("version", "outcome", "read", "new", "replaced", "rows", "job")
    assert [tuple(run[name] for name in shown) for run in found] == [
        (V3, "failed", None, None, None, None, None),
        (V3, "registered", 4, 1, 1, 3, "past3"),
        (V2, "unchanged", 2, None, None, None, "past2"),
        (V1, "registered", 2, None, None, 2, None),
    ]
    assert found[0]["error"].startswith("contract of past: rows.min: 3 rows, expected at least 9")
    assert all(run["seconds"] is not None for run in found)
    assert newest == found[:1]
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0].split()[:4] == ["VERSION", "STARTED", "SECONDS", "READ"]
    assert len(result.stdout.splitlines()) == 6
    assert result.stdout.splitlines()[5] == f"{V3}, by hand: {found[0]['error']}"


def test_start_runs_the_job_of_the_schedule(home: Home) -> None:
    listed = schedule(home, "started")
    try:
        result = command("start", "started")
    finally:
        ArmStore(home.arm_db).delete(listed)
    assert result.returncode == 0, result.stderr
    (found,) = [d for d in ArmStore(home.arm_db).children(f"{WORKSPACE}/jobs") if "started" in d["name"]]
    first, log, _ = result.stdout.splitlines()
    assert first.startswith(f"Job {found['name']} imports started as version 20")
    assert log == f"Its log: {home.path / 'jobs' / found['name'] / 'user_logs' / 'std_log.txt'}"


def test_start_of_a_disabled_or_unknown_import_is_one_line(home: Home) -> None:
    listed = schedule(home, "resting", enabled=False)
    try:
        disabled, unknown = (error_line(command("start", name)) for name in ("resting", "nowhere"))
    finally:
        ArmStore(home.arm_db).delete(listed)
    assert disabled.startswith("error: import resting is disabled: set enabled: true")
    assert "has no import nowhere; it has: resting" in unknown


@pytest.mark.usefixtures("home")
def test_run_by_hand_says_so_and_a_job_does_not(home: Home) -> None:
    listed = schedule(home, "hand")
    try:
        by_hand = command("run", "hand", "--version", V1)
        in_job = command("run", "hand", "--version", V2, spec=spec("hand"))
    finally:
        ArmStore(home.arm_db).delete(listed)
    first = json.loads(by_hand.stdout.splitlines()[0])
    assert first["event"] == "runs here"
    assert "under your own sign-in, without a record for the alerts" in first["note"]
    assert "runs here" not in in_job.stdout


@pytest.mark.usefixtures("home")
def test_preview_is_a_table_also_in_a_pipe() -> None:
    result = command("preview", "tabled", spec=spec("tabled", ALL_SALES.replace("*", "SALE_PRICE")))
    assert result.returncode == 0, result.stderr
    head, row = (" ".join(line.split()) for line in result.stdout.splitlines())
    assert head == "column type first 10 of 2,930 rows"
    assert row.startswith("SALE_PRICE NUMBER(38,0) ")
    assert row.count(" | ") == 9


def test_preview_shows_columns_and_first_rows_and_writes_nothing(home: Home) -> None:
    previewed = spec("previewed", ALL_SALES.replace("*", "SALE_PRICE") + " -- all")
    result = command("preview", "previewed", "--json", spec=previewed)

    assert result.returncode == 0, result.stderr
    head, *rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert head == {
        "rows": 2930,
        "columns": [{"name": "SALE_PRICE", "type": "NUMBER(38,0)", "nullable": True}],
    }
    assert len(rows) == 10
    assert rows[0]["SALE_PRICE"] == house_sales()["SALE_PRICE"][0].as_py()
    assert blob_names(home, "previewed") == []
