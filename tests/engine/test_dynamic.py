"""Snowflake connections and import schedules under the real engine, the local workspace and a Snowflake."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import snowflake.connector

from localcloud.arm import ArmStore, Document
from localcloud.certificate import ensure_certificate
from localcloud.home import SUBSCRIPTION_ID, Home
from localcloud.jobs import stop_jobs
from tests.local_cloud import new_cloud, wait_for_port

ROOT = Path(__file__).resolve().parents[2]
GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg"

PROGRAM = """
import json, pathlib, pulumi
from components.dynamic.snowflake_connection import SnowflakeConnection, SnowflakeConnectionArgs
from components.imports.snowflake_import import SnowflakeImport, SnowflakeImportArgs
from importer.spec.snowflake_target import SnowflakeTarget

settings = json.loads(pathlib.Path("settings.json").read_text())
connection = SnowflakeConnection("snowflake", SnowflakeConnectionArgs(
    target=SnowflakeTarget(**settings["target"]), **settings["connection"]))
arrives = SnowflakeImport("houses", SnowflakeImportArgs(
    spec={"connection": connection.connection_name, **settings["spec"]},
    **settings["import"]))
names = connection.columns.apply(lambda columns: [column["name"] for column in columns["houses"]])
pulumi.export("columns", names)
pulumi.export("schedule", arrives.schedule_name)
"""


@dataclass
class Cloud:
    """The processes of a local Azure ML service and a local Snowflake."""

    home: Home
    variables: dict[str, str]

    @property
    def store(self) -> ArmStore:
        return ArmStore(self.home.arm_db)

    def new_workspace(self, name: str) -> str:
        arm_id = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/{name}"
        self.store.put(arm_id, {"id": arm_id, "name": name, "properties": {"workspaceId": name}})
        return arm_id

    def sql(self, statement: str) -> None:
        with snowflake.connector.connect(
            user="DEPLOYER",
            password=self.variables["SNOWFLAKE_PASSWORD"],
            account="local",
            host="127.0.0.1",
            port=self.home.ports["snowflake"],
            protocol="http",
        ) as connection:
            connection.cursor().execute(statement)


@dataclass
class Stack:
    """A Pulumi project with the program above, and its own workspace."""

    directory: Path
    environment: dict[str, str]
    cloud: Cloud
    workspace_id: str
    settings: dict[str, dict[str, Any]]

    def pulumi(self, *command: str) -> subprocess.CompletedProcess[str]:
        (self.directory / "settings.json").write_text(json.dumps(self.settings))
        return subprocess.run(
            ["pulumi", *command, "--non-interactive", "--color=never"],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def succeed(self, *command: str) -> str:
        done = self.pulumi(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def fail(self, *command: str) -> str:
        done = self.pulumi(*command)
        assert done.returncode != 0, done.stdout
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def up(self, *options: str) -> str:
        return self.succeed("up", "--yes", "--skip-preview", *options)

    def child(self, path: str) -> Document | None:
        return self.cloud.store.get(f"{self.workspace_id}/{path}")

    def schedule(self) -> Document:
        document = self.child("schedules/import_houses")
        assert document
        properties: Document = document["properties"]
        return properties

    def job_variables(self) -> dict[str, str]:
        """Return the environment variables of the schedule's job."""
        job = self.schedule()["action"]["jobDefinition"]
        return dict(job["jobs"]["import"]["environment_variables"])

    def imports(self) -> int:
        """Return how many imports have started, whether or not their jobs succeeded."""
        return len(self.cloud.store.children(f"{self.workspace_id}/jobs"))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    home = new_cloud(tmp_path_factory.mktemp("localcloud")).home
    path, ports = home.path, home.ports
    ensure_certificate(home)
    passwords = {"snowflake-deployer": "not-for-the-state", "snowflake-importer": "nor-this"}
    home.vault_file.write_text(json.dumps(passwords))
    variables = {
        "AZUREML_DEV_URL_MFE": home.azure_url,
        "REQUESTS_CA_BUNDLE": str(home.ca_bundle),
        "IDENTITY_ENDPOINT": home.identity_url,
        "IDENTITY_HEADER": "local",
        "SNOWFLAKE_USER": "DEPLOYER",
        "SNOWFLAKE_PASSWORD": passwords["snowflake-deployer"],
        "SNOWFLAKE_HOST": "127.0.0.1",
        "SNOWFLAKE_PORT": str(ports["snowflake"]),
        "SNOWFLAKE_PROTOCOL": "http",
    }
    with ExitStack() as running:
        for module in ("localcloud.workspace", "localcloud.snowflake"):
            process = running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", module],
                    cwd=ROOT,
                    env={**os.environ, "LOCALCLOUD_HOME": str(path)},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            running.callback(process.kill)
        for service in ("azure", "identity", "snowflake"):
            wait_for_port(ports[service])
        yield Cloud(home, variables)
        stop_jobs(home)


