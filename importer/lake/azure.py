"""Sign-in to Azure, the errors of its services, retries while roles take effect, and Key Vault secrets."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from importer.errors import ImporterError, MissingRoleError
from importer.lake.emulator import is_emulator

if TYPE_CHECKING:
    from importer.progress import Progress

#: The error codes of Azure Resource Manager, Blob Storage and Key Vault for a missing role.
_NO_ROLE = {"AuthorizationFailed", "AuthorizationPermissionMismatch", "Forbidden", "ForbiddenByRbac"}

#: How long a service of Azure may take to accept a connection, and to send the next bytes, in seconds.
TIMEOUTS: dict[str, Any] = {"connection_timeout": 10, "read_timeout": 60}

#: Most role assignments take effect within minutes
#: (https://learn.microsoft.com/azure/role-based-access-control/troubleshooting).
ROLE_RETRIES = Retrying(
    retry=retry_if_exception_type(MissingRoleError),
    stop=stop_after_delay(300),
    wait=wait_fixed(15),
    reraise=True,
)

_CLIENT_ID = "AZURE_CLIENT_ID"

#: The reason of Entra ID for refusing a token
#: (https://learn.microsoft.com/entra/identity-platform/reference-error-codes).
_ENTRA_REFUSAL = re.compile(r"AADSTS\d+: [^\r\n]*")

#: A method in azure-identity's list of all that it tried, with the reason.
_ATTEMPT = re.compile(r"^\t(\w+Credential): (.*)$", re.MULTILINE)

#: The methods of jobs and laptops. A method that is not set up has "unavailable" in its reason.
_METHODS = (
    "EnvironmentCredential",
    "WorkloadIdentityCredential",
    "ManagedIdentityCredential",
    "AzureCliCredential",
)

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@cache
def credential() -> DefaultAzureCredential:
    """Return the importer's identity: the job's managed identity, or on a laptop the user of `az login`."""
    return DefaultAzureCredential(**TIMEOUTS)


@contextmanager
def calling(service: str) -> Iterator[None]:
    """Turn a failed call into an ImporterError with the name of the service and the service's own message."""
    try:
        yield
    except HttpResponseError as error:
        kind = MissingRoleError if _is_missing_role(error) else ImporterError
        raise kind(f"{service}: {error_text(error)}") from None
    except AzureError as error:
        raise ImporterError(f"{service} cannot be reached: {error_text(error)}") from None


def error_text(error: AzureError) -> str:
    """Return a service's message; with the status and the request id, if the service has answered.

    The error of a sign-in has the client id that was tried.
    """
    if isinstance(error, ClientAuthenticationError):
        return f"cannot sign in to Azure ({client_id_tried()}): {_message(error)}"
    return _message(error)


def client_id_tried() -> str:
    """Return the client id with which azure-identity signs in, or that the environment has none.

    A managed identity and a workload identity are chosen by it
    (https://learn.microsoft.com/python/api/azure-identity/azure.identity.defaultazurecredential).
    """
    client_id = os.environ.get(_CLIENT_ID)
    return f"client id {client_id}" if client_id else f"{_CLIENT_ID} is not set"


def _message(error: AzureError) -> str:
    if not isinstance(error, HttpResponseError) or error.response is None:
        return _sign_in_refusal(error.message) or _first_line(error.message)
    # without a structured error, the first line is the message, and details follow
    message = (error.error and error.error.message) or _first_line(error.message)
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    request_id = headers.get("x-ms-request-id") or headers.get("x-ms-correlation-request-id")
    return f"{' '.join(message.split())} (status {error.status_code}, request id {request_id or 'none'})"


def _sign_in_refusal(message: str) -> str | None:
    """Return why the sign-in failed, from azure-identity's list of all methods; None if there is no list."""
    if refusal := _ENTRA_REFUSAL.search(message):
        return refusal[0]
    attempts = dict(_ATTEMPT.findall(message))
    tried = [name for name in _METHODS if "unavailable" not in attempts.get(name, "unavailable")]
    return f"{tried[0]}: {attempts[tried[0]]}" if tried else None


def _is_missing_role(error: HttpResponseError) -> bool:
    # Blob Storage's code is an attribute of its own, Key Vault's is in the inner error
    code = getattr(error, "error_code", None)
    if error.error is not None:
        code = (error.error.innererror or {}).get("code", error.error.code)
    return error.status_code == HTTPStatus.FORBIDDEN and code in _NO_ROLE


def awaiting_roles(
    progress: "Progress",
    call: Callable[_Arguments, _Result],
    *arguments: _Arguments.args,
    **options: _Arguments.kwargs,
) -> _Result:
    """Return the result of a call; while a role is missing, repeat the call for up to five minutes.

    The wait is reported before the first pause.
    """

    def report(state: RetryCallState) -> None:
        if state.attempt_number == 1:
            progress.say("waiting for role assignments")

    return ROLE_RETRIES.copy(before_sleep=report)(call, *arguments, **options)


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0].strip()


def read_secret(uri: str) -> str:
    """Return a secret from Key Vault; `uri` is `https://<vault>/secrets/<name>`, or ends in a version."""
    vault, _, path = uri.partition("/secrets/")
    name, _, version = path.strip("/").partition("/")
    # the client checks that a vault is in Key Vault's domain, and an emulator is not
    client = SecretClient(
        vault,
        credential(),
        verify_challenge_resource=not is_emulator(urlsplit(uri).netloc),
        retry_total=4,
        **TIMEOUTS,
    )
    with calling(f"secret {uri}"):
        value = client.get_secret(name, version or None).value
    if not value:
        raise ImporterError(f"secret {uri} is empty: set its value in Key Vault")
    return value
