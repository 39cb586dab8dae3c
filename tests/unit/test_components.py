"""Each component alone, against Pulumi's mocks: the properties that make it safe, and what it connects."""

import base64
import dataclasses
import inspect
import json
import re
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from components import versions
from components.argo import Argo, ArgoArgs
from components.cluster import AKS_SERVER_ID, Cluster, ClusterArgs, kubelogin_config
from components.identity import Identity, IdentityArgs, Role
from components.lake import Lake, LakeArgs, storage_endpoint
from components.observability import Observability, ObservabilityArgs
from components.registry import Registry, RegistryArgs
from components.secrets import Secrets, SecretsArgs
from components.snowflake_import import SnowflakeImport
from components.vault import Vault, VaultArgs
from components.workspace import Workspace, WorkspaceArgs
from tests.unit.mocks import KUBECONFIG, SUBSCRIPTION, Declared, declare

GROUP: dict[str, Any] = {"resource_group": "rg-test", "location": "westeurope", "tags": {"stack": "test"}}
ASSIGNMENT = "azure-native:authorization:RoleAssignment"


def declare_cluster(**changes: Any) -> Declared:
    args = {
        **GROUP,
        "registry_id": f"{SUBSCRIPTION}/registry",
        "node_size": "Standard_D4ds_v5",
        "min_nodes": 2,
        "max_nodes": 5,
        "administrators": "admins",
        **changes,
    }
    return declare(lambda: Cluster("aks", ClusterArgs(**args)))


def declare_workspace() -> Declared:
    def program() -> None:
        workspace = Workspace(
            "mlw",
            WorkspaceArgs(
                **GROUP,
                application_insights_id=f"{SUBSCRIPTION}/insights",
                tenant_id="7e4a",
                job_identity_ids=[f"{SUBSCRIPTION}/importer"],
                registry_id=f"{SUBSCRIPTION}/registry",
            ),
        )
        workspace.add_datastore("rawdata", "lake", "core.windows.net", "rawdata")

    return declare(program)


def declare_lake() -> Declared:
    return declare(lambda: Lake("lake", LakeArgs(**GROUP)))


@pytest.mark.parametrize("program", [declare_lake, declare_workspace])
def test_storage_account_is_opened_by_entra_id_alone(program: Callable[[], Declared]) -> None:
    account = program().one("azure-native:storage:StorageAccount")
    assert account["allowSharedKeyAccess"] is False
    assert account["allowBlobPublicAccess"] is False
    assert account["enableHttpsTrafficOnly"] is True
    assert account["minimumTlsVersion"] == "TLS1_2"


def test_only_the_lake_has_a_hierarchical_namespace() -> None:
    assert declare_lake().one("azure-native:storage:StorageAccount")["isHnsEnabled"] is True
    assert "isHnsEnabled" not in declare_workspace().one("azure-native:storage:StorageAccount")


def test_lake_has_a_container_each_for_raw_and_clean_data() -> None:
    containers = declare_lake().all("azure-native:storage:BlobContainer")
    assert {c.inputs["containerName"] for c in containers} == {"rawdata", "cleandata"}
    assert {c.inputs["publicAccess"] for c in containers} == {"None"}


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://lake.blob.core.windows.net/", "core.windows.net"),
        ("https://lake.blob.core.usgovcloudapi.net/", "core.usgovcloudapi.net"),
        ("https://127.0.0.1:10000/lake/", "127.0.0.1:10000"),
    ],
)
def test_storage_endpoint_follows_the_cloud(url: str, endpoint: str) -> None:
    assert storage_endpoint(url) == endpoint


def test_vault_takes_role_assignments_and_no_access_policies() -> None:
    vault = declare(lambda: Vault("kv", VaultArgs(**GROUP, tenant_id="7e4a")))
    properties = vault.one("azure-native:keyvault:Vault")["properties"]
    assert properties["enableRbacAuthorization"] is True
    assert properties["enableSoftDelete"] is True
    assert "accessPolicies" not in properties


def test_registry_has_no_admin_and_no_anonymous_pull() -> None:
    registry = declare(lambda: Registry("registry", RegistryArgs(**GROUP)))
    inputs = registry.one("azure-native:containerregistry:Registry")
    assert inputs["adminUserEnabled"] is False
    assert inputs["anonymousPullEnabled"] is False


def test_application_insights_stores_in_log_analytics() -> None:
    declared = declare(lambda: Observability("obs", ObservabilityArgs(**GROUP, retention_days=90)))
    assert declared.one("azure-native:operationalinsights:Workspace")["retentionInDays"] == 90
    insights = declared.one("azure-native:applicationinsights:Component")
    assert insights["workspaceResourceId"] == f"{SUBSCRIPTION}/obs-logs"


def test_workspace_acts_by_its_own_identity_and_keeps_no_key() -> None:
    declared = declare_workspace()
    workspace = declared.one("azure-native:machinelearningservices:Workspace")
    assert workspace["primaryUserAssignedIdentity"] == f"{SUBSCRIPTION}/mlw-identity"
    assert workspace["keyVault"] == f"{SUBSCRIPTION}/mlwkv"
    assert workspace["identity"]["userAssignedIdentities"] == [
        f"{SUBSCRIPTION}/mlw-identity",
        f"{SUBSCRIPTION}/importer",
    ]
    assert workspace["systemDatastoresAuthMode"] == "Identity"
    assert workspace["storageAccount"] == f"{SUBSCRIPTION}/mlw"
    datastore = declared.one("azure-native:machinelearningservices:Datastore")["properties"]
    assert datastore["credentials"] == {"credentialsType": "None"}
    assert (datastore["accountName"], datastore["containerName"]) == ("lake", "rawdata")


