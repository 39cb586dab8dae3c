"""Runs a program against Pulumi's mocks, without an engine, and returns what it declares."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.mocks import MockMonitor

from stacks.azure_aliases import without_api_versions

SUBSCRIPTION = "/subscriptions/5ab0"
#: Where the ARM ids of `short_id` are.
RESOURCES = f"{SUBSCRIPTION}/resourceGroups/rg-test/providers/Microsoft.Test/resources"
KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [
        {"name": "aks", "cluster": {"server": "https://aks:443", "certificate-authority-data": "Q0E="}}
    ],
    "contexts": [{"name": "aks", "context": {"cluster": "aks", "user": "clusterUser"}}],
    "current-context": "aks",
    "users": [{"name": "clusterUser", "user": {"auth-provider": {"name": "azure"}}}],
}


class Declared:
    """The resources that a program declared, in any order."""

    def __init__(self, resources: list[MockResourceArgs], monitor: "_Monitor") -> None:
        self.resources = resources
        self.protected = monitor.protected
        self.ignored = monitor.ignored
        self.parents = monitor.parents
        self.dependencies = monitor.dependencies

    def all(self, type_: str) -> list[MockResourceArgs]:
        """Return the resources of a type, such as `azure-native:keyvault:Vault`."""
        return [resource for resource in self.resources if resource.typ == type_]

    def one(self, type_: str, name: str | None = None) -> dict[str, Any]:
        """Return the inputs of the only resource of a type (and name)."""
        found = [r.inputs for r in self.all(type_) if name is None or r.name == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} of {type_} {name or ''}: {[r.name for r in self.resources]}")
        return found[0]


def short_id(resource: MockResourceArgs) -> str:
    """Return an ARM id that tests can read: it ends in the Pulumi name."""
    return f"{RESOURCES}/{resource.name}"


class _Recorder(Mocks):
    def __init__(self, id_of: Callable[[MockResourceArgs], str]) -> None:
        self._id_of = id_of
        self.resources: list[MockResourceArgs] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.resources.append(args)
        if args.typ.startswith("ai-platform:"):
            return None, args.inputs
        return self._id_of(args), {"name": args.name, **args.inputs, **_computed(args)}

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        match args.token:
            case "azure-native:authorization:getClientConfig":
                return {"clientId": "c", "objectId": "o", "subscriptionId": "5ab0", "tenantId": "7e4a"}, []
            case "azure-native:containerservice:listManagedClusterUserCredentials":
                encoded = base64.b64encode(json.dumps(KUBECONFIG).encode()).decode()
                return {"kubeconfigs": [{"name": "clusterUser", "value": encoded}]}, []
            case "azure-native:storage:getStorageAccount":
                name = args.args["accountName"]
                return {"primaryEndpoints": {"blob": f"https://{name}.blob.core.windows.net/"}}, []
            case "azure-native:keyvault:getVault":
                return {"properties": {"vaultUri": f"https://{args.args['vaultName']}.vault.azure.net/"}}, []
            case _:
                raise NotImplementedError(args.token)


class _Monitor(MockMonitor):
    """Pulumi's mock monitor, which also records the options that it does not pass to the mocks."""

    def __init__(self, mocks: Mocks) -> None:
        super().__init__(mocks)
        #: the names of the resources that Pulumi refuses to delete
        self.protected: set[str] = set()
        #: the properties of each resource whose changes Pulumi ignores, by name
        self.ignored: dict[str, list[str]] = {}
        #: the name of each resource's parent, if it has one, by name
        self.parents: dict[str, str] = {}
        #: the URNs that each resource depends on, by URN; its provider is one of them
        self.dependencies: dict[str, set[str]] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        if request.protect:
            self.protected.add(request.name)
        self.ignored[request.name] = list(request.ignoreChanges)
        if request.parent:
            self.parents[request.name] = request.parent.rsplit("::", 1)[1]
        urn = self.make_urn(request.parent, request.type, request.name)
        self.dependencies[urn] = set(request.dependencies)
        if request.provider:  # an explicit provider, as `urn::id`
            self.dependencies[urn].add(request.provider.rsplit("::", 1)[0])
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def _computed(args: MockResourceArgs) -> dict[str, Any]:
    """Return the outputs that Azure computes, or returns in another shape than the inputs."""
    computed: dict[str, Any] = {}
    identity = args.inputs.get("identity")
    if identity is not None:
        by_id: dict[str, dict[str, str]] = {
            identity_id: {} for identity_id in identity["userAssignedIdentities"]
        }
        computed["identity"] = {**identity, "userAssignedIdentities": by_id}
    match args.typ:
        case "azure-native:storage:StorageAccount":
            computed["primaryEndpoints"] = {"blob": f"https://{args.name}.blob.core.windows.net/"}
        case "azure-native:keyvault:Vault":
            uri = f"https://{args.name}.vault.azure.net/"
            computed["properties"] = {**args.inputs["properties"], "vaultUri": uri}
        case "azure-native:managedidentity:UserAssignedIdentity":
            computed["clientId"] = f"client-{args.name}"
            computed["principalId"] = f"principal-{args.name}"
        case "azure-native:containerservice:ManagedCluster":
            computed["oidcIssuerProfile"] = {"enabled": True, "issuerURL": "https://issuer/"}
        case "azure-native:keyvault:Key":
            uri = f"https://vault.vault.azure.net/keys/{args.inputs['keyName']}"
            computed |= {"name": args.inputs["keyName"], "keyUri": uri, "keyUriWithVersion": f"{uri}/1"}
        case "azure-native:network:PublicIPAddress":
            computed["ipAddress"] = "203.0.113.7"
        case "azure-native:monitor:DataCollectionEndpoint":
            computed["logsIngestion"] = {"endpoint": f"https://{args.name}.ingest.monitor.azure.com"}
        case "azure-native:monitor:DataCollectionRule":
            computed["immutableId"] = f"dcr-{args.name}"
        case "azure-native:machinelearningservices:Workspace":
            computed["workspaceId"] = "GUID"
        case "azure-native:containerregistry:Registry":
            computed["loginServer"] = f"{args.name}.azurecr.io"
        case "pulumi-python:dynamic/azureml:ImporterCode":
            computed |= {"code": f"{args.name}-code", "environment": f"{args.name}-environment"}
    return computed


def declare(program: Callable[[], object], id_of: Callable[[MockResourceArgs], str] = short_id) -> Declared:
    """Run `program` against the mocks, with the ids that `id_of` gives, and return what it declared."""
    recorder = _Recorder(id_of)
    monitor = _Monitor(recorder)
    pulumi.runtime.set_mocks(recorder, project="ai-platform", stack="test", preview=False, monitor=monitor)

    def as_a_stack() -> None:
        pulumi.runtime.register_stack_transformation(without_api_versions)
        program()

    pulumi.runtime.test(as_a_stack)()  # type: ignore[no-untyped-call]
    return Declared(recorder.resources, monitor)