@pytest.fixture
def stack(cloud: Cloud, tmp_path: Path) -> Stack:
    for name in ("project", "state", "pulumi"):
        (tmp_path / name).mkdir()
    (tmp_path / "project" / "Pulumi.yaml").write_text("{name: dynamic, runtime: python}")
    (tmp_path / "project" / "__main__.py").write_text(PROGRAM)
    name = f"w{tmp_path.parent.name}{tmp_path.name}".replace("_", "-")
    workspace_id = cloud.new_workspace(name)
    cloud.sql("CREATE OR REPLACE TABLE GLOBOREALTY.REAL_ESTATE.HOUSES (id INT, price NUMBER(12,2))")
    workspace = {"subscription_id": SUBSCRIPTION_ID, "resource_group": "rg", "name": name}
    query = "SELECT * FROM GLOBOREALTY.REAL_ESTATE.HOUSES"
    settings: dict[str, dict[str, Any]] = {
        "connection": {
            "workspace": workspace,
            "connection_name": "snowflake",
            "queries": {"houses": query},
        },
        "target": {
            "account": "local",
            "host": "127.0.0.1",
            "port": cloud.home.ports["snowflake"],
            "protocol": "http",
            "warehouse": "IMPORT_WH",
            "role": "IMPORTER",
            "sign_in": "workload_identity",
        },
        "spec": {"name": "houses", "query": query},
        "import": {
            "workspace": workspace,
            "cron": "0 6 * * *",
            "time_zone": "Europe/Berlin",
            "image": "importer:1",
            "run_on_create": False,
        },
    }
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")},
        **cloud.variables,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    stack = Stack(tmp_path / "project", environment, cloud, workspace_id, settings)
    stack.succeed("stack", "init", "test")
    return stack


def test_second_up_changes_nothing_and_starts_no_import(stack: Stack) -> None:
    stack.settings["import"]["run_on_create"] = True
    output = stack.up()
    assert "experimental" not in output
    assert stack.imports() == 1
    assert json.loads(stack.succeed("stack", "output", "--json")) == {
        "columns": ["ID", "PRICE"],
        "schedule": "import_houses",
    }

    stack.up("--expect-no-changes")
    stack.succeed("preview", "--refresh", "--expect-no-changes")

    assert stack.imports() == 1
    assert "not-for-the-state" not in stack.succeed("stack", "export")


def test_create_adopts_existing_resources_and_starts_no_import(stack: Stack) -> None:
    stack.settings["import"]["run_on_create"] = True
    stack.up()
    state = json.loads(stack.succeed("stack", "export"))
    state["deployment"]["resources"] = []
    (stack.directory / "empty.json").write_text(json.dumps(state))
    stack.succeed("stack", "import", "--file", "empty.json")
    stack.settings["import"]["cron"] = "30 7 * * *"
    stack.settings["target"]["user"] = "OTHER_USER"

    assert "4 created" in stack.up()

    assert stack.schedule()["trigger"]["expression"] == "30 7 * * *"
    connection = stack.child("connections/snowflake")
    assert connection
    assert connection["properties"]["metadata"]["user"] == "OTHER_USER"
    assert stack.imports() == 1
    stack.up("--expect-no-changes")


def test_changed_cron_and_query_update_in_place(stack: Stack) -> None:
    stack.up()
    query = "SELECT id FROM GLOBOREALTY.REAL_ESTATE.HOUSES"
    stack.settings["import"]["cron"] = "30 5 * * *"
    stack.settings["spec"]["query"] = query
    stack.settings["connection"]["queries"] = {"houses": query}

    shown = stack.succeed("preview", "--diff")
    assert '"0 6 * * *" => "30 5 * * *"' in shown
    assert '"SELECT * FROM GLOBOREALTY.REAL_ESTATE.HOUSES" => "SELECT id' in shown
    assert "replace" not in shown
    assert "2 updated" in stack.up()

    assert stack.schedule()["trigger"]["expression"] == "30 5 * * *"
    assert query in stack.job_variables()["IMPORT_SPEC"]
    assert stack.imports() == 0


def test_changes_outside_pulumi_show_in_a_preview_with_refresh(stack: Stack) -> None:
    stack.up()
    schedule_id = f"{stack.workspace_id}/schedules/import_houses"
    document = stack.cloud.store.get(schedule_id)
    assert document
    document["properties"]["trigger"]["expression"] = "0 9 * * *"
    stack.cloud.store.put(schedule_id, document)
    assert '"0 9 * * *" => "0 6 * * *"' in stack.succeed("preview", "--refresh", "--diff")

    stack.cloud.store.delete(schedule_id)
    stack.cloud.store.delete(f"{stack.workspace_id}/connections/snowflake")
    assert "2 to create" in stack.fail("preview", "--refresh", "--expect-no-changes")

    assert "2 created" in stack.up("--refresh")
    assert stack.schedule()["isEnabled"] is True


