"""How the importer reports the errors of Azure's services, through the real clients."""

import json
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import pytest
import requests
from azure.ai.ml import MLClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.core.pipeline.transport import RequestsTransport
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import ContainerClient
from requests.adapters import BaseAdapter, HTTPAdapter
from tenacity import wait_none
from urllib3 import HTTPResponse

from importer.errors import ImporterError, MissingRoleError
from importer.lake import azure
from importer.lake.azure import awaiting_roles, calling, error_text


class Refusal(BaseAdapter):
    """A service that refuses every request in the same way."""

    def __init__(self, status: int, body: str, headers: Mapping[str, str]) -> None:
        super().__init__()
        self._status = status
        self._body = body
        self._headers = {"x-ms-request-id": "req-7", **headers}

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        """Refuse the request."""
        raw = HTTPResponse(BytesIO(self._body.encode()), self._headers, self._status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def transport(self) -> RequestsTransport:
        session = requests.Session()
        session.mount("https://", self)
        return RequestsTransport(session=session, session_owner=False)


class Credential:
    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


def odata(code: str, inner: str | None = None) -> str:
    error = {"code": code, "message": "no\nrole", "innererror": {"code": inner} if inner else None}
    return json.dumps({"error": error})


def call_arm(code: str, status: int = 403) -> None:
    transport = Refusal(status, odata(code), {"Content-Type": "application/json"}).transport()
    MLClient(Credential(), "sub", "rg", "ws", transport=transport, retry_total=0).connections.get("c")


def call_vault(inner: str) -> None:
    # the client first asks the vault where to get tokens for it
    challenge = 'Bearer authorization="https://login.test/t", resource="https://vault.azure.net"'
    headers = {"Content-Type": "application/json", "WWW-Authenticate": challenge}
    transport = Refusal(403, odata("Forbidden", inner), headers).transport()
    SecretClient("https://kv.vault.azure.net", Credential(), transport=transport, retry_total=0).get_secret(
        "s"
    )


def call_blob(code: str) -> None:
    body = (
        f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no role\nRequestId:req-7</Message></Error>'
    )
    headers = {"Content-Type": "application/xml", "x-ms-error-code": code}
    transport = Refusal(403, body, headers).transport()
    account = "https://lake.blob.core.windows.net"
    container = ContainerClient(account, "rawdata", Credential(), transport=transport, retry_total=0)
    list(container.list_blobs())


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (call_arm, "AuthorizationFailed"),
        (call_vault, "ForbiddenByRbac"),
        (call_blob, "AuthorizationPermissionMismatch"),
    ],
)
def test_refusal_for_a_missing_role_raises_its_own_error(call: Callable[[str], None], code: str) -> None:
    with pytest.raises(MissingRoleError) as caught, calling("service x"):
        call(code)
    assert str(caught.value) == "service x: no role (status 403, request id req-7)"


@pytest.mark.parametrize(
    "call",
    [
        lambda: call_arm("RequestDisallowedByPolicy"),
        lambda: call_arm("AuthorizationFailed", 404),
        lambda: call_blob("AuthorizationFailure"),  # of a firewall
        lambda: call_vault("ForbiddenByFirewall"),
    ],
)
def test_another_refusal_is_an_error_at_once(call: Callable[[], None]) -> None:
    with pytest.raises(ImporterError) as caught, calling("service x"):
        call()
    assert not isinstance(caught.value, MissingRoleError)


def test_unreachable_service_has_no_status_in_its_error() -> None:
    assert error_text(ServiceRequestError("no route\nto host")) == "no route"


#: The form of azure-identity's message: a line for each method.
ATTEMPTS = """DefaultAzureCredential failed to retrieve a token from the included credentials.
Attempted credentials:
\tEnvironmentCredential: EnvironmentCredential authentication unavailable. Not fully configured.
Visit https://aka.ms/a to troubleshoot this issue.
\tWorkloadIdentityCredential: WorkloadIdentityCredential authentication unavailable. Missing: 'x'.
\tManagedIdentityCredential: {managed}
\tAzureCliCredential: {cli}
To mitigate this issue, please refer to the troubleshooting guidelines here."""
UNAVAILABLE = "ManagedIdentityCredential authentication unavailable, no response from the IMDS endpoint."


@pytest.mark.parametrize(
    ("managed", "cli", "reason"),
    [
        (
            "400, No such identity.",
            "Azure CLI not found",
            "ManagedIdentityCredential: 400, No such identity.",
        ),
        (UNAVAILABLE, "Please run 'az login'.", "AzureCliCredential: Please run 'az login'."),
        (UNAVAILABLE, "AADSTS70043: The token has expired.", "AADSTS70043: The token has expired."),
    ],
)
def test_refused_sign_in_names_the_client_id_and_the_method_that_was_refused(
    monkeypatch: pytest.MonkeyPatch, managed: str, cli: str, reason: str
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", "robot")
    with pytest.raises(ImporterError) as caught, calling("secret x"):
        raise ClientAuthenticationError(ATTEMPTS.format(managed=managed, cli=cli))
    assert str(caught.value) == f"secret x: cannot sign in to Azure (client id robot): {reason}"


def test_refused_sign_in_without_a_client_id_says_that_it_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_CLIENT_ID", raising=False)
    refused = error_text(ClientAuthenticationError("Run az login\nor else"))
    assert refused == "cannot sign in to Azure (AZURE_CLIENT_ID is not set): Run az login"


class Events:
    """Progress that keeps the events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def say(self, event: str, **_: str | int) -> None:
        self.events.append(event)

    def rows(self, done: int, total: int) -> None:
        """Keep nothing: no rows are written here."""


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azure, "ROLE_RETRIES", azure.ROLE_RETRIES.copy(wait=wait_none()))


@pytest.mark.usefixtures("no_pauses")
def test_call_is_repeated_until_the_role_applies_and_the_wait_is_reported_once() -> None:
    answers: list[Exception | str] = [MissingRoleError("no"), MissingRoleError("no"), "yes"]
    progress = Events()

    def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert awaiting_roles(progress, call) == "yes"
    assert progress.events == ["waiting for role assignments"]


@pytest.mark.usefixtures("no_pauses")
def test_other_error_is_not_retried() -> None:
    calls, progress = [], Events()

    def call() -> None:
        calls.append("call")
        raise ImporterError("no such datastore")

    with pytest.raises(ImporterError, match="no such datastore"):
        awaiting_roles(progress, call)
    assert (calls, progress.events) == (["call"], [])


def test_missing_role_is_an_error_after_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(azure, "ROLE_RETRIES", azure.ROLE_RETRIES.copy(sleep=sleep))

    def call() -> None:
        raise MissingRoleError("no")

    with pytest.raises(MissingRoleError):
        awaiting_roles(Events(), call)
    assert 240 <= sum(slept) <= 300
