"""Signing in to Azure, and the calls that need no more than that."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from importer.errors import ImporterError, MissingRoleError
from importer.lake.emulator import is_emulator

#: What Azure Resource Manager, Blob Storage and Key Vault answer whoever has no role for a call.
_NO_ROLE = {"AuthorizationFailed", "AuthorizationPermissionMismatch", "Forbidden", "ForbiddenByRbac"}

#: The seconds that a service of Azure may take to accept a connection, and to send the next bytes.
TIMEOUTS: dict[str, Any] = {"connection_timeout": 10, "read_timeout": 60}

#: Mostly a role assignment applies within minutes
#: (https://learn.microsoft.com/azure/role-based-access-control/troubleshooting).
ROLE_RETRIES = Retrying(
    retry=retry_if_exception_type(MissingRoleError),
    stop=stop_after_delay(300),
    wait=wait_fixed(15),
    reraise=True,
)
Result = TypeVar("Result")


@cache
def credential() -> DefaultAzureCredential:
    """Return whatever identity there is: the job's managed identity, or who is signed in with `az`."""
    return DefaultAzureCredential(**TIMEOUTS)


@contextmanager
def calling(service: str) -> Iterator[None]:
    """Turn a failed call into an ImporterError that names the service and has the service's own message."""
    try:
        yield
    except ClientAuthenticationError as error:
        raise ImporterError(f"{service}: cannot sign in to Azure: {error_text(error)}") from None
    except HttpResponseError as error:
        kind = MissingRoleError if _is_for_lack_of_a_role(error) else ImporterError
        raise kind(f"{service}: {error_text(error)}") from None
    except AzureError as error:
        raise ImporterError(f"{service} cannot be reached: {error_text(error)}") from None


def error_text(error: AzureError) -> str:
    """Return a service's message, with the status and the request id where the service has answered."""
    if not isinstance(error, HttpResponseError) or error.response is None:
        return _first_line(error.message)
    # where the service's error has no structure, lines with its details follow the message
    message = (error.error and error.error.message) or _first_line(error.message)
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    request_id = headers.get("x-ms-request-id") or headers.get("x-ms-correlation-request-id")
    return f"{' '.join(message.split())} (status {error.status_code}, request id {request_id or 'none'})"


def _is_for_lack_of_a_role(error: HttpResponseError) -> bool:
    # Blob Storage has its code in an attribute of its own, Key Vault the reason within the error
    code = getattr(error, "error_code", None)
    if error.error is not None:
        code = (error.error.innererror or {}).get("code", error.error.code)
    return error.status_code == HTTPStatus.FORBIDDEN and code in _NO_ROLE


def awaiting_roles(call: Callable[[], Result], on_wait: Callable[[], None]) -> Result:
    """Return what `call` returns; for five minutes, call it again where a role is missing.

    `on_wait` is called before the first pause.
    """

    def tell(state: RetryCallState) -> None:
        if state.attempt_number == 1:
            on_wait()

    return ROLE_RETRIES.copy(before_sleep=tell)(call)


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0].strip()


def read_secret(uri: str) -> str:
    """Return a secret of Key Vault; `uri` is `https://<vault>/secrets/<name>`, with a version or without."""
    vault, _, path = uri.partition("/secrets/")
    name, _, version = path.strip("/").partition("/")
    # Key Vault's challenge names the domain of all vaults, and an emulator is in none
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
        raise ImporterError(f"secret {uri} is empty")
    return value
