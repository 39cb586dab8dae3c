"""Each component alone, against Pulumi's mocks: the properties that make it safe, and what it connects."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from typing import Any

import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer

import components
from components import versions
from components.cluster.argo import Argo, ArgoArgs
from components.cluster.external_secrets import Secrets, SecretsArgs
from components.component import AzureArgs, PrivateLinkArgs, ServiceArgs
from components.identity.custom_role import CustomRole, CustomRoleArgs
from components.identity.identity import Identity, Role
from components.network.outbound import OutboundServiceArgs
from components.network.private_link import Zone
from components.storage.registry import Registry, RegistryArgs
from components.workspace.workspace import WorkspaceArgs
from tools.declared import RESOURCES, SUBSCRIPTION, declare

AZURE: dict[str, Any] = {"resource_group": "rg-test", "location": "westeurope", "tags": {"stack": "test"}}
ASSIGNMENT = "azure-native:authorization:RoleAssignment"


def test_role_assignment_is_found_again_by_scope_role_and_principal() -> None:
    def program(scope: str, role: Role) -> None:
        Identity("importer", AzureArgs(**AZURE)).grant(role, "lake", scope)

    def assign(scope: str = f"{RESOURCES}/lake", role: Role = Role.ACR_PULL) -> dict[str, Any]:
        return declare(lambda: program(scope, role)).one(ASSIGNMENT)

    first = assign()
    assert first["principalType"] == "ServicePrincipal"
    assert first["principalId"] == "principal-importer"
    definition = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{Role.ACR_PULL}"
    assert first["roleDefinitionId"] == definition
    name = first["roleAssignmentName"]
    assert assign()["roleAssignmentName"] == name
    assert assign(scope=f"{RESOURCES}/other")["roleAssignmentName"] != name
    assert assign(role=Role.CONTRIBUTOR)["roleAssignmentName"] != name


def test_identity_trusts_one_service_account_of_one_cluster() -> None:
    declared = declare(
        lambda: Identity("workflows", AzureArgs(**AZURE)).federate("https://issuer/", "argo", "runner")
    )
    credential = declared.one("azure-native:managedidentity:FederatedIdentityCredential")
    assert credential["issuer"] == "https://issuer/"
    assert credential["subject"] == "system:serviceaccount:argo:runner"
    assert credential["audiences"] == ["api://AzureADTokenExchange"]


def test_argo_releases_are_pinned_and_rolled_back_whole() -> None:
    declared = declare(lambda: Argo("argo", ArgoArgs(namespace="argo")))
    releases = {r.inputs["chart"]: r.inputs for r in declared.all("kubernetes:helm.sh/v3:Release")}
    assert set(releases) == {"argo-workflows", "argo-events"}
    for release in releases.values():
        assert release["repositoryOpts"] == {"repo": versions.ARGO_REPOSITORY}
        assert re.fullmatch(r"\d+\.\d+\.\d+", release["version"])
        assert release["atomic"] is True
        assert release["cleanupOnFail"] is True
        assert release["namespace"] == "argo"


def test_external_secrets_acts_as_the_given_identity() -> None:
    declared = declare(lambda: Secrets("eso", SecretsArgs(client_id="c1", tenant_id="7e4a")))
    release = declared.one("kubernetes:helm.sh/v3:Release")
    assert release["values"]["serviceAccount"]["annotations"] == {
        "azure.workload.identity/client-id": "c1",
        "azure.workload.identity/tenant-id": "7e4a",
    }
    assert release["values"]["podLabels"] == {"azure.workload.identity/use": "true"}


def test_workflows_act_as_an_identity_and_may_only_report_what_became_of_them() -> None:
    def program() -> None:
        Argo("argo", ArgoArgs(namespace="argo")).add_service_account("importer", "client-1")

    declared = declare(program)
    account = declared.one("kubernetes:core/v1:ServiceAccount")["metadata"]
    assert account["annotations"] == {"azure.workload.identity/client-id": "client-1"}
    (rule,) = declared.one("kubernetes:rbac.authorization.k8s.io/v1:Role")["rules"]
    assert (rule["resources"], rule["verbs"]) == (["workflowtaskresults"], ["create", "patch"])
    binding = declared.one("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "importer", "namespace": "argo"}]
    assert binding["roleRef"]["name"] == "workflow-executor"


def test_custom_role_can_be_assigned_in_its_group_and_does_what_it_says_alone() -> None:
    group = f"{SUBSCRIPTION}/resourceGroups/rg"

    def program() -> None:
        args = CustomRoleArgs(scope=group, role_name="r", description="d", actions=["A/read", "A/write"])
        role = CustomRole("registrar", args)
        Identity("importer", AzureArgs(**AZURE)).grant(role, "workspace", f"{group}/workspace")

    declared = declare(program)
    definition = declared.one("azure-native:authorization:RoleDefinition")
    assert definition["assignableScopes"] == [group]
    assert definition["permissions"] == [{"actions": ["A/read", "A/write"]}]
    assignment = declared.one(ASSIGNMENT, "importer-custom-role-on-workspace")
    assert assignment["roleDefinitionId"] == f"{RESOURCES}/registrar"


LINK: dict[str, Any] = {
    "subnet_id": f"{RESOURCES}/endpoints",
    "zone_ids": {Zone.REGISTRY: f"{RESOURCES}/zone"},
}


@pytest.mark.parametrize("as_mapping", [False, True], ids=["instance", "mapping"])
def test_arguments_come_as_an_instance_or_from_the_component_host_as_a_mapping(as_mapping: bool) -> None:
    logs = f"{RESOURCES}/logs"
    args: Any = (
        {"service": {**AZURE, "log_analytics_id": logs, "private_link": LINK}}
        if as_mapping
        else RegistryArgs(
            service=ServiceArgs(**AZURE, log_analytics_id=logs, private_link=PrivateLinkArgs(**LINK))
        )
    )
    declared = declare(lambda: Registry("registry", args))
    assert declared.one("azure-native:containerregistry:Registry")["tags"] == {"stack": "test"}
    endpoint = declared.one("azure-native:network:PrivateEndpoint")
    assert endpoint["subnet"]["id"] == f"{RESOURCES}/endpoints"


def test_a_mapping_of_arguments_comes_as_instances_too() -> None:
    given = {"application_insights_id": "i", "tenant_id": "t", "registry_id": "r"}
    service = {**AZURE, "log_analytics_id": "l"}
    services = {"lake": {"resource_id": "r", "group": "blob"}}
    args = WorkspaceArgs.of({"service": service, **given, "outbound_services": services})
    assert args.service == ServiceArgs(**AZURE, log_analytics_id="l")
    assert args.outbound_services == {"lake": OutboundServiceArgs(resource_id="r", group="blob")}


def all_components() -> list[type[pulumi.ComponentResource]]:
    """Return the components of every module of `components`."""
    names = [module.name for module in pkgutil.walk_packages(components.__path__, "components.")]
    return [
        value
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if inspect.isclass(value) and issubclass(value, pulumi.ComponentResource) and value.__module__ == name
    ]


def test_every_room_but_dynamic_has_a_component() -> None:
    rooms = {component.__module__.split(".")[1] for component in all_components()}
    packages = {module.name for module in pkgutil.iter_modules(components.__path__) if module.ispkg}
    assert rooms == packages - {"dynamic"}


@pytest.mark.parametrize("component", all_components(), ids=lambda component: component.__name__)
def test_pulumi_can_offer_the_component_to_programs_in_other_languages(
    component: type[pulumi.ComponentResource],
) -> None:
    analyzed = Analyzer("ai-platform").analyze([component])["component_definitions"][component.__name__]
    args = inspect.signature(component).parameters["args"].annotation
    assert set(analyzed.inputs_mapping.values()) == {field.name for field in dataclasses.fields(args)}
    assert set(analyzed.outputs_mapping.values()) == set(inspect.get_annotations(component))
