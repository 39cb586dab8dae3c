"""What the dynamic providers share: validation, diff, retries, and what the state keeps of a provider."""

import base64
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from azure.core import PipelineClient
from azure.core.exceptions import HttpResponseError, ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.output import UNKNOWN

from components.dynamic.import_schedule import ImportScheduleProvider
from components.dynamic.importer_code import ImporterCodeProvider
from components.dynamic.provider import (
    ManagedInputs,
    ManagedProvider,
    Outputs,
    Properties,
    ResourceError,
    _is_unexpected,
)
from components.dynamic.retry import ArmRetryPolicy
from components.dynamic.snowflake_connection import SnowflakeConnectionProvider
from components.dynamic.workspace import ChildId, WorkspaceRef
from tests.local_cloud import REPOSITORY

WORKSPACE = {"subscription_id": "5ab0", "resource_group": "rg", "name": "mlw"}


class ThingInputs(ManagedInputs):
    identity = frozenset({"workspace", "name"})
    only_at_creation = frozenset({"greeting"})

    name: str
    size: int = 1
    greeting: str = "hello"

    @property
    def arm_id(self) -> ChildId:
        return ChildId(self.workspace, "things", self.name)


class ThingProvider(ManagedProvider[ThingInputs]):
    inputs = ThingInputs

    def bring_about(self, inputs: ThingInputs, state: Properties) -> Outputs:
        return {"growth": inputs.size - state.get("size", 0)}

    def observe(self, arm_id: ChildId, state: Properties) -> Outputs | None:
        return {"workspace": WORKSPACE, "name": arm_id.name, "size": str(state["size"] + 2)}

    def remove(self, arm_id: ChildId, _state: Properties) -> None:
        raise HttpResponseError(f"the service\n  keeps {arm_id.name}")


PROVIDER = ThingProvider()
ID = str(ChildId(WorkspaceRef(**WORKSPACE), "things", "a"))


def thing(**changes: Any) -> dict[str, Any]:
    return {"__provider": "pickled", "workspace": WORKSPACE, "name": "a", "size": 1.0, **changes}


def test_check_returns_the_inputs_with_defaults_and_in_their_types() -> None:
    result = PROVIDER.check({}, thing())
    assert result.inputs == {"workspace": WORKSPACE, "name": "a", "size": 1, "greeting": "hello"}


def test_check_reports_every_broken_rule_with_its_path_and_value() -> None:
    news = thing(size="big", colour="red", workspace={**WORKSPACE, "name": ""})
    del news["name"]
    reasons = sorted(failure.reason for failure in PROVIDER.check({}, news).failures)
    assert reasons == [
        "colour: extra inputs are not permitted",
        "name: field required",
        "size: Input should be a valid integer, unable to parse string as an integer; got 'big'",
        "workspace.name: String should have at least 1 character; got ''",
    ]


def test_check_accepts_unknown_values() -> None:
    news = thing(name=UNKNOWN, workspace={**WORKSPACE, "name": UNKNOWN})
    result = PROVIDER.check({}, news)
    assert result.failures == []
    assert result.inputs["name"] is UNKNOWN
    assert PROVIDER.check({}, thing(workspace=UNKNOWN)).failures == []


def test_equal_value_of_another_type_and_omitted_default_are_no_difference() -> None:
    assert PROVIDER.diff(ID, thing(size=1, growth=0), thing(greeting="hello")).changes is False


@pytest.mark.parametrize(
    ("changes", "changed", "replaces"),
    [
        ({"size": 2}, ["size"], []),
        ({"greeting": "bye"}, [], []),
        ({"name": "b"}, ["name"], ["name"]),
        ({"workspace": {**WORKSPACE, "name": "other"}}, ["workspace"], ["workspace"]),
        ({"workspace": {**WORKSPACE, "resource_group": "RG"}}, ["workspace"], []),
        ({"workspace": {**WORKSPACE, "name": UNKNOWN}}, ["workspace"], []),
    ],
)
def test_diff_replaces_only_if_the_arm_id_changes(
    changes: dict[str, Any], changed: list[str], replaces: list[str]
) -> None:
    news = thing(**changes)
    result = PROVIDER.diff(ID, thing(), news)
    assert PROVIDER.changes(thing(), news) == changed
    assert (result.changes, result.replaces) == (bool(changed), replaces)


def test_create_and_update_return_declared_and_computed_properties() -> None:
    created = PROVIDER.create(thing())
    assert created.id == ID
    assert created.outs == {
        "workspace": WORKSPACE,
        "name": "a",
        "size": 1,
        "greeting": "hello",
        "growth": 1,
    }
    updated = PROVIDER.update(ID, thing(size=4), thing(size=5)).outs or {}
    assert (updated["size"], updated["growth"]) == (5, 1)


