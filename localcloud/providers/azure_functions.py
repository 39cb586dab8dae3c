"""The functions of azure-native that this program calls: client ids, a kubeconfig, existing resources."""

import base64
import json

import yaml
from azure.mgmt.core.tools import parse_resource_id

from localcloud.arm import ArmStore, Document
from localcloud.home import TENANT_ID
from localcloud.providers import sdk_schema
from localcloud.providers.azure_body import resolve, to_outputs
from localcloud.providers.azure_outputs import derived_uuid
from localcloud.providers.azure_types import TYPES, ArmType, short_token
from localcloud.providers.grpc_provider import ProviderError
from localcloud.providers.properties import Properties

#: The application of AKS in Entra ID (https://learn.microsoft.com/azure/aks/kubelogin-authentication).
_AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"


def call(token: str, args: Properties, subscription: str, store: ArmStore) -> Properties:
    """Return the result of the function `token`; a ProviderError if it or the resource does not exist."""
    function = short_token(token)
    if function == "authorization:getClientConfig":
        return {
            "clientId": derived_uuid(subscription, "deployer-client"),
            "objectId": derived_uuid(subscription, "deployer"),
            "subscriptionId": subscription,
            "tenantId": TENANT_ID,
        }
    if function == "authorization:getClientToken":
        claims = base64.urlsafe_b64encode(json.dumps({"idtyp": "app"}).encode()).decode().rstrip("=")
        return {"token": f"e30.{claims}.none"}
    if function == "containerservice:listManagedClusterUserCredentials":
        cluster = _find(TYPES["containerservice:ManagedCluster"], args, subscription, store)
        kubeconfig = base64.b64encode(yaml.safe_dump(_kubeconfig(cluster)).encode()).decode()
        return {"kubeconfigs": [{"name": "clusterUser", "value": kubeconfig}]}
    module, name = function.split(":")
    resource = f"{module}:{name.removeprefix('get')}"
    if not name.startswith("get") or resource not in TYPES:
        raise ProviderError(f"the local cloud has no function {token}: add it to {__name__}")
    body = _find(TYPES[resource], args, subscription, store)
    schema = sdk_schema.resource_schema("pulumi_azure_native", *resource.split(":"))
    return to_outputs(body, flat="properties" not in schema.inputs)


def _find(arm_type: ArmType, args: Properties, subscription: str, store: ArmStore) -> Document:
    arm_id = resolve(arm_type.path, args, subscription)
    body = store.get(arm_id)
    if body is None:
        raise ProviderError(f"{arm_id} does not exist (404 ResourceNotFound)")
    return body


def _kubeconfig(cluster: Document) -> Document:
    """Return the kubeconfig that AKS returns for a cluster with Entra ID: it signs in by device code."""
    name, group = cluster["name"], parse_resource_id(cluster["id"])["resource_group"]
    user = f"clusterUser_{group}_{name}"
    sign_in = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "kubelogin",
        "args": ["get-token", "--login", "devicecode", "--server-id", _AKS_SERVER, "--tenant-id", TENANT_ID],
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": f"https://{cluster['properties']['fqdn']}:443"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
        "users": [{"name": user, "user": {"exec": sign_in}}],
    }
