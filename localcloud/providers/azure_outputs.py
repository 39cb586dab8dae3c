"""The outputs that Azure adds to a resource: addresses, identities, keys. All are derived from its ARM id."""

import uuid
from collections.abc import Callable
from typing import Protocol

from azure.mgmt.core.tools import parse_resource_id

from localcloud.arm import ArmStore, Document
from localcloud.home import TENANT_ID, Home
from localcloud.providers.properties import overlay


class Addresses(Protocol):
    """The addresses at which services serve their resources."""

    def account(self, name: str) -> str:
        """Return the address of a storage account's Blob service."""

    def vault(self, name: str) -> str:
        """Return the address of a vault."""

    def ingestion(self, name: str) -> str:
        """Return the address that accepts logs."""

    def discovery(self) -> str:
        """Return the address that says where a workspace's services are."""


class LocalAddresses:
    """The addresses of a local cloud."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def account(self, name: str) -> str:
        """Return the emulator's address of an account."""
        return f"{self._home.blob_url}/{name}/"

    def vault(self, name: str) -> str:
        """Return the address of a vault in the local Azure."""
        return f"{self._home.azure_url}/vaults/{name}/"

    def ingestion(self, name: str) -> str:
        """Return the address of the local Azure, which accepts all logs."""
        del name
        return self._home.azure_url

    def discovery(self) -> str:
        """Return the discovery address of the local Azure."""
        return f"{self._home.azure_url}/discovery"


_Addition = Callable[[Document, Addresses], Document]


def add_service_outputs(body: Document, addresses: Addresses, store: ArmStore) -> Document:
    """Return `body` with the properties that the service adds."""
    body = body | {"properties": body["properties"] | {"provisioningState": "Succeeded"}}
    if "identity" in body:
        body["identity"] = _identity(body, store)
    addition = _ADDITIONS.get(body["type"])
    return overlay(body, addition(body, addresses)) if addition else body


