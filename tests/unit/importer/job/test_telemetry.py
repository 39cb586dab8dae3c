"""The record that a run sends to Azure Monitor, by the real client over a fake transport."""

import gzip
import json
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from typing import Any

import azure.monitor.ingestion
import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

import importer.lake.azure
import importer.versions.workspace
from importer.__main__ import run
from importer.errors import ImporterError
from importer.job.telemetry import recording
from importer.spec.run_record import COLUMNS, LOG_ENDPOINT_VARIABLE, LOG_RULE_VARIABLE

SCHEDULED = datetime(2026, 11, 23, 7, tzinfo=timezone(timedelta(hours=1)))
VERSION = "20261123T060000Z"
REFUSAL = {"error": {"code": "OperationFailed", "message": "The token has no access to the rule."}}


class Monitor(BaseAdapter):
    """A data collection endpoint: the requests it received, and the status of its answers."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[requests.PreparedRequest] = []
        self.status = 204

    @property
    def records(self) -> list[dict[str, Any]]:
        """All records that it received."""
        bodies = [request.body for request in self.requests]
        return [
            record
            for body in bodies
            if isinstance(body, bytes)
            for record in json.loads(gzip.decompress(body))
        ]

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.requests.append(request)
        body = b"" if self.status == 204 else json.dumps(REFUSAL).encode()
        headers = {"Content-Type": "application/json"}
        answer = HTTPResponse(BytesIO(body), headers=headers, status=self.status, preload_content=False)
        return HTTPAdapter().build_response(request, answer)

    def close(self) -> None:
        pass


class Credential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(f"token for {scopes[0]}", 2**31)


class Said:
    """Progress that keeps the events and counts."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, str | int]]] = []
        self.counted: list[tuple[int, int]] = []

    def say(self, event: str, **details: str | int) -> None:
        self.events.append((event, details))

    def rows(self, done: int, total: int) -> None:
        self.counted.append((done, total))


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> Monitor:
    """An Azure Monitor that the environment names."""
    monitor = Monitor()
    session = requests.Session()
    session.mount("https://", monitor)
    client = azure.monitor.ingestion.LogsIngestionClient

    def build(endpoint: str, credential: Any, **_: Any) -> azure.monitor.ingestion.LogsIngestionClient:
        transport = RequestsTransport(session=session, session_owner=False)
        return client(endpoint, credential, transport=transport, retry_total=0)

    monkeypatch.setattr(azure.monitor.ingestion, "LogsIngestionClient", build)
    monkeypatch.setattr(importer.lake.azure, "credential", Credential)
    monkeypatch.setenv(LOG_ENDPOINT_VARIABLE, "https://imports.westeurope-1.ingest.monitor.azure.com")
    monkeypatch.setenv(LOG_RULE_VARIABLE, "dcr-1")
    return monitor


def test_successful_run_records_rows_and_bytes_of_its_version(monitor: Monitor) -> None:
    said = Said()
    with recording("houses", SCHEDULED, said) as progress:
        progress.rows(1, 2)
        progress.say("registered", asset="houses", version=VERSION, rows=2930, bytes=70_000, files=2)
        progress.say("registered", asset="houses", version="20261122T060000Z", rows=1, bytes=10, files=1)
        progress.say("clean-up failed", error="no")
    (record,) = monitor.records
    assert datetime.now(UTC) - datetime.fromisoformat(record.pop("TimeGenerated")) < timedelta(minutes=1)
    assert 0 <= record.pop("Seconds") < 60
    assert record == {
        "Import": "houses",
        "Scheduled": "2026-11-23T06:00:00+00:00",
        "Version": VERSION,
        "Outcome": "succeeded",
        "Rows": 2930,
        "Bytes": 70_000,
        "Error": "",
    }
    assert [event for event, _ in said.events] == ["registered", "registered", "clean-up failed"]
    assert said.counted == [(1, 2)]


def test_record_has_every_column_and_is_sent_to_the_rule(monitor: Monitor) -> None:
    with recording("houses", SCHEDULED, Said()):
        pass
    (record,), (request,) = monitor.records, monitor.requests
    assert set(record) == set(COLUMNS)
    assert (record["Rows"], record["Bytes"]) == (None, None)
    assert request.url is not None
    host = "https://imports.westeurope-1.ingest.monitor.azure.com"
    assert request.url.startswith(f"{host}/dataCollectionRules/dcr-1/streams/Custom-Imports_CL?")
    assert request.headers["Authorization"] == "Bearer token for https://monitor.azure.com/.default"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ImporterError("Snowflake: table HOUSES\ndoes not exist"), "Snowflake: table HOUSES does not exist"),
        (ValueError("password hunter2 is wrong"), "ValueError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_failed_run_records_its_error_without_secrets(
    monitor: Monitor, error: BaseException, told: str
) -> None:
    with pytest.raises(type(error)), recording("houses", SCHEDULED, Said()):
        raise error
    (record,) = monitor.records
    assert (record["Outcome"], record["Error"]) == ("failed", told)


def test_record_that_cannot_be_sent_is_reported_and_does_not_fail_the_run(monitor: Monitor) -> None:
    monitor.status, said = 403, Said()
    with recording("houses", SCHEDULED, said):
        pass
    ((event, details),) = said.events
    assert event == "not recorded"
    assert "Azure Monitor: The token has no access to the rule. (status 403" in str(details["error"])


def test_error_of_a_failed_run_remains_if_its_record_cannot_be_sent(monitor: Monitor) -> None:
    monitor.status = 500
    with pytest.raises(ImporterError, match="no rows"), recording("houses", SCHEDULED, Said()):
        raise ImporterError("no rows")


@pytest.mark.parametrize("missing", [LOG_ENDPOINT_VARIABLE, LOG_RULE_VARIABLE])
@pytest.mark.parametrize("value", [None, ""])
def test_without_both_variables_no_record_is_sent(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch, missing: str, value: str | None
) -> None:
    monkeypatch.delenv(missing)
    if value is not None:
        monkeypatch.setenv(missing, value)
    said = Said()
    with recording("houses", SCHEDULED, said) as progress:
        progress.say("started")
    assert monitor.requests == []
    assert said.events == [("started", {})]


def test_command_records_an_import_that_fails_before_its_query(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise ImporterError("workspace mlw does not exist")

    monkeypatch.setattr(importer.versions.workspace, "Workspace", refuse)
    with pytest.raises(ImporterError, match="does not exist"):
        run("houses", "2026-11-23T06:00:00Z")
    (record,) = monitor.records
    assert (record["Import"], record["Version"]) == ("houses", VERSION)
    assert record["Error"] == "workspace mlw does not exist"
