"""The local cloud's Azure data plane, called by the real clients."""

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import Input, MLClient, command
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.dsl import pipeline
from azure.ai.ml.entities import (
    ApiKeyConfiguration,
    CronTrigger,
    Data,
    Environment,
    Job,
    JobSchedule,
    NoneCredentialConfiguration,
    WorkspaceConnection,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from tenacity import retry, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from localcloud.arm import ArmStore, Document
from localcloud.certificate import ensure_certificate
from localcloud.home import SUBSCRIPTION_ID, Home
from localcloud.jobs import JobProcess, JobRunner, stop_jobs
from tests.local_cloud import new_cloud

GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/importer"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"
ENDED = ("Completed", "Failed", "Canceled")


def _document(arm_id: str, **properties: Any) -> Document:
    _, _, below = arm_id.partition("/providers/")
    namespace, *rest = below.split("/")
    kind = "/".join([namespace, *rest[::2]]) or "Microsoft.Resources/resourceGroups"
    return {"id": arm_id, "name": arm_id.rpartition("/")[2], "type": kind, "properties": properties}


@dataclass
class Service:
    """A workspace service in its own process, which a test can kill."""

    home: Home
    process: subprocess.Popen[bytes] = field(init=False)

    @property
    def log(self) -> Path:
        return self.home.path / "azure.log"

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "localcloud.workspace"],
                env={**os.environ, "LOCALCLOUD_HOME": str(self.home.path)},
                stdout=log,
                stderr=log,
            )
        self._await_port("azure")
        self._await_port("identity")

    @retry(
        retry=retry_if_exception_type(ConnectionRefusedError), stop=stop_after_delay(20), wait=wait_fixed(0.1)
    )
    def _await_port(self, name: str) -> None:
        socket.create_connection(("127.0.0.1", self.home.ports[name])).close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def request(
        self, method: str, path: str, body: Document | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, body and headers of a request."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.home.azure_url}{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
        )
        context = ssl.create_default_context(cafile=self.home.ca_bundle)
        try:
            with urllib.request.urlopen(request, context=context) as response:  # noqa: S310
                return response.status, json.loads(response.read() or "null"), dict(response.headers)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), dict(error.headers)


def _new_home(path: Path) -> Home:
    home = new_cloud(path).home
    ensure_certificate(home)
    home.vault_file.write_text(json.dumps({"snowflake-importer": "pass-word", "snowflake-deployer": "x"}))
    store = ArmStore(home.arm_db)
    for document in (
        _document(GROUP),
        _document(WORKSPACE, workspaceId="0"),
        _document(VAULT),
        _document(IDENTITY, clientId="client-of-importer", principalId="object-of-importer"),
    ):
        store.put(document["id"], document)
    return home


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = _new_home(tmp_path_factory.mktemp("cloud"))
    service = Service(home)
    service.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZUREML_DEV_URL_MFE", home.azure_url)
        patch.setenv("REQUESTS_CA_BUNDLE", str(home.ca_bundle))
        patch.setenv("IDENTITY_ENDPOINT", home.identity_url)
        patch.setenv("IDENTITY_HEADER", "local")
        yield service
    stop_jobs(home)
    service.kill()


@pytest.fixture
def client(service: Service) -> MLClient:  # noqa: ARG001 - the service that it reaches by its environment
    return MLClient(DefaultAzureCredential(), SUBSCRIPTION_ID, "rg", "ws")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = _new_home(tmp_path / "cloud")
    yield home
    stop_jobs(home)


@pytest.fixture
def store(home: Home) -> ArmStore:
    return ArmStore(home.arm_db)


@pytest.fixture
def runner(home: Home, store: ArmStore) -> JobRunner:
    return JobRunner(home, store)


def _schedule(name: str, script: str, cron: str = "0 6 * * *", **variables: str) -> JobSchedule:
    step = command(
        name="step",
        command=script,
        inputs={"tick": Input(type="string")},
        environment=Environment(image="example.test/importer:1"),
        environment_variables=variables,
    )

    @pipeline(name=name)  # type: ignore[call-overload,misc,untyped-decorator,unused-ignore]
    def build(tick: str) -> None:
        step(tick=tick)

    job = build(tick="${{creation_context.trigger_time}}")
    job.settings.default_compute = "serverless"
    trigger = CronTrigger(expression=cron, time_zone="W. Europe Standard Time")
    return JobSchedule(name=name, trigger=trigger, create_job=job, properties={"owner": "data"})


def _create(client: MLClient, schedule: JobSchedule) -> None:
    client.schedules.begin_create_or_update(schedule).result()


@retry(
    retry=retry_if_result(lambda job: job.status not in ENDED),
    stop=stop_after_delay(30),
    wait=wait_fixed(0.2),
)
def _ended(client: MLClient, name: str) -> Job:
    job: Job = client.jobs.get(name)
    return job


