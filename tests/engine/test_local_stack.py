"""The stack `local`, as a newcomer gets it: the real engine, the whole local cloud, the real clients."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import snowflake.connector
import yaml
from azure.ai.ml import MLClient
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient, ContainerClient

from importer.spec.schedule import parse_tick, version_of
from tests.local_cloud import REPOSITORY, new_cloud
from tests.local_stack import UP, LocalStack
from tools.markdown import blocks


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    cloud = new_cloud(tmp_path_factory.mktemp("stack"))
    stack = LocalStack(cloud)
    try:
        stack.up()
        yield stack
    finally:
        cloud.run("stop")


@pytest.fixture
def clients(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> LocalStack:
    """The stack, with what `. .local/env` sets in this process too."""
    for name, value in stack.cloud.env.items():
        monkeypatch.setenv(name, value)
    return stack


def container(clients: LocalStack) -> ContainerClient:
    service = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
    return service.get_container_client(clients.outputs()["rawContainer"])


def workspace() -> MLClient:
    names = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE")
    return MLClient(DefaultAzureCredential(), *(os.environ[name] for name in names))


def test_up_registers_the_houses_and_mltable_loads_the_values_of_the_table(
    clients: LocalStack, tmp_path: Path
) -> None:
    mltable = pytest.importorskip("mltable")  # no wheel for Apple silicon

    (arrived,) = clients.imports()
    folder = f"{arrived['name']}/{arrived['version']}/"
    blobs = container(clients)
    names = [name.removeprefix(folder) for name in blobs.list_blob_names(name_starts_with=folder)]
    (attempt,) = {name.split("/")[0] for name in names if name != "_committed.json"}
    (tmp_path / "data").mkdir()
    for name in ("MLTable", "_manifest.json", "data/part-00000.parquet"):
        (tmp_path / name).write_bytes(blobs.download_blob(f"{folder}{attempt}/{name}").readall())
    assert len(names) == 4

    with snowflake.connector.connect(
        **{k: os.environ[f"SNOWFLAKE_{k.upper()}"] for k in ("user", "password", "account", "host", "port")},
        protocol="http",
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT * FROM GLOBOREALTY.REAL_ESTATE.RAW")
        table = cursor.fetchall()
    written = pq.read_table(tmp_path / "data")
    loaded = mltable.load(str(tmp_path)).to_pandas_dataframe()

    assert len(loaded) == len(table) == arrived["rows"] == 2930
    assert list(loaded.columns) == written.column_names
    rows = [tuple(row.values()) for row in written.to_pylist()]
    assert sorted(rows, key=repr) == sorted(map(tuple, table), key=repr)
    assert list(loaded["SALE_PRICE"]) == written["SALE_PRICE"].to_pylist()


def test_clients_of_the_readmes_example_reach_the_local_cloud_in_a_sourced_shell(stack: LocalStack) -> None:
    (example,) = [b.content for b in blocks((REPOSITORY / "README.md").read_text()) if b.language == "python"]
    assert stack.cloud.run("env").returncode == 0
    done = subprocess.run(
        [
            "bash",
            "-c",
            '. "$1" && exec python -c "$2"',
            "bash",
            str(stack.cloud.home.environment_file),
            example,
        ],
        env={"PATH": os.environ["PATH"]},  # nothing else, before the shell sources the file
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counted, *blobs, tags = done.stdout.splitlines()
    assert counted == "(2930,)"
    assert any(re.fullmatch(r"raw_house_data/.*/data/part-00000\.parquet", name) for name in blobs)
    assert "'rows': '2930'" in tags


def test_azure_ai_ml_returns_the_datastore_connection_and_schedule(clients: LocalStack) -> None:
    ml = workspace()
    connection = ml.connections.get("snowflake")
    assert connection.metadata["role"] == "IMPORTER"
    assert "/secrets/snowflake-importer" in connection.metadata["secret_uri"]
    assert ml.schedules.get("import_raw_house_data").trigger.time_zone == "Central Standard Time"
    account = clients.outputs()["storageAccount"]
    for name in ("rawdata", "cleandata"):
        datastore = ml.datastores.get(name)
        assert (datastore.account_name, datastore.container_name) == (account, name)
    newest = ml.data.get("raw_house_data", label="latest")
    assert newest.type == "mltable"
    assert newest.tags["rows"] == "2930"


def test_stack_outputs_name_each_import_without_its_columns(stack: LocalStack) -> None:
    imports = stack.outputs()["imports"]
    assert imports["raw_house_data"] == {
        "schedule": "import_raw_house_data",
        "asset": "raw_house_data",
        "mode": "stream",
    }


def test_a_second_up_changes_nothing_and_imports_nothing(stack: LocalStack) -> None:
    before = stack.imports()
    stack.succeed("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert stack.imports() == before
    stack.succeed("preview", "--refresh", "--expect-no-changes")


def test_triggering_the_schedule_registers_a_new_version(clients: LocalStack) -> None:
    (before,) = clients.imports()
    tick = parse_tick(before["version"]) + timedelta(hours=1)
    workspace().schedules.trigger("import_raw_house_data", schedule_time=tick.isoformat())
    (after,) = clients.imports()
    assert after["version"] == version_of(tick)
    assert workspace().data.get("raw_house_data", version_of(tick)).tags["rows"] == "2930"


def test_killing_every_process_loses_no_resource_and_no_version(clients: LocalStack) -> None:
    before = clients.imports()
    for file in (clients.cloud.home.path / "pids").glob("*.json"):
        os.kill(json.loads(file.read_text())["pid"], signal.SIGKILL)
    assert clients.cloud.run("status").returncode == 3
    clients.cloud.start()
    assert clients.imports() == before
    clients.succeed("preview", "--refresh", "--expect-no-changes")
    assert any(container(clients).list_blobs(name_starts_with="raw_house_data/"))


def test_secrets_are_in_no_file_but_their_own(stack: LocalStack) -> None:
    home = stack.cloud.home.path
    secrets = json.loads((home / "vault.json").read_text()).values()
    assert secrets
    kept = {home / "vault.json", home / "env"}
    for file in home.rglob("*"):
        # DuckDB's own files hold the table, and node's none of ours
        if not file.is_file() or file in kept:
            continue
        content = file.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, file
    assert stat_mode(home / "vault.json") == 0o600


def stat_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def changed_config(tmp_path: Path, **changes: Any) -> str:
    """Return the path of the stack's config with other settings; None leaves one out."""
    document = yaml.safe_load((REPOSITORY / "Pulumi.local.yaml").read_text())
    for key, value in changes.items():
        document["config"][f"ai-platform:{key}"] = value
        if value is None:
            del document["config"][f"ai-platform:{key}"]
    path = tmp_path / "Pulumi.local.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


