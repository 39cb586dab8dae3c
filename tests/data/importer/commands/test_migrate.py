"""`importer migrate --workspace`: the real client reads a workspace with import schedules."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from localcloud.arm import ArmStore
from localcloud.home import SUBSCRIPTION_ID, Home
from stacks.settings.load import load
from tests.importer_process import run_importer
from tests.local_cloud import Cloud, new_cloud
from tests.unit.stacks.stack_config import IMAGE

GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg"
KIND = "Microsoft.MachineLearningServices/workspaces"
WORKSPACE = f"{GROUP}/providers/{KIND}/ws"
CANARY = "canary-7f3a"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A local cloud whose workspace has schedules and connections of Azure ML's own data import."""
    cloud = new_cloud(tmp_path_factory.mktemp("migrate"))
    _put(cloud.home, GROUP)
    _put(cloud.home, WORKSPACE)
    _put_connections(cloud.home)
    _put_schedules(cloud.home)
    cloud.start("azure")
    yield cloud
    cloud.run("stop")


def _put(home: Home, arm_id: str, **properties: Any) -> None:
    name = arm_id.rpartition("/")[2]
    ArmStore(home.arm_db).put(
        arm_id, {"id": arm_id, "name": name, "type": KIND, "properties": properties, "systemData": {}}
    )


def _put_connections(home: Home) -> None:
    target = "jdbc:snowflake://globo-prod.snowflakecomputing.com/?db=GLOBO&warehouse=WH&role=LOADER"
    connections: dict[str, dict[str, Any]] = {
        "estates": {"category": "Snowflake", "target": target},
        "ledger": {"category": "AzureSqlDb", "target": "Server=tcp:ledger.example.test"},
    }
    for name, properties in connections.items():
        credentials = {"username": "u", "password": CANARY}
        _put(
            home,
            f"{WORKSPACE}/connections/{name}",
            authType="UsernamePassword",
            credentials=credentials,
            **properties,
        )
    ours = {"account": "a", "host": "h", "warehouse": "W", "role": "R", "sign_in": "workload_identity"}
    _put(
        home,
        f"{WORKSPACE}/connections/snowflake",
        category="Snowflake",
        authType="None",
        target="https://h:443",
        metadata=ours,
    )


def _put_schedules(home: Home) -> None:
    daily = {
        "triggerType": "Recurrence",
        "frequency": "Week",
        "interval": 1,
        "schedule": {"hours": [6], "minutes": [30], "weekDays": ["Monday", "Friday"]},
        "timeZone": "Central Standard Time",
    }
    cron = {"triggerType": "Cron", "expression": "0 6 * * 1", "timeZone": "UTC"}
    database = {"sourceType": "database", "connection": "azureml:estates", "query": "select * from s.raw"}
    files = {"sourceType": "file_system", "connection": "azureml:gone", "path": "a/"}
    _put_schedule(home, "weekly", daily, _importing("sales", database))
    _put_schedule(home, "old", cron, _importing("agents", database), isEnabled=False)
    _put_schedule(home, "files", daily, _importing("photos", files))
    _put_schedule(
        home, "sql", daily, _importing("books", {**database, "connection": f"{WORKSPACE}/connections/ledger"})
    )
    _put_schedule(home, "unreadable", daily, {"actionType": "ImportData"})
    _put_schedule(home, "ended", daily, {"actionType": "Ended"})


def _importing(asset: str, source: dict[str, str]) -> dict[str, Any]:
    definition = {"assetName": asset, "dataUri": "azureml://datastores/d/paths/p/${{name}}", "source": source}
    return {"actionType": "ImportData", "dataImportDefinition": definition}


def _put_schedule(
    home: Home, name: str, trigger: dict[str, Any], action: dict[str, Any], **more: Any
) -> None:
    properties = {"isEnabled": True, **more, "trigger": trigger, "action": action}
    _put(home, f"{WORKSPACE}/schedules/{name}", **properties)


def _migrate(cloud: Cloud, workspace: str) -> subprocess.CompletedProcess[str]:
    environment = {**cloud.env, "AZURE_RESOURCE_GROUP": "rg", "AZUREML_WORKSPACE": workspace}
    return run_importer(["migrate", "--workspace"], environment)


def test_live_workspace_becomes_settings_that_load(cloud: Cloud) -> None:
    done = _migrate(cloud, "ws")
    assert (done.returncode, done.stderr) == (0, "")
    config = {key: json.dumps(value) for key, value in yaml.safe_load(done.stdout)["config"].items()}
    settings = load(
        {
            "ai-platform:name": "globodev",
            "ai-platform:location": "westeurope",
            "ai-platform:importerImage": IMAGE,
            **config,
        }
    )
    assert (settings.snowflake.account, settings.snowflake.role) == ("globo-prod", "LOADER")
    imports = {
        item.name: (item.query, item.schedule, item.time_zone, item.enabled) for item in settings.imports
    }
    assert imports == {
        "sales": ("select * from GLOBO.s.raw", "30 6 * * 1,5", "Central Standard Time", True),
        "agents": ("select * from GLOBO.s.raw", "0 6 * * 1", "UTC", False),
    }
    for line in (
        "import photos: it reads files",
        "import books: its connection ledger is of type azure_sql_db",
        "schedule unreadable: azure-ai-ml cannot read it",
        "schedule ended: azure-ai-ml cannot read it",
        "its user and password are not migrated",
    ):
        assert line in done.stdout
    assert CANARY not in done.stdout
    assert "connection snowflake" not in done.stdout


def test_missing_workspace_is_one_line(cloud: Cloud) -> None:
    done = _migrate(cloud, "none")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: schedules of workspace none: ")
    assert done.stderr.count("\n") == 1