def _job_log(home: Home, name: str) -> str:
    return (home.path / "jobs" / name / "user_logs" / "std_log.txt").read_text()


@retry(
    retry=retry_if_exception_type(FileNotFoundError) | retry_if_result(lambda log: log == ""),
    stop=stop_after_delay(30),
    wait=wait_fixed(0.1),
)
def _await_log(home: Home, name: str) -> str:
    return _job_log(home, name)


def test_missing_resource_is_404_resource_not_found(service: Service) -> None:
    status, body, headers = service.request("GET", f"{GROUP}/providers/Microsoft.Storage/storageAccounts/no")
    assert (status, body["error"]["code"]) == (404, "ResourceNotFound")
    assert headers["x-ms-request-id"]


def test_resources_are_put_patched_listed_and_deleted_with_their_children(service: Service) -> None:
    zone = f"{GROUP}/providers/Microsoft.Network/privateDnsZones/z"
    assert service.request("PUT", f"{zone}/A/x", {"properties": {}})[1]["error"]["code"] == (
        "ParentResourceNotFound"
    )
    assert service.request("PUT", zone, {"properties": {"a": 1}, "tags": {"t": "1"}})[0] == 201
    service.request("PUT", f"{zone}/A/x", {"properties": {}})
    patched = service.request("PATCH", zone.lower(), {"properties": {"b": 2}, "tags": {"t": None}})[1]
    assert (patched["properties"], patched["tags"]) == ({"a": 1, "b": 2}, {})
    assert (patched["id"], patched["type"]) == (zone, "Microsoft.Network/privateDnsZones")
    assert [child["name"] for child in service.request("GET", f"{zone}/A")[1]["value"]] == ["x"]
    assert service.request("DELETE", zone)[0] == 200
    assert service.request("GET", f"{zone}/A/x")[0] == 404
    assert service.request("DELETE", zone)[0] == 204


def test_malformed_body_is_refused(service: Service) -> None:
    status, body, _ = service.request("PUT", f"{WORKSPACE}/schedules/bad", {"properties": {}})
    assert (status, body["error"]["code"]) == (400, "InvalidRequestContent")


def test_connection_returns_metadata_and_its_key_only_on_request(client: MLClient) -> None:
    key, none = ApiKeyConfiguration(key="the-key"), NoneCredentialConfiguration()
    metadata = {"account": "local", "port": "443"}
    for name, category, credentials in (("snow", "snowflake", none), ("own", "custom", key)):
        client.connections.create_or_update(
            WorkspaceConnection(
                name=name, type=category, target="x", metadata=metadata, credentials=credentials
            )
        )
        assert client.connections.get(name).metadata == metadata
    assert client.connections.get("own").credentials.key is None
    assert client.connections.get("own", populate_secrets=True).credentials.key == "the-key"
    assert [c.name for c in client.connections.list(connection_type="snowflake")] == ["snow"]
    client.connections.delete("snow")
    client.connections.delete("snow")
    with pytest.raises(ResourceNotFoundError):
        client.connections.get("snow")


def test_schedule_keeps_properties_and_must_be_disabled_before_it_is_deleted(client: MLClient) -> None:
    _create(client, _schedule("kept", "true"))
    found = client.schedules.get("kept")
    assert found.properties == {"owner": "data"}
    assert (found.is_enabled, found.trigger.time_zone) == (True, "W. Europe Standard Time")
    with pytest.raises(HttpResponseError, match="disable it"):
        client.schedules.begin_delete("kept").result()
    client.schedules.begin_disable("kept").result()
    assert "kept" not in [schedule.name for schedule in client.schedules.list()]
    with pytest.raises(HttpResponseError, match="is disabled"):
        client.schedules.trigger("kept")
    client.schedules.begin_delete("kept").result()
    with pytest.raises(ResourceNotFoundError):
        client.schedules.get("kept")


def test_schedule_that_never_fires_is_refused(client: MLClient) -> None:
    with pytest.raises(HttpResponseError, match="trigger: "):
        _create(client, _schedule("never", "true", cron="99 6 * * *"))


def test_triggered_job_runs_its_command_with_its_inputs_and_variables(
    client: MLClient, service: Service
) -> None:
    script = 'echo "$SPEC" ${{inputs.tick}} $AZUREML_DEV_URL_MFE; [ -z "$PYTEST_CURRENT_TEST" ]'
    _create(client, _schedule("works", script, SPEC='{"query": "SELECT 1"}'))
    name = client.schedules.trigger("works", schedule_time="2026-11-23T07:00:00+01:00").job_name
    job = _ended(client, name)
    assert (job.status, job.display_name) == ("Completed", "works-20261123T060000Z")
    expected = f'{{"query": "SELECT 1"}} 2026-11-23T06:00:00Z {service.home.azure_url}\n'
    assert _job_log(service.home, name) == expected


