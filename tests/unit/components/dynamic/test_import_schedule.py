"""The whole life of an import's schedule, against the real azure-ai-ml client."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pulumi.output import UNKNOWN

from components.dynamic.provider import ResourceError
from importer.spec.import_spec import ImportSpec
from tests.unit.components.dynamic.fake_workspace import ROOT, FakeWorkspace
from tests.unit.components.dynamic.import_schedules import (
    ID,
    PROVIDER,
    SCHEDULE,
    SINCE,
    create,
    declared,
    live_job,
    workspace,
    writes,
)

TRIGGER = f"POST {SCHEDULE}/trigger"
__all__ = ["workspace"]


def test_check_normalises_cron_and_time_zone() -> None:
    inputs = declared(cron=" 0  6 * * 1 ")
    assert inputs["cron"] == "0 6 * * 1"
    assert inputs["time_zone"] == "W. Europe Standard Time"


def test_options_of_an_import_reach_its_job_as_they_are(workspace: FakeWorkspace) -> None:
    spec = {
        "name": "raw_house_data",
        "connection": "snowflake",
        "query": "SELECT 1",
        "mode": "unload",
        "contract": {"columns": {"PRICE": {"min": 0.5}}},
        "keep_versions": 3,
        "added_later": [True],
    }
    PROVIDER.create(declared(spec=spec))
    assert json.loads(live_job(workspace)["jobs"]["import"]["environment_variables"]["IMPORT_SPEC"]) == spec


@pytest.mark.usefixtures("workspace")
def test_options_that_a_preview_does_not_know_pass() -> None:
    spec = {"name": "raw_house_data", "connection": "snowflake", "query": "SELECT * FROM raw"}
    unknown = declared(spec=spec | {"datastore": UNKNOWN, "contract": {"rows": {"min": UNKNOWN}}})
    assert PROVIDER.diff(ID, create(), unknown).changes is True


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cron": "0 6 1 * *"}, "cron: day and month must be *, as Azure ML ignores them; got '0 6 1 * *'"),
        ({"time_zone": "Mars/Base"}, "time_zone: not a time zone;"),
        ({"image": UNKNOWN, "cron": "soon"}, "cron: expected 5 fields"),
        ({"crno": "0 6 * * *"}, "crno: extra inputs are not permitted"),
        (
            {"spec": {"name": "raw; curl", "connection": "snowflake", "query": "SELECT 1"}},
            "spec.name: String should match pattern",
        ),
    ],
)
def test_broken_rule_is_reported_with_its_property(changes: dict[str, Any], reason: str) -> None:
    failures = PROVIDER.check({}, declared() | changes).failures
    assert [failure.reason.startswith(reason) for failure in failures] == [True]


def test_create_makes_a_schedule_whose_job_runs_the_importer(workspace: FakeWorkspace) -> None:
    result = PROVIDER.create(declared())

    assert result.id == ID
    properties = workspace.documents[SCHEDULE]["properties"]
    assert properties["trigger"] == {
        "triggerType": "Cron",
        "expression": "0 6 * * *",
        "timeZone": "W. Europe Standard Time",
    }
    assert properties["tags"] == {
        "stack": "dev",
        "import": "raw_house_data",
        "scheduled_since": (result.outs or {})["scheduled_since"],
        "managed_by_stack": "ai-platform/dev/raw_house_data",
    }
    node = live_job(workspace)["jobs"]["import"]
    spec = ImportSpec.model_validate_json(node["environment_variables"].pop("IMPORT_SPEC"))
    assert spec.query == "SELECT * FROM raw"
    assert node["environment_variables"] == {
        "IMPORTER_IMAGE": "importer:1",
        "AZURE_SUBSCRIPTION_ID": "5ab0",
        "AZURE_RESOURCE_GROUP": "rg",
        "AZUREML_WORKSPACE": "mlw",
        "AZURE_CLIENT_ID": "c11e",
        "MANAGED_IDENTITY_CLIENT_ID": "c11e",
    }
    assert live_job(workspace)["inputs"]["trigger_time"]["value"] == "${{creation_context.trigger_time}}"
    component = next(d for path, d in workspace.documents.items() if path.startswith("components/"))
    assert component["properties"]["componentSpec"]["command"] == (
        'python -m importer run raw_house_data --version "${{inputs.trigger_time}}"'
    )
    assert component["properties"]["componentSpec"]["is_deterministic"] is False


def test_create_starts_the_first_import_once(workspace: FakeWorkspace) -> None:
    create()
    assert writes(workspace) == [f"PUT {SCHEDULE}", TRIGGER]


@pytest.mark.parametrize("changes", [{"run_on_create": False}, {"enabled": False}])
def test_create_without_run_on_create_or_disabled_starts_no_import(
    workspace: FakeWorkspace, changes: dict[str, Any]
) -> None:
    create(**changes)
    assert TRIGGER not in workspace.writes


def test_create_updates_an_existing_schedule_with_its_mark(workspace: FakeWorkspace) -> None:
    create(cron="5 5 * * *", query="SELECT 1")
    create()
    assert workspace.documents[SCHEDULE]["properties"]["trigger"]["expression"] == "0 6 * * *"
    variables = live_job(workspace)["jobs"]["import"]["environment_variables"]
    assert "SELECT * FROM raw" in variables["IMPORT_SPEC"]


@pytest.mark.parametrize(
    ("path", "properties"),
    [
        ("jobs/1", {"jobType": "Command", "command": "python -m importer"}),
        ("data/raw_house_data/versions/1", {"dataType": "mltable", "dataUri": "azureml://x"}),
    ],
)
def test_retried_create_after_a_started_import_starts_no_other(
    workspace: FakeWorkspace, path: str, properties: dict[str, Any]
) -> None:
    workspace.refused[TRIGGER] = 504
    with pytest.raises(ResourceError):
        create()
    workspace.refused.clear()
    workspace.put(path, properties)
    writes(workspace)

    create()

    assert writes(workspace) == [f"PUT {SCHEDULE}"]


def test_retried_create_before_a_started_import_starts_it(workspace: FakeWorkspace) -> None:
    workspace.refused[TRIGGER] = 503
    with pytest.raises(ResourceError):
        create()
    workspace.refused.clear()
    writes(workspace)

    create()

    assert writes(workspace) == [f"PUT {SCHEDULE}", TRIGGER]


def test_read_after_create_shows_no_drift(workspace: FakeWorkspace) -> None:
    outs = create()
    workspace.documents[SCHEDULE]["properties"]["tags"]["added-by"] = "the service"

    result = PROVIDER.read(ID, outs)

    assert result.outs == outs
    assert result.inputs == declared()
    assert PROVIDER.diff(ID, result.outs or {}, declared()).changes is False


VARIABLES = ("action", "jobDefinition", "jobs", "import", "environment_variables")


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        (("trigger", "expression"), "0 7 * * *", "cron"),
        (("trigger", "timeZone"), "UTC", "time_zone"),
        (("isEnabled",), False, "enabled"),
        (("tags",), {}, "tags"),
        (VARIABLES, {}, "spec"),
        ((*VARIABLES, "IMPORT_SPEC"), "no JSON", "spec"),
        ((*VARIABLES, "IMPORTER_IMAGE"), "importer:2", "image"),
        ((*VARIABLES, "IMPORTER_CODE"), f"{ROOT}/codes/importer/versions/c1", "code"),
        ((*VARIABLES, "IMPORTER_ENVIRONMENT"), f"{ROOT}/environments/importer/versions/e1", "environment"),
        (("action", "jobDefinition", "settings"), {"default_compute": f"{ROOT}/computes/gpu"}, "compute"),
    ],
)
def test_read_after_a_change_in_the_workspace_shows_it_as_drift(
    workspace: FakeWorkspace, path: tuple[str, ...], value: object, name: str
) -> None:
    outs = create()
    node = workspace.documents[SCHEDULE]["properties"]
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value

    live = PROVIDER.read(ID, outs)

    assert live.outs is not None
    assert live.inputs is not None
    assert name in PROVIDER.changes(live.outs, declared())
    assert live.inputs.get(name) != declared().get(name)


def test_schedule_without_variables_can_be_refreshed_updated_and_deleted(workspace: FakeWorkspace) -> None:
    outs = create()
    live_job(workspace)["jobs"]["import"]["environment_variables"] = {}

    live = PROVIDER.read(ID, outs).outs or {}
    assert PROVIDER.read(ID, live).outs == live
    diff = PROVIDER.diff(ID, live, declared())
    assert (diff.changes, diff.replaces) == (True, [])
    updated = PROVIDER.update(ID, live, declared()).outs or {}
    assert PROVIDER.diff(ID, updated, declared()).changes is False
    PROVIDER.delete(ID, live)
    assert SCHEDULE not in workspace.documents


COMMAND_JOB = {
    "jobType": "Command",
    "command": "true",
    "environmentId": f"{ROOT}/environments/e/versions/1",
    "componentId": f"{ROOT}/components/c/versions/1",
}


@pytest.mark.parametrize(
    "change",
    [
        lambda action: action.update(jobDefinition=COMMAND_JOB),
        lambda action: action["jobDefinition"].pop("jobs"),
        lambda action: action["jobDefinition"].pop("settings"),
        lambda action: action["jobDefinition"]["jobs"]["import"].pop("environment_variables"),
    ],
    ids=["command-job", "no-steps", "no-settings", "no-variables"],
)
def test_changed_job_shows_as_drift_and_an_update_restores_it(
    workspace: FakeWorkspace, change: Callable[[dict[str, Any]], Any]
) -> None:
    outs = create()
    change(workspace.documents[SCHEDULE]["properties"]["action"])

    live = PROVIDER.read(ID, outs).outs or {}

    assert set(PROVIDER.changes(live, declared())) & {"spec", "compute"}
    updated = PROVIDER.update(ID, live, declared()).outs or {}
    assert PROVIDER.diff(ID, updated, declared()).changes is False


def test_read_of_a_deleted_schedule_returns_no_id(workspace: FakeWorkspace) -> None:
    outs = create()
    del workspace.documents[SCHEDULE]
    result = PROVIDER.read(ID, outs)
    assert (result.id, result.outs) == (None, {})


def test_changed_cron_and_query_update_the_schedule_in_place(workspace: FakeWorkspace) -> None:
    outs = create()
    writes(workspace)
    news = declared(cron="30 5 * * *", query="SELECT 2")

    diff = PROVIDER.diff(ID, outs, news)
    updated = PROVIDER.update(ID, outs, news).outs

    assert PROVIDER.changes(outs, news) == ["cron", "spec"]
    assert (diff.changes, diff.replaces) == (True, [])
    assert writes(workspace) == [f"PUT {SCHEDULE}"]
    assert workspace.documents[SCHEDULE]["properties"]["trigger"]["expression"] == "30 5 * * *"
    environment = live_job(workspace)["jobs"]["import"]["environment_variables"]
    assert json.loads(environment["IMPORT_SPEC"])["query"] == "SELECT 2"
    assert updated is not None
    assert PROVIDER.diff(ID, updated, news).changes is False


@pytest.mark.parametrize(
    ("changes", "since"),
    [
        ({"image": "importer:2"}, SINCE),
        ({"cron": "0 7 * * *"}, "2026-12-01T00:00:00Z"),
        ({"time_zone": "UTC"}, "2026-12-01T00:00:00Z"),
        ({"enabled": False}, "2026-12-01T00:00:00Z"),
    ],
)
@pytest.mark.usefixtures("workspace")
def test_preview_knows_scheduled_since_which_changes_only_with_the_times(
    changes: dict[str, Any], since: str
) -> None:
    outs = create()
    recorded = PROVIDER.read(ID, outs).inputs or {}
    news = declared(scheduled_since="2026-12-01T00:00:00Z", **changes)

    checked = PROVIDER.check(recorded, news).inputs

    assert checked["scheduled_since"] == since
    updated = PROVIDER.update(ID, outs, checked).outs or {}
    assert updated["scheduled_since"] == since


def test_new_schedule_has_its_times_since_now() -> None:
    earliest = datetime.now(UTC).replace(microsecond=0)
    since = datetime.fromisoformat(declared(scheduled_since=None)["scheduled_since"])
    assert earliest <= since <= datetime.now(UTC)


def test_preview_knows_the_names_of_an_import_although_its_identity_is_unknown() -> None:
    known = PROVIDER.check({}, declared() | {"identity_client_id": UNKNOWN}).inputs
    names = ("schedule_name", "asset_name", "mode")
    assert [known[name] for name in names] == ["import_raw_house_data", "raw_house_data", "stream"]

    spec = {"name": "raw_house_data", "connection": UNKNOWN, "query": "SELECT 1"}
    unknown = PROVIDER.check({}, declared() | {"spec": spec}).inputs
    assert not unknown.keys() & set(names)


def test_job_gets_the_log_endpoint_and_rule(workspace: FakeWorkspace) -> None:
    outs = create(log_endpoint="https://imports.ingest", log_rule="dcr-1")
    variables = live_job(workspace)["jobs"]["import"]["environment_variables"]
    assert variables["IMPORT_LOG_ENDPOINT"] == "https://imports.ingest"
    assert variables["IMPORT_LOG_RULE"] == "dcr-1"
    live = PROVIDER.read(ID, outs).inputs
    assert live is not None
    assert (live["log_endpoint"], live["log_rule"]) == ("https://imports.ingest", "dcr-1")


def test_changed_import_name_replaces_the_schedule() -> None:
    news = declared(spec={"name": "other", "connection": "snowflake", "query": "SELECT 1"})
    assert PROVIDER.diff(ID, declared(), news).replaces == ["spec"]


def test_changed_run_on_create_is_no_difference() -> None:
    assert PROVIDER.diff(ID, declared(), declared(run_on_create=False)).changes is False


def test_delete_disables_then_deletes_and_a_second_delete_does_nothing(workspace: FakeWorkspace) -> None:
    outs = create()
    writes(workspace)

    PROVIDER.delete(ID, outs)
    assert writes(workspace) == [f"PUT {SCHEDULE}", f"DELETE {SCHEDULE}"]
    assert SCHEDULE not in workspace.documents

    PROVIDER.delete(ID, outs)
    assert writes(workspace) == []


def test_refused_request_is_one_line_with_resource_and_request_id(workspace: FakeWorkspace) -> None:
    workspace.refused[f"PUT {SCHEDULE}"] = 403
    with pytest.raises(ResourceError) as caught:
        create()
    assert str(caught.value) == (
        "schedules/import_raw_house_data in workspace mlw: the service says no (status 403, request id req-7)"
    )