def test_column_added_in_snowflake_shows_in_a_preview_with_refresh(stack: Stack) -> None:
    stack.up()
    stack.cloud.sql("ALTER TABLE GLOBOREALTY.REAL_ESTATE.HOUSES ADD COLUMN style VARCHAR(20)")

    shown = stack.succeed("preview", "--refresh", "--diff")
    update = shown[shown.index("SnowflakeConnection: (update)") :]
    assert "~ columns" in update
    assert '+ name    : "STYLE"' in update
    assert "no changes were expected" in stack.fail("preview", "--refresh", "--expect-no-changes")
    stack.up("--expect-no-changes")

    stack.up("--refresh")
    stack.succeed("preview", "--refresh", "--expect-no-changes")
    assert json.loads(stack.succeed("stack", "output", "columns", "--json")) == ["ID", "PRICE", "STYLE"]


def test_destroy_succeeds_with_and_without_the_resources(stack: Stack) -> None:
    stack.up()
    stack.cloud.store.delete(f"{stack.workspace_id}/schedules/import_houses")
    stack.cloud.store.delete(f"{stack.workspace_id}/connections/snowflake")
    stack.succeed("destroy", "--yes", "--skip-preview")

    stack.up()
    stack.succeed("destroy", "--yes", "--skip-preview")
    assert stack.child("schedules/import_houses") is None
    assert stack.child("connections/snowflake") is None


def test_destroy_leaves_a_schedule_of_another_stack_and_its_connection_and_says_so(stack: Stack) -> None:
    stack.up()
    document = stack.child("schedules/import_houses")
    assert document
    document["properties"]["tags"]["managed_by_stack"] = "dynamic/other/houses-schedule"
    stack.cloud.store.put(document["id"], document)

    shown = stack.succeed("destroy", "--yes", "--skip-preview")

    workspace = stack.workspace_id.rpartition("/")[2]
    assert (
        f"schedules/import_houses in workspace {workspace} is not deleted: it belongs to "
        "dynamic/other/houses-schedule"
    ) in shown
    assert f"connections/snowflake in workspace {workspace} is not deleted: used by import_houses" in shown
    assert stack.child("schedules/import_houses")
    assert stack.child("connections/snowflake")


def test_bad_input_is_one_line_and_registers_nothing(stack: Stack) -> None:
    stack.settings["import"]["cron"] = "0 6 1 * *"
    assert "cron: day and month must be *, as Azure ML ignores them" in stack.fail("preview")

    stack.settings["connection"]["queries"] = {"houses": "SELECT nope FROM GLOBOREALTY.REAL_ESTATE.HOUSES"}
    shown = stack.fail("preview")
    assert "imports[houses].query: Snowflake refuses the query" in shown
    assert stack.child("connections/snowflake") is None


def test_contract_that_does_not_fit_the_columns_fails_the_preview(stack: Stack) -> None:
    stack.up()
    rules: dict[str, Any] = {"PRICE": {"min": 1}}
    stack.settings["connection"]["column_options"] = {"houses": {"contract": {"columns": rules}}}
    stack.up("--expect-no-changes")

    rules |= {"PRCE": {"max": 9}, "ID": {"maxAge": "1d"}}
    shown = stack.fail("preview")

    assert (
        "imports[houses].contract.columns.PRCE: the query returns no such column; did you mean PRICE?"
        in shown
    )
    assert "imports[houses].contract.columns.ID.maxAge: the column's values are a number" in shown


@pytest.mark.parametrize(
    ("variables", "settings", "message"),
    [
        ({"SNOWFLAKE_PASSWORD": "wrong-password"}, {}, "Incorrect username or password"),
        ({}, {"role": "WRONG"}, "Role 'WRONG'"),
    ],
)
def test_wrong_password_or_role_is_one_line_with_snowflakes_message(
    stack: Stack, variables: dict[str, str], settings: dict[str, str], message: str
) -> None:
    stack.environment |= variables
    stack.settings["target"] |= settings
    shown = stack.fail("preview")
    assert message in shown
    assert "wrong-password" not in shown
    assert stack.child("connections/snowflake") is None


def test_without_a_sign_in_the_preview_says_that_the_probe_is_skipped(stack: Stack) -> None:
    del stack.environment["SNOWFLAKE_USER"]
    assert "the queries are not checked against Snowflake" in stack.succeed("preview")
