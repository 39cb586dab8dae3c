"""An import's schedule: what a program declares of it, and what the fake workspace holds."""

from typing import Any

import pytest

from components.dynamic.import_schedule import ImportScheduleProvider
from components.dynamic.workspace import WorkspaceRef
from tests.unit.components.dynamic.fake_workspace import ROOT, WORKSPACE, FakeWorkspace

SCHEDULE = "schedules/import_raw_house_data"
ID = f"{ROOT}/{SCHEDULE}"
PROVIDER = ImportScheduleProvider()
SINCE = "2026-11-24T05:00:00Z"


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    fake = FakeWorkspace()
    monkeypatch.setattr(WorkspaceRef, "client", lambda _: fake.client())
    return fake


def declared(**changes: Any) -> dict[str, Any]:
    """Return the checked properties that a program declares, as Pulumi passes them on."""
    query = changes.pop("query", "SELECT * FROM raw")
    given = {
        "workspace": WORKSPACE,
        "spec": {"name": "raw_house_data", "connection": "snowflake", "query": query},
        "cron": "0 6 * * *",
        "time_zone": "Europe/Berlin",
        "image": "importer:1",
        "identity_client_id": "c11e",
        "scheduled_since": SINCE,
        "tags": {"stack": "dev"},
        "managed_by_stack": "ai-platform/dev/raw_house_data",
        **changes,
    }
    # Pulumi leaves out what is null
    result = PROVIDER.check({}, {name: value for name, value in given.items() if value is not None})
    assert result.failures == []
    return result.inputs


def create(**changes: Any) -> dict[str, Any]:
    outs = PROVIDER.create(declared(**changes)).outs
    assert outs is not None
    return outs


def live_job(workspace: FakeWorkspace) -> dict[str, Any]:
    job: dict[str, Any] = workspace.documents[SCHEDULE]["properties"]["action"]["jobDefinition"]
    return job


def writes(workspace: FakeWorkspace) -> list[str]:
    """Return the requests that changed the schedule, and clear them."""
    lines = [line for line in workspace.writes if SCHEDULE in line]
    workspace.writes.clear()
    return lines