def derived_uuid(arm_id: str, purpose: str) -> str:
    """Return a UUID that always is the same for the same resource and `purpose`."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{arm_id.lower()}#{purpose}"))


def _identity(body: Document, store: ArmStore) -> Document:
    """Return the identity block with the client and principal ids of its identities."""
    identity = dict(body["identity"])
    if "SystemAssigned" in identity.get("type", ""):
        identity |= {"principalId": derived_uuid(body["id"], "principal"), "tenantId": TENANT_ID}
    if "userAssignedIdentities" in identity:
        assigned = {arm_id: store.get(arm_id) for arm_id in identity["userAssignedIdentities"]}
        identity["userAssignedIdentities"] = {
            arm_id: {key: found["properties"][key] for key in ("clientId", "principalId")}
            for arm_id, found in assigned.items()
            if found is not None
        }
    return identity


def _user_identity(body: Document, _: Addresses) -> Document:
    ids = {
        "clientId": derived_uuid(body["id"], "client"),
        "principalId": derived_uuid(body["id"], "principal"),
    }
    return {"properties": ids | {"tenantId": TENANT_ID}}


def _storage(body: Document, addresses: Addresses) -> Document:
    return {"properties": {"primaryEndpoints": {"blob": addresses.account(body["name"])}}}


def _vault(body: Document, addresses: Addresses) -> Document:
    return {"properties": {"vaultUri": addresses.vault(body["name"])}}


def _log_analytics(body: Document, _: Addresses) -> Document:
    return {"properties": {"customerId": derived_uuid(body["id"], "customer")}}


def _insights(body: Document, addresses: Addresses) -> Document:
    key = derived_uuid(body["id"], "instrumentation")
    connection = f"InstrumentationKey={key};IngestionEndpoint={addresses.ingestion(body['name'])}/"
    return {
        "properties": {
            "instrumentationKey": key,
            "appId": derived_uuid(body["id"], "application"),
            "connectionString": connection,
        }
    }


def _key(body: Document, addresses: Addresses) -> Document:
    vault = str(parse_resource_id(body["id"])["name"])
    address = f"{addresses.vault(vault)}keys/{body['name']}"
    return {"properties": {"keyUri": address, "keyUriWithVersion": f"{address}/1"}}


def _collection_endpoint(body: Document, addresses: Addresses) -> Document:
    return {"properties": {"logsIngestion": {"endpoint": addresses.ingestion(body["name"])}}}


def _collection_rule(body: Document, _: Addresses) -> Document:
    return {"properties": {"immutableId": f"dcr-{derived_uuid(body['id'], 'rule').replace('-', '')}"}}


def _registry(body: Document, _: Addresses) -> Document:
    return {"properties": {"loginServer": f"{body['name'].lower()}.azurecr.io"}}


def _workspace(body: Document, addresses: Addresses) -> Document:
    properties = {
        "workspaceId": derived_uuid(body["id"], "workspace"),
        "tenantId": TENANT_ID,
        "discoveryUrl": addresses.discovery(),
    }
    return {"properties": properties | _managed_network(body["properties"])}


def _managed_network(properties: Document) -> Document:
    """Return the managed network with the rules that Azure ML makes of its own.

    https://learn.microsoft.com/azure/machine-learning/how-to-managed-network#list-of-required-rules
    """
    network = properties.get("managedNetwork") or {}
    if network.get("isolationMode", "Disabled") == "Disabled":
        return {}
    own = {
        f"__SYS_PE_{key}_{group}": {
            "type": "PrivateEndpoint",
            "category": "Required",
            "status": "Active",
            "destination": {"serviceResourceId": properties[key], "subresourceTarget": group},
        }
        for key, group in (
            ("storageAccount", "blob"),
            ("keyVault", "vault"),
            ("containerRegistry", "registry"),
        )
        if key in properties
    }
    return {"managedNetwork": {"status": {"status": "Active"}, "outboundRules": own}}


def _cluster(body: Document, _: Addresses) -> Document:
    cluster = derived_uuid(body["id"], "cluster")
    properties, group = body["properties"], parse_resource_id(body["id"])["resource_group"]
    location = body["location"]
    host = f"{properties.get('dnsPrefix', body['name'])}-{cluster[:8]}"
    nodes = properties.get("nodeResourceGroup", f"MC_{group}_{body['name']}_{location}")
    kubelet = "/".join(
        [*body["id"].split("/")[:4], nodes, "providers/Microsoft.ManagedIdentity/userAssignedIdentities"]
    )
    identity = {
        "resourceId": f"{kubelet}/{body['name']}-agentpool",
        "clientId": derived_uuid(body["id"], "kubelet-client"),
        "objectId": derived_uuid(body["id"], "kubelet-principal"),
    }
    added: Document = {
        "fqdn": f"{host}.hcp.{location}.azmk8s.io",
        "privateFQDN": f"{host}.private.{location}.azmk8s.io",
        "nodeResourceGroup": nodes,
        "currentKubernetesVersion": properties.get("kubernetesVersion", "1.34.1"),
        "identityProfile": {
            "kubeletidentity": identity | properties.get("identityProfile", {}).get("kubeletidentity", {})
        },
    }
    if properties.get("oidcIssuerProfile", {}).get("enabled"):
        issuer = f"https://{location}.oic.prod-aks.azure.com/{TENANT_ID}/{cluster}/"
        added["oidcIssuerProfile"] = {"issuerURL": issuer}
    if not (properties.get("apiServerAccessProfile") or {}).get("enablePrivateCluster"):
        del added["privateFQDN"]
    return {"properties": added}


def _virtual_network(body: Document, _: Addresses) -> Document:
    subnets = body["properties"].get("subnets", [])
    return {"properties": {"subnets": [s | {"id": f"{body['id']}/subnets/{s['name']}"} for s in subnets]}}


def _public_ip(body: Document, _: Addresses) -> Document:
    # from the block that is reserved for documentation, https://www.rfc-editor.org/rfc/rfc5737
    host = uuid.UUID(derived_uuid(body["id"], "address")).int % 254 + 1
    return {"properties": {"ipAddress": f"203.0.113.{host}"}}


_ADDITIONS: dict[str, _Addition] = {
    "Microsoft.ManagedIdentity/userAssignedIdentities": _user_identity,
    "Microsoft.Storage/storageAccounts": _storage,
    "Microsoft.KeyVault/vaults": _vault,
    "Microsoft.KeyVault/vaults/keys": _key,
    "Microsoft.Insights/dataCollectionEndpoints": _collection_endpoint,
    "Microsoft.Insights/dataCollectionRules": _collection_rule,
    "Microsoft.OperationalInsights/workspaces": _log_analytics,
    "Microsoft.Insights/components": _insights,
    "Microsoft.ContainerRegistry/registries": _registry,
    "Microsoft.MachineLearningServices/workspaces": _workspace,
    "Microsoft.ContainerService/managedClusters": _cluster,
    "Microsoft.Network/virtualNetworks": _virtual_network,
    "Microsoft.Network/publicIPAddresses": _public_ip,
}