HOUSES = {
    "name": "raw_house_data",
    "query": "SELECT * FROM GLOBOREALTY.REAL_ESTATE.RAW",
    "schedule": "0 6 * * *",
}
IMPORT = {"name": "raw_house_data", "query": "SELECT 1", "schedule": "0 6 * * *"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": None}, "ai-platform:name: required setting is missing"),
        ({"nmae": "globo"}, "ai-platform:nmae: no such setting; did you mean name?"),
        (
            {"logRetentionDays": 7},
            "ai-platform:logRetentionDays: Input should be greater than or equal to 30; it is 7",
        ),
        (
            {"imports": [{**IMPORT, "query": "DELETE FROM T"}]},
            'ai-platform:imports[0].query: expected one SELECT statement, not DELETE; it is "DELETE FROM T"',
        ),
        (
            {"imports": [{**IMPORT, "schedule": "0 0 30 2 *"}]},
            "ai-platform:imports[0].schedule: not a cron expression",
        ),
    ],
)
def test_an_invalid_setting_is_one_line_and_declares_no_resource(
    stack: LocalStack, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    config = changed_config(tmp_path, **changes)
    done = stack.pulumi("preview", "--config-file", config)
    assert done.returncode != 0
    assert said in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "azure-native" not in done.stdout


def test_the_environment_of_the_other_cloud_is_one_line_and_declares_no_resource(
    stack: LocalStack, tmp_path: Path
) -> None:
    snowflake = {"account": "globo-dev", "warehouse": "IMPORT_WH", "role": "IMPORTER"}
    config = changed_config(tmp_path, endpoints="public", snowflake=snowflake)
    for_azure = stack.pulumi("preview", "--config-file", config)
    for_local = stack.pulumi("preview", SNOWFLAKE_HOST="")
    for done in (for_azure, for_local):
        assert done.returncode != 0
        assert "azure-native" not in done.stdout
        assert "Traceback" not in done.stdout + done.stderr
    assert "would deploy the stack into the local cloud: use a new shell" in for_azure.stdout
    assert "ai-platform:endpoints: local needs SNOWFLAKE_HOST in the environment" in for_local.stdout


def test_an_unknown_column_of_curate_fails_the_preview(stack: LocalStack, tmp_path: Path) -> None:
    curate = {"asset": "clean_house_data", "columns": {"SALE_PRCE": {"min": 1}}}
    done = stack.pulumi(
        "preview", "--config-file", changed_config(tmp_path, imports=[{**HOUSES, "curate": curate}])
    )
    assert done.returncode != 0
    assert (
        "imports[raw_house_data].curate.columns.SALE_PRCE: the query returns no such column; "
        "did you mean SALE_PRICE?" in done.stdout
    )


@pytest.mark.parametrize(
    ("service", "said"),
    [("blob", "rawdata of https://127.0.0.1:"), ("snowflake", "cannot sign in to Snowflake")],
)
def test_a_service_that_is_down_is_reported_in_one_line(stack: LocalStack, service: str, said: str) -> None:
    os.kill(stack.cloud.pid(service), signal.SIGKILL)
    done = stack.importer("run", "raw_house_data", "--version", "2020-01-01T00:00:00Z")
    stack.cloud.start()
    assert done.returncode == 1
    errors = done.stderr.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert said in errors[0]


def test_a_wrong_deployer_password_is_reported_without_the_password(
    stack: LocalStack, tmp_path: Path
) -> None:
    # another query makes the connection change, and so probes it
    config = changed_config(tmp_path, imports=[{**IMPORT, "query": "SELECT 2 AS TWO"}])
    wrong = {"SNOWFLAKE_DEFAULT_CONNECTION_NAME": "", "SNOWFLAKE_PASSWORD": "Canary-47"}
    done = stack.pulumi(*UP, "--config-file", config, **wrong)
    assert done.returncode != 0
    assert "Incorrect username or password" in done.stdout
    assert "Canary-47" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_destroy_leaves_no_resource_and_a_new_up_imports_again(stack: LocalStack) -> None:
    first = stack.outputs()
    stack.succeed("destroy", "--yes", "--skip-preview")
    assert json.loads(stack.succeed("stack", "export"))["deployment"].get("resources", []) == []
    assert stack.cloud.run("stop").returncode == 0
    assert not [port for port in stack.cloud.home.ports.values() if is_open(port)]
    stack.up()
    second = stack.outputs()
    # the vault is soft-deleted and holds on to its name, so the new one has another
    assert second["vaultUri"] != first["vaultUri"]
    assert stack.imports()[0]["rows"] == 2930
