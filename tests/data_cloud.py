"""What the tests of data share: a deployed workspace, and what real clients see of Snowflake and Blob."""

import json
import multiprocessing
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from importer.job.run import Import
from importer.lake.manifest import Manifest
from importer.progress import JsonLines
from importer.spec.import_spec import ImportSpec
from importer.spec.scheduled_job import SPEC_VARIABLE
from importer.spec.snowflake_target import SignIn, SnowflakeTarget
from importer.versions.workspace import Workspace
from localcloud.arm import ArmStore
from localcloud.home import BLOB_KEY, SUBSCRIPTION_ID, Home
from localcloud.houses import TABLE
from tests.importer_process import run_importer

GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"
ALL_SALES = f"SELECT * FROM {TABLE}"  # noqa: S608 - a constant
REPOSITORY = Path(__file__).parents[1]

V1, V2, V3 = "20261123T060000Z", "20261124T060000Z", "20261125T060000Z"


def deploy(home: Home) -> None:
    """Store a workspace with a datastore and a connection, and one each whose server is down."""
    put(home, GROUP, "Microsoft.Resources/resourceGroups")
    put(home, VAULT, "Microsoft.KeyVault/vaults")
    kind = "Microsoft.MachineLearningServices/workspaces"
    put(home, WORKSPACE, kind)
    for name, port in (("rawdata", home.ports["blob"]), ("down", 9)):
        put(
            home,
            f"{WORKSPACE}/datastores/{name}",
            f"{kind}/datastores",
            datastoreType="AzureBlob",
            accountName="lake",
            containerName="rawdata",
            endpoint=f"127.0.0.1:{port}",
            protocol="https",
            credentials={"credentialsType": "None"},
        )
    target = SnowflakeTarget(
        account="local",
        host="127.0.0.1",
        port=home.ports["snowflake"],
        protocol="http",
        warehouse="IMPORT_WH",
        role="IMPORTER",
        user="IMPORTER",
        sign_in=SignIn.PASSWORD,
        secret_uri=f"{home.azure_url}/vaults/kv/secrets/snowflake-importer",
    )
    others: dict[str, dict[str, object]] = {
        "snowflake": {},
        "down": {"port": 9},
        "role": {"role": "SYSADMIN"},
        "warehouse": {"warehouse": "NO_WH"},
        "secret": {"secret_uri": f"{home.azure_url}/vaults/kv/secrets/none"},
        "incomplete": {"account": None},
    }
    for name, change in others.items():
        put(
            home,
            f"{WORKSPACE}/connections/{name}",
            f"{kind}/connections",
            category="Snowflake",
            authType="None",
            target="127.0.0.1",
            metadata=target.model_copy(update=change).to_metadata(),
        )


def put(home: Home, arm_id: str, kind: str, **properties: Any) -> None:
    created = "2026-01-01T00:00:00Z"
    ArmStore(home.arm_db).put(
        arm_id,
        {
            "id": arm_id,
            "name": arm_id.rpartition("/")[2],
            "type": kind,
            "properties": properties,
            "systemData": {"createdAt": created, "lastModifiedAt": created},
        },
    )


def container(home: Home) -> ContainerClient:
    return ContainerClient(f"{home.blob_url}/lake", "rawdata", credential=BLOB_KEY)


def blob_names(home: Home, asset: str) -> list[str]:
    return sorted(container(home).list_blob_names(name_starts_with=f"{asset}/"))


def attempts(home: Home, asset: str, version: str) -> set[str]:
    """Return the names of the attempts at a version, which have files."""
    names = blob_names(home, asset)
    return {
        name.split("/")[2] for name in names if name.startswith(f"{asset}/{version}/") and name.count("/") > 2
    }


def spec(name: str, query: str = ALL_SALES, **fields: Any) -> ImportSpec:
    return ImportSpec(name=name, connection="snowflake", query=query, **fields)


def run(spec: ImportSpec, version: str = V1) -> None:
    Import(spec, Workspace(), JsonLines()).run(version)


def download(home: Home, asset: str, version: str, folder: Path) -> Manifest:
    """Download the one attempt of a version as a data scientist would, and return its manifest."""
    (attempt,) = attempts(home, asset, version)
    prefix = f"{asset}/{version}/{attempt}/"
    for name in container(home).list_blob_names(name_starts_with=prefix):
        path = folder / name.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(container(home).download_blob(name).readall())
    return Manifest.model_validate_json((folder / "_manifest.json").read_text())


def command(*arguments: str, spec: ImportSpec | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m importer` with the arguments, in the environment of the tests."""
    variables = {SPEC_VARIABLE: spec.model_dump_json()} if spec else {}
    return run_importer(arguments, {**os.environ, **variables})


def error_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1, result
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def never(*_: object) -> None:
    pytest.fail("nothing is to be read or written")


def crash(spec: ImportSpec, owner: type, step: str, *, after: bool) -> None:
    """Run an import in a process that exits before or after its first call of `step`, without clean-up."""

    def die() -> None:
        original: Callable[..., Any] = getattr(owner, step)

        def last(*arguments: Any) -> None:
            if after:
                original(*arguments)
            os._exit(9)

        setattr(owner, step, last)
        run(spec)

    process = multiprocessing.get_context("fork").Process(target=die)
    process.start()
    process.join(timeout=120)
    assert process.exitcode == 9


def deployer() -> dict[str, Any]:
    """Return the connector's arguments for the deployer: the connection that the environment names."""
    return {"connection_name": os.environ["SNOWFLAKE_DEFAULT_CONNECTION_NAME"]}


def said(output: str) -> list[dict[str, Any]]:
    """Return the events that a run prints, without those that only a slow machine gets: the progress."""
    lines = [json.loads(line) for line in output.splitlines()]
    return [line for line in lines if line["event"] != "progress"]


def events(output: str) -> list[str]:
    """Return the names of the events that a run prints, without the progress."""
    return [line["event"] for line in said(output)]
