"""The containers of the local storage accounts, in the local Blob service."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from localcloud.home import BLOB_KEY, Home
from localcloud.providers.grpc_provider import ProviderError

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient


class BlobContainers:
    """Creates and deletes containers in Azurite, which accepts any account name."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def create(self, account: str, container: str) -> None:
        """Create the container, unless it exists."""
        self._call(account, lambda client: client.create_container(container))

    def delete(self, account: str, container: str) -> None:
        """Delete the container and its blobs, if it exists."""
        self._call(account, lambda client: client.delete_container(container))

    def _call(self, account: str, request: Callable[["BlobServiceClient"], object]) -> None:
        from azure.storage.blob import BlobServiceClient  # takes 0.3 s, and a preview makes no container

        url = f"{self._home.blob_url}/{account}"
        credential = {"account_name": account, "account_key": BLOB_KEY}
        certificates = str(self._home.ca_bundle)
        with BlobServiceClient(
            url, credential=credential, connection_verify=certificates, retry_total=2
        ) as client:
            try:
                request(client)
            except (ResourceExistsError, ResourceNotFoundError):
                return
            except AzureError as error:
                reason = str(error).splitlines()[0]
                raise ProviderError(
                    f"the local Blob service at {url} refused: {reason};"
                    " is it running? (python -m localcloud status)"
                ) from None
