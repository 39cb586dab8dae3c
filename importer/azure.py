"""Signing in to Azure, and the calls that need no more than that."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient

from importer.errors import ImporterError


@cache
def credential() -> DefaultAzureCredential:
    """Return whatever identity there is: the job's managed identity, or who is signed in with `az`."""
    return DefaultAzureCredential()


@contextmanager
def calling(service: str) -> Iterator[None]:
    """Turn a failed call into an ImporterError that names the service and has the service's own message."""
    try:
        yield
    except ClientAuthenticationError as error:
        raise ImporterError(f"{service}: cannot sign in to Azure: {_first_line(error.message)}") from None
    except HttpResponseError as error:
        raise ImporterError(f"{service}: {error.status_code} {_first_line(error.message)}") from None
    except AzureError as error:
        raise ImporterError(f"{service} cannot be reached: {_first_line(error.message)}") from None


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0].strip()


def is_emulator(host: str) -> bool:
    """Return whether `host` (with or without a port) is an address, as only an emulator's is.

    Azurite's has the account in its path
    (https://learn.microsoft.com/azure/storage/common/storage-connect-azurite).
    """
    try:
        ipaddress.ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
    return True


def read_secret(uri: str) -> str:
    """Return a secret of Key Vault; `uri` is `https://<vault>/secrets/<name>`, with a version or without."""
    vault, _, path = uri.partition("/secrets/")
    name, _, version = path.strip("/").partition("/")
    # Key Vault's challenge names the domain of all vaults, and an emulator is in none
    client = SecretClient(
        vault, credential(), verify_challenge_resource=not is_emulator(urlsplit(uri).netloc), retry_total=4
    )
    with calling(f"secret {uri}"):
        value = client.get_secret(name, version or None).value
    if not value:
        raise ImporterError(f"secret {uri} is empty")
    return value