def test_role_assignment_is_found_again_by_scope_role_and_principal() -> None:
    def program(scope: str, role: Role) -> None:
        Identity("importer", IdentityArgs(**GROUP)).grant(role, "lake", scope)

    def assign(scope: str = f"{SUBSCRIPTION}/lake", role: Role = Role.ACR_PULL) -> dict[str, Any]:
        return declare(lambda: program(scope, role)).one(ASSIGNMENT)

    first = assign()
    assert first["principalType"] == "ServicePrincipal"
    assert first["principalId"] == "principal-importer"
    definition = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{Role.ACR_PULL}"
    assert first["roleDefinitionId"] == definition
    name = first["roleAssignmentName"]
    assert assign()["roleAssignmentName"] == name
    assert assign(scope=f"{SUBSCRIPTION}/other")["roleAssignmentName"] != name
    assert assign(role=Role.CONTRIBUTOR)["roleAssignmentName"] != name


def test_identity_trusts_one_service_account_of_one_cluster() -> None:
    declared = declare(
        lambda: Identity("workflows", IdentityArgs(**GROUP)).federate("https://issuer/", "argo", "runner")
    )
    credential = declared.one("azure-native:managedidentity:FederatedIdentityCredential")
    assert credential["issuer"] == "https://issuer/"
    assert credential["subject"] == "system:serviceaccount:argo:runner"
    assert credential["audiences"] == ["api://AzureADTokenExchange"]


def test_cluster_is_opened_by_entra_id_alone() -> None:
    cluster = declare_cluster().one("azure-native:containerservice:ManagedCluster")
    assert cluster["disableLocalAccounts"] is True
    assert cluster["enableRBAC"] is True
    assert cluster["aadProfile"] == {
        "managed": True,
        "enableAzureRBAC": True,
    }
    assert cluster["oidcIssuerProfile"] == {"enabled": True}
    assert cluster["securityProfile"] == {"workloadIdentity": {"enabled": True}}


def test_cluster_scales_between_its_bounds() -> None:
    cluster = declare_cluster(min_nodes=3, max_nodes=9).one("azure-native:containerservice:ManagedCluster")
    (pool,) = cluster["agentPoolProfiles"]
    assert (pool["minCount"], pool["maxCount"], pool["enableAutoScaling"]) == (3, 9, True)


@pytest.mark.parametrize("version", [None, "1.34"])
def test_cluster_runs_the_wanted_kubernetes(version: str | None) -> None:
    cluster = declare_cluster(kubernetes_version=version)
    inputs = cluster.one("azure-native:containerservice:ManagedCluster")
    assert inputs.get("kubernetesVersion") == version


def test_nodes_may_pull_images_and_nothing_else() -> None:
    assignments = declare_cluster().all(ASSIGNMENT)
    of_nodes = [a.inputs for a in assignments if a.inputs["principalId"] == "principal-aks-nodes"]
    assert [(a["scope"], a["roleDefinitionId"].rsplit("/", 1)[1]) for a in of_nodes] == [
        (f"{SUBSCRIPTION}/registry", Role.ACR_PULL)
    ]


def test_kubeconfig_signs_in_with_kubelogin_and_holds_no_credential() -> None:
    config = json.loads(kubelogin_config(base64.b64encode(json.dumps(KUBECONFIG).encode()).decode()))
    (user,) = config["users"]
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] == "kubelogin"
    assert user["user"]["exec"]["args"][-1] == AKS_SERVER_ID
    assert config["clusters"] == KUBECONFIG["clusters"]
    assert config["current-context"] == "aks"


def test_kubernetes_provider_is_made_from_the_cluster() -> None:
    provider = declare_cluster().one("pulumi:providers:kubernetes")
    assert "kubelogin" in provider["kubeconfig"]


def test_the_administrators_may_do_everything_on_the_cluster() -> None:
    administer = declare_cluster().one(ASSIGNMENT, "aks-administrators")
    assert administer["principalId"] == "admins"
    assert administer["scope"] == f"{SUBSCRIPTION}/aks"
    assert administer["roleDefinitionId"].endswith(Role.AKS_RBAC_CLUSTER_ADMIN)


def test_argo_releases_are_pinned_and_rolled_back_whole() -> None:
    declared = declare(lambda: Argo("argo", ArgoArgs()))
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


@pytest.mark.parametrize("as_mapping", [False, True], ids=["instance", "mapping"])
def test_arguments_come_as_an_instance_or_from_the_component_host_as_a_mapping(as_mapping: bool) -> None:
    args: Any = GROUP if as_mapping else RegistryArgs(**GROUP)
    declared = declare(lambda: Registry("registry", args))
    assert declared.one("azure-native:containerregistry:Registry")["tags"] == {"stack": "test"}


@pytest.mark.parametrize("program", [declare_lake, declare_workspace, declare_cluster])
def test_children_are_named_after_their_component(program: Callable[[], Declared]) -> None:
    resources = program().resources
    assert {
        resource.name for resource in resources if not resource.name.startswith(resources[0].name)
    } == set()


@pytest.mark.parametrize(
    "component",
    [Argo, Cluster, Identity, Lake, Observability, Registry, Secrets, SnowflakeImport, Vault, Workspace],
)
def test_pulumi_can_offer_the_component_to_programs_in_other_languages(
    component: type[pulumi.ComponentResource],
) -> None:
    analyzed = Analyzer("ai-platform").analyze([component])["component_definitions"][component.__name__]
    args = inspect.signature(component).parameters["args"].annotation
    assert set(analyzed.inputs_mapping.values()) == {field.name for field in dataclasses.fields(args)}
    assert set(analyzed.outputs_mapping.values()) == set(inspect.get_annotations(component))
