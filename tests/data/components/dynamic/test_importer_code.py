"""The importer's code in the local cloud: uploaded, registered, run by a job, archived."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml.entities import Job
from azure.core.exceptions import HttpResponseError
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from components.dynamic.import_schedule import ImportScheduleProvider
from components.dynamic.importer_code import ImporterCodeProvider
from components.dynamic.importer_snapshot import read_environment, read_snapshot
from components.dynamic.workspace import WorkspaceRef
from importer.lake.azure import credential
from localcloud.arm import ArmStore
from localcloud.home import BLOB_KEY, SUBSCRIPTION_ID, Home
from tests.data_cloud import WORKSPACE, deploy, put
from tests.local_cloud import new_cloud

REF = WorkspaceRef(subscription_id=SUBSCRIPTION_ID, resource_group="rg", name="ws")
ACCOUNT = WORKSPACE.rpartition("/providers/")[0] + "/providers/Microsoft.Storage/storageAccounts/wsaccount"
CODE, SCHEDULE = ImporterCodeProvider(), ImportScheduleProvider()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A local cloud without Snowflake, whose workspace has a storage account of its own."""
    cloud = new_cloud(tmp_path_factory.mktemp("code"))
    deploy(cloud.home)
    put(cloud.home, WORKSPACE, "Microsoft.MachineLearningServices/workspaces", storageAccount=ACCOUNT)
    cloud.start("blob", "azure")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.env.items():
            patch.setenv(name, value)
        credential.cache_clear()
        yield cloud.home
    cloud.run("stop")


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small importer that prints where it runs."""
    package = tmp_path / "importer"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import os, sys\nprint(os.getcwd(), __file__, *sys.argv[1:])\n")
    (package / "requirements.txt").write_text("duckdb==2.0.0\n")
    monkeypatch.setattr("importer.__file__", str(package / "__init__.py"))
    return package


def register() -> dict[str, Any]:
    snapshot = read_snapshot()
    properties = {
        "workspace": REF.model_dump(),
        "code_version": snapshot.version,
        "environment_version": read_environment(snapshot).version,
    }
    return CODE.create(properties).outs or {}


def schedule(code: dict[str, Any], **changes: Any) -> None:
    properties = {
        "workspace": REF.model_dump(),
        "spec": {"name": "houses", "connection": "snowflake", "query": "SELECT 1"},
        "cron": "0 6 * * *",
        "time_zone": "UTC",
        "environment": code["environment"],
        "code": code["code"],
        "run_on_create": False,
        **changes,
    }
    SCHEDULE.create(properties)


@retry(
    retry=retry_if_result(lambda job: job.status in ("NotStarted", "Running")),
    stop=stop_after_delay(60),
    wait=wait_fixed(0.1),
)
def run() -> Job:
    """Return the schedule's job for one fixed time once it has ended."""
    client = REF.client()
    jobs = list(client.jobs.list(scheduled_job_name="import_houses"))
    name = jobs[0].name if jobs else client.schedules.trigger("import_houses").job_name
    job: Job = client.jobs.get(name)
    return job


def forget_jobs(home: Home) -> None:
    for job in ArmStore(home.arm_db).children(f"{WORKSPACE}/jobs"):
        ArmStore(home.arm_db).delete(job["id"])


def log(home: Home, job: Job) -> str:
    return (home.path / "jobs" / str(job.name) / "user_logs" / "std_log.txt").read_text()


def test_job_runs_the_registered_code(home: Home, package: Path) -> None:
    outs = register()
    shutil.rmtree(package)  # the job does not need the source beside the program
    schedule(outs)

    job = run()

    assert job.status == "Completed", log(home, job)
    directory = home.path / "jobs" / str(job.name) / "code"
    printed = log(home, job).split()
    assert printed[:4] == [str(directory), str(directory / "importer" / "__main__.py"), "run", "houses"]
    forget_jobs(home)


def test_next_job_runs_new_code(home: Home, package: Path) -> None:
    schedule(register())
    (package / "__main__.py").write_text("raise SystemExit('error: it is new')\n")
    schedule(register())

    job = run()

    assert job.status == "Failed"
    assert "error: it is new" in log(home, job)
    forget_jobs(home)


@pytest.mark.usefixtures("package")
def test_upload_goes_to_the_workspaces_own_account_with_a_signature(home: Home) -> None:
    outs = register()
    document = ArmStore(home.arm_db).get(outs["code"])
    assert document
    uri = document["properties"]["codeUri"]
    assert uri.startswith(f"{home.blob_url}/wsaccount/ws-")
    assert "?" not in uri
    assert document["properties"]["properties"]["hash_sha256"]
    stored = b"".join(file.read_bytes() for file in home.path.glob("arm.db*"))
    assert uri.encode() in stored
    assert b"sig=" not in stored
    assert BLOB_KEY.encode() not in stored


@pytest.mark.usefixtures("home")
def test_second_registration_uploads_nothing_and_delete_archives(home: Home, package: Path) -> None:
    (package / "__main__.py").write_text("pass\n")
    outs = register()
    store = ArmStore(home.arm_db)
    before = store.get(outs["code"])
    assert register() == outs
    assert store.get(outs["code"]) == before
    CODE.delete(f"{WORKSPACE}/codes/importer", outs)
    after = store.get(outs["code"])
    assert before
    assert after
    assert after["properties"] == before["properties"] | {"isArchived": True}
    # a job can still use it
    schedule(outs)
    assert run().status == "Completed"
    forget_jobs(home)


@pytest.mark.parametrize("missing", ["code", "environment"])
@pytest.mark.usefixtures("package")
def test_job_with_missing_code_or_environment_fails_with_a_message(home: Home, missing: str) -> None:
    outs = register()
    schedule(outs)
    document = ArmStore(home.arm_db).get(outs[missing])
    assert document
    ArmStore(home.arm_db).delete(outs[missing])

    job = run()

    assert job.status == "Failed"
    stored = ArmStore(home.arm_db).get(f"{WORKSPACE}/jobs/{job.name}")
    assert stored
    assert stored["properties"]["error"]["message"] == f"The {missing} azureml:{outs[missing]} was not found."
    ArmStore(home.arm_db).put(document["id"], document)
    forget_jobs(home)


@pytest.mark.usefixtures("home", "package")
def test_registered_version_cannot_be_changed(home: Home) -> None:
    outs = register()
    client = REF.client()
    environment = client.environments.get("importer", outs["environment_version"])
    environment.image = "another"
    with pytest.raises(HttpResponseError, match="An environment version is immutable; image differs"):
        client.environments.create_or_update(environment)
    assert ArmStore(home.arm_db).get(outs["environment"])