def test_read_returns_normalised_live_values_as_inputs() -> None:
    result = PROVIDER.read(ID, thing())
    assert result.inputs == {"workspace": WORKSPACE, "name": "a", "size": 3, "greeting": "hello"}


def test_service_error_is_one_line_with_the_resource() -> None:
    with pytest.raises(ResourceError, match=r"^things/a in workspace mlw: the service$"):
        PROVIDER.delete(ID, thing())


def test_only_unexpected_errors_are_logged_with_their_traceback() -> None:
    def record(error: Exception) -> logging.LogRecord:
        return logging.LogRecord("grpc", logging.ERROR, "", 0, "", (), (type(error), error, None))

    assert not _is_unexpected(record(ResourceError("said it all")))
    assert _is_unexpected(record(KeyError("a bug")))


@pytest.mark.parametrize(
    "provider", [ImportScheduleProvider, ImporterCodeProvider, SnowflakeConnectionProvider]
)
def test_a_pickled_provider_is_only_the_name_of_its_class(provider: type[ManagedProvider[Any]]) -> None:
    pickled = base64.b64decode(serialize_provider(provider()))
    assert len(pickled) < 150
    assert provider.__module__.encode() in pickled
    assert vars(provider()) == {}


def test_declaring_resources_imports_no_client() -> None:
    modules = ("import_schedule", "importer_code", "snowflake_connection")
    imports = ", ".join(f"components.dynamic.{module}" for module in modules)
    clients = {"azure.ai.ml", "azure.identity", "pyarrow", "snowflake.connector"}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {imports}; print({clients!r} & sys.modules.keys())"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "set()\n"


class Service:
    """A server that answers with `script`, then with 200; a `None` in the script drops the connection."""

    def __init__(self, url: str, script: list[tuple[int, dict[str, str], str] | None]) -> None:
        self.url = url
        self.script = script
        self.requests = 0

    def call(self, method: str = "PUT") -> tuple[int, list[float]]:
        """Return the last answer's status and the pauses in seconds, which are recorded and skipped."""
        transport = RequestsTransport()
        pauses: list[float] = []
        transport.sleep = pauses.append
        client: PipelineClient[Any, Any] = PipelineClient(
            self.url, policies=[ArmRetryPolicy()], transport=transport
        )
        response = client.send_request(HttpRequest(method, self.url, json={}))
        return response.status_code, pauses


@pytest.fixture
def service() -> Iterator[Service]:
    script: list[tuple[int, dict[str, str], str] | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            served.requests += 1
            answer = script.pop(0) if script else (200, {}, "")
            if answer is None:
                self.connection.close()
                return
            status, headers, message = answer
            body = json.dumps({"error": {"code": message, "message": message}}).encode()
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Service(f"http://127.0.0.1:{server.server_address[1]}/thing", script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_throttling_and_server_errors_are_retried_with_growing_random_pauses(
    service: Service, status: int
) -> None:
    service.script += [(status, {}, "Busy")] * 3
    code, pauses = service.call()
    assert (code, service.requests) == (200, 4)
    assert all(0.8 * 2**n <= pause <= 1.6 * 2**n for n, pause in enumerate(pauses)), pauses
    assert len(set(pauses)) == 3


def test_throttled_post_is_retried(service: Service) -> None:
    service.script += [(429, {}, "Busy")]
    assert service.call("POST")[0] == 200


def test_retry_after_sets_the_pause(service: Service) -> None:
    service.script += [(429, {"Retry-After": "7"}, "Busy"), (503, {"Retry-After": "2"}, "Busy")]
    assert service.call() == (200, [7, 2])


def test_reset_connection_is_retried(service: Service) -> None:
    service.script += [None, None]
    assert service.call()[0] == 200
    assert service.requests == 3


def test_conflict_is_retried_only_while_another_operation_is_in_progress(service: Service) -> None:
    service.script += [(409, {}, "AnotherOperationInProgress"), (409, {}, "NameIsTaken")]
    assert service.call()[0] == 409
    assert service.requests == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_client_error_is_not_retried(service: Service, status: int) -> None:
    service.script += [(status, {}, "No")]
    assert service.call()[0] == status
    assert service.requests == 1


def test_retries_end_after_six_attempts(service: Service) -> None:
    service.script += [(503, {}, "Busy")] * 10
    assert service.call()[0] == 503
    assert service.requests == 6
    service.script[:] = [None] * 10
    with pytest.raises(ServiceResponseError):
        service.call()
    assert service.requests == 12


def test_retry_after_of_an_hour_is_not_waited_for(service: Service) -> None:
    service.script += [(429, {"Retry-After": "3600"}, "Busy")]
    assert service.call() == (429, [])
