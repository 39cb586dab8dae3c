"""The providers of an offline preview, which know ids, names and outputs before anything is created.

All are derived from URNs and inputs, so two previews of the same settings are equal. Each resource is kept in
the directory of the preview, where the resources that depend on it find it.
"""

from datetime import UTC, datetime

from localcloud.home import Home
from localcloud.providers.azure_native import AzureNative
from localcloud.providers.azure_types import find
from localcloud.providers.grpc_provider import Resource
from localcloud.providers.kubernetes import Kubernetes
from localcloud.providers.properties import Properties, has_unknown


class PublicAddresses:
    """Addresses as the public Azure gives them: https://learn.microsoft.com/azure/private-link/private-endpoint-dns."""

    def account(self, name: str) -> str:
        """Return the address of a storage account's Blob service."""
        return f"https://{name}.blob.core.windows.net/"

    def vault(self, name: str) -> str:
        """Return the address of a vault."""
        return f"https://{name}.vault.azure.net/"

    def ingestion(self, name: str) -> str:
        """Return the address that accepts logs, without the region that Azure adds."""
        return f"https://{name}.ingest.monitor.azure.com"

    def discovery(self) -> str:
        """Return the address that says where a workspace's services are, without the region."""
        return "https://api.azureml.ms/discovery"


class OfflineAzure(AzureNative):
    """Azure, where nothing is refused and every resource exists: a stack may use resources of others."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, PublicAddresses())

    def seed(self, urn: str, random: bytes) -> bytes:
        """Return the URN: a resource's name is the same in every preview."""
        del random
        return urn.encode()

    def now(self) -> datetime:
        """Return the time at which every preview happens: it would differ between two otherwise."""
        return datetime(2026, 1, 1, tzinfo=UTC)

    def foresee(self, resource: Resource, inputs: Properties) -> tuple[str, Properties]:
        """Return the id and the outputs that the resource will have, if its inputs are known."""
        return super().foresee(resource, inputs) if has_unknown(inputs) else self.keep(resource, inputs)

    def invoke(self, token: str, args: Properties, config: Properties) -> Properties:
        """Return the result of a function; a resource of the account that it asks for is taken to exist."""
        existing = Resource(type=token.replace(":get", ":"), name="", config=config)
        if ":get" in token and find(existing.type) and not self.has(existing, args):
            self.keep(existing, args)
        return super().invoke(token, args, config)


class OfflineKubernetes(Kubernetes):
    """A cluster whose objects have the same names in every preview."""

    def seed(self, urn: str, random: bytes) -> bytes:
        """Return the URN: an object's name is the same in every preview."""
        del random
        return urn.encode()