def test_failed_job_has_the_last_line_of_its_log_as_error(client: MLClient, service: Service) -> None:
    _create(client, _schedule("fails", "echo begin; echo error: no such table; exit 3"))
    name = client.schedules.trigger("fails").job_name
    assert _ended(client, name).status == "Failed"
    assert [job.name for job in client.jobs.list(scheduled_job_name="fails")] == [name]
    properties = service.request("GET", f"{WORKSPACE}/jobs/{name}")[1]["properties"]
    assert properties["error"]["message"] == "error: no such table"


def test_jobs_outlive_a_killed_service_and_killed_jobs_are_failed(
    client: MLClient, service: Service, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    wait = f"echo up; while [ ! -e {gate} ]; do sleep 0.1; done; echo through"
    _create(client, _schedule("survives", wait))
    _create(client, _schedule("lost", wait))
    survivor, lost = (client.schedules.trigger(name).job_name for name in ("survives", "lost"))
    for name in (survivor, lost):
        _await_log(service.home, name)
    service.kill()
    os.killpg(int((service.home.path / "jobs" / lost / "process").read_text()), signal.SIGKILL)
    service.start()
    assert client.jobs.get(survivor).status == "Running"
    assert _ended(client, lost).status == "Failed"
    gate.touch()
    assert _ended(client, survivor).status == "Completed"
    assert _job_log(service.home, survivor) == "up\nthrough\n"


def _schedule_document(script: str, name: str = "s", **properties: Any) -> Document:
    """Return a schedule as azure-ai-ml writes it, and the script of its component."""
    component = f"{WORKSPACE}/components/c/versions/1"
    step = {"type": "command", "componentId": component, "inputs": {}}
    schedule = _document(
        f"{WORKSPACE}/schedules/{name}",
        trigger={"triggerType": "Cron", "expression": "0 6 * * *", "timeZone": "W. Europe Standard Time"},
        action={"jobDefinition": {"jobType": "Pipeline", "jobs": {"step": step}}},
        **properties,
    )
    return {**schedule, "systemData": {"lastModifiedAt": "2026-11-01T00:00:00+00:00"}, "script": script}


def _store_schedule(store: ArmStore, schedule: Document) -> None:
    component = _document(
        f"{WORKSPACE}/components/c/versions/1", componentSpec={"command": schedule.pop("script")}
    )
    store.put(component["id"], component)
    store.put(schedule["id"], schedule)


def _jobs(store: ArmStore) -> list[Document]:
    return store.children(f"{WORKSPACE}/jobs")


def test_cron_time_fires_once_in_the_schedules_time_zone(runner: JobRunner, store: ArmStore) -> None:
    _store_schedule(store, _schedule_document("true"))
    _store_schedule(store, _schedule_document("true", "off", isEnabled=False))
    before, after = datetime(2026, 11, 23, 4, 59, 59, tzinfo=UTC), datetime(2026, 11, 23, 5, 0, 0, tzinfo=UTC)
    runner.fire(before, before)
    assert _jobs(store) == []
    runner.fire(before, after)
    runner.fire(before, after)
    runner.fire(after, after)
    assert [job["properties"]["displayName"] for job in _jobs(store)] == ["s-20261123T050000Z"]


def test_cron_time_before_the_last_change_does_not_fire(runner: JobRunner, store: ArmStore) -> None:
    schedule = _schedule_document("true")
    schedule["systemData"]["lastModifiedAt"] = "2026-11-23T05:00:00.500000+00:00"
    _store_schedule(store, schedule)
    runner.fire(datetime(2026, 11, 23, 4, 59, tzinfo=UTC), datetime(2026, 11, 23, 5, 1, tzinfo=UTC))
    assert _jobs(store) == []


def test_four_jobs_run_at_once_and_stop_ends_them_all(runner: JobRunner, store: ArmStore, home: Home) -> None:
    schedule = _schedule_document("sleep 600 & wait")
    _store_schedule(store, schedule)
    for _ in range(6):
        runner.trigger(schedule, datetime.now(UTC))
    runner.advance()
    runner.advance()
    statuses = [job["properties"]["status"] for job in _jobs(store)]
    assert sorted(statuses) == ["NotStarted"] * 2 + ["Running"] * 4
    processes = [JobProcess(home.path / "jobs" / job["name"]) for job in _jobs(store)]
    assert sum(process.is_alive() for process in processes) == 4
    stop_jobs(home)
    assert {job["properties"]["status"] for job in _jobs(store)} == {"Canceled"}
    assert not any(process.is_alive() for process in processes)


def test_stop_ends_a_job_whose_workspace_was_deleted(runner: JobRunner, store: ArmStore, home: Home) -> None:
    schedule = _schedule_document("sleep 600")
    _store_schedule(store, schedule)
    process = JobProcess(home.path / "jobs" / runner.trigger(schedule, datetime.now(UTC)))
    runner.advance()
    store.delete(WORKSPACE)
    assert process.is_alive()
    stop_jobs(home)
    assert not process.is_alive()


def test_job_that_cannot_start_has_the_reason_as_error(runner: JobRunner, store: ArmStore) -> None:
    schedule = _schedule_document("true")
    _store_schedule(store, schedule)
    store.delete(f"{WORKSPACE}/components/c/versions/1")
    runner.trigger(schedule, datetime.now(UTC))
    runner.advance()
    (job,) = _jobs(store)
    assert job["properties"]["status"] == "Failed"
    assert job["properties"]["error"]["message"].endswith("components/c/versions/1 was not found.")


def _register(client: MLClient, version: str, path: str, rows: str) -> Data:
    root = f"azureml://subscriptions/{SUBSCRIPTION_ID}/resourcegroups/rg/workspaces/ws/datastores/rawdata"
    data = Data(
        name="houses",
        version=version,
        type=AssetTypes.URI_FOLDER,
        path=f"{root}/paths/{path}",
        tags={"rows": rows},
    )
    registered: Data = client.data.create_or_update(data)
    return registered


def test_data_version_can_change_its_tags_but_not_its_path(client: MLClient) -> None:
    _register(client, "20261123T060000Z", "one/", "1")
    _register(client, "20261123T060000Z", "one/", "2")
    with pytest.raises(HttpResponseError, match=r"\(UserError\) .* already exists"):
        _register(client, "20261123T060000Z", "two/", "3")
    found = client.data.get("houses", version="20261123T060000Z")
    assert (found.tags, found.path.endswith("/one/")) == ({"rows": "2"}, True)


def test_latest_data_version_is_the_newest_and_archived_ones_are_hidden(client: MLClient) -> None:
    _register(client, "20261124T060000Z", "b/", "1")
    _register(client, "20261101T060000Z", "a/", "1")
    _register(client, "20261124T060000Z", "b/", "2")
    assert client.data.get("houses", label="latest").version == "20261101T060000Z"
    client.data.archive("houses", version="20261101T060000Z")
    versions = [data.version for data in client.data.list("houses")]
    assert "20261124T060000Z" in versions
    assert "20261101T060000Z" not in versions
    client.data.archive("houses")
    assert list(client.data.list()) == []
    client.data.restore("houses")
    assert [asset.latest_version for asset in client.data.list()] == ["20261101T060000Z"]


def test_vault_serves_only_the_importers_secret(service: Service) -> None:
    def client_of(vault: str) -> SecretClient:
        url = f"{service.home.azure_url}/vaults/{vault}"
        return SecretClient(url, DefaultAzureCredential(), verify_challenge_resource=False)

    secret = client_of("kv").get_secret("snowflake-importer")
    assert secret.value == "pass-word"
    again = client_of("kv").get_secret("snowflake-importer", secret.properties.version)
    assert again.value == "pass-word"
    for vault, name in (("kv", "snowflake-deployer"), ("kv", "other"), ("gone", "snowflake-importer")):
        with pytest.raises(ResourceNotFoundError):
            client_of(vault).get_secret(name)
    assert service.request("GET", "/vaults/kv/secrets/snowflake-importer")[0] == 401


@pytest.mark.usefixtures("service")
def test_token_is_for_the_requested_identity() -> None:
    credential = ManagedIdentityCredential(client_id="client-of-importer")
    part = credential.get_token("https://storage.azure.com/.default").token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert (claims["aud"], claims["oid"]) == ("https://storage.azure.com", "object-of-importer")
    with pytest.raises(Exception, match="No user-assigned managed identity"):
        ManagedIdentityCredential(client_id="nobody").get_token("https://storage.azure.com/.default")


def test_fault_answers_as_often_as_its_times(service: Service) -> None:
    fault = {
        "method": "GET",
        "path": "/workspaces/ws$",
        "status": 429,
        "headers": {"Retry-After": "7"},
        "times": 2,
    }
    (service.home.path / "faults.json").write_text(json.dumps([fault]))
    answers = [service.request("GET", WORKSPACE) for _ in range(3)]
    assert [status for status, _, _ in answers] == [429, 429, 200]
    assert answers[0][2]["retry-after"] == "7"


def test_log_has_a_line_per_request_without_its_query(service: Service) -> None:
    service.request("GET", f"{WORKSPACE}?sig=abc")
    lines = service.log.read_text().splitlines()
    assert any(line.startswith(f"GET {WORKSPACE} 200 ") for line in lines)
    assert "sig=" not in "".join(lines)
    assert "pass-word" not in "".join(lines)
