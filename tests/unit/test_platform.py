"""The whole program against Pulumi's mocks: what is made of a stack's settings, and who may do what where."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from components.identity import Role
from stacks.platform import Platform
from stacks.settings import Settings, load
from tests.unit.mocks import SUBSCRIPTION, Declared, declare
from tests.unit.test_settings import IMPORT, config, snowflake

SCHEDULE = "pulumi-python:dynamic/azureml:ImportSchedule"
CONNECTION = "pulumi-python:dynamic/azureml:SnowflakeConnection"

#: Resources of Azure that take no tags.
UNTAGGED = {
    "azure-native:authorization:RoleAssignment",
    "azure-native:machinelearningservices:Datastore",
    "azure-native:managedidentity:FederatedIdentityCredential",
    "azure-native:storage:BlobContainer",
    "azure-native:storage:BlobServiceProperties",
}


@functools.cache
def unchanged() -> Declared:
    """Return the platform of the settings as they are; building one takes a second."""
    return build()


def build(**changes: Any) -> Declared:
    settings = load(config(**changes))
    return declare(lambda: Platform(settings, "test"))


def outputs_of(settings: Settings) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    declare(lambda: outputs.update(Platform(settings, "test").outputs))
    return outputs


def grants(declared: Declared) -> Iterator[tuple[str, Role, str]]:
    """Yield who may do what where; the platform's name is left out."""
    for assignment in declared.all("azure-native:authorization:RoleAssignment"):
        inputs = assignment.inputs
        principal = inputs["principalId"].removeprefix("principal-globodev").removeprefix("-")
        scope = inputs["scope"].removeprefix(f"{SUBSCRIPTION}/globodev")
        yield principal, Role(inputs["roleDefinitionId"].rsplit("/", 1)[1]), scope.removeprefix("-")


def test_every_kind_of_resource_of_the_platform_is_declared() -> None:
    types = {resource.typ for resource in unchanged().resources}
    assert types >= {
        "azure-native:resources:ResourceGroup",
        "azure-native:operationalinsights:Workspace",
        "azure-native:applicationinsights:Component",
        "azure-native:managedidentity:UserAssignedIdentity",
        "azure-native:keyvault:Vault",
        "azure-native:storage:StorageAccount",
        "azure-native:containerregistry:Registry",
        "azure-native:machinelearningservices:Workspace",
        "azure-native:machinelearningservices:Datastore",
        "azure-native:containerservice:ManagedCluster",
        "pulumi:providers:kubernetes",
        "kubernetes:helm.sh/v3:Release",
        CONNECTION,
        SCHEDULE,
    }


def test_who_may_do_what_where() -> None:
    assert set(grants(unchanged())) == {
        ("importer", Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "lake-rawdata"),
        ("importer", Role.AZUREML_DATA_SCIENTIST, "mlw"),
        ("importer", Role.ACR_PULL, "registry"),
        ("workflows", Role.STORAGE_BLOB_DATA_READER, "lake-rawdata"),
        ("workflows", Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "lake-cleandata"),
        ("o", Role.AKS_RBAC_CLUSTER_ADMIN, "aks"),  # who is signed in
        ("aks-nodes", Role.ACR_PULL, "registry"),
        ("aks-control-plane", Role.MANAGED_IDENTITY_OPERATOR, "aks-nodes"),
        ("mlw-identity", Role.CONTRIBUTOR, "mlw"),
        ("mlw-identity", Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "mlw"),
        ("mlw-identity", Role.CONTRIBUTOR, "mlwkv"),
        ("mlw-identity", Role.KEY_VAULT_ADMINISTRATOR, "mlwkv"),
        ("mlw-identity", Role.CONTRIBUTOR, "registry"),
        ("mlw-identity", Role.CONTRIBUTOR, "observability-insights"),
    }


def test_importer_reads_its_own_secret_and_no_other() -> None:
    declared = build(snowflake=snowflake(signIn="key_pair", user="IMPORTER", secretName="key"))
    of_importer = {(role, scope) for who, role, scope in grants(declared) if who == "importer"}
    assert (Role.KEY_VAULT_SECRETS_USER, "kv/secrets/key") in of_importer
    uri = declared.one(CONNECTION)["secret_uri"]
    assert uri == "https://globodev-kv.vault.azure.net/secrets/key"


def test_connection_without_a_secret_refers_to_none() -> None:
    connection = unchanged().one(CONNECTION)
    assert connection.get("secret_uri") is None
    assert connection["sign_in"] == "workload_identity"


def test_every_resource_that_takes_tags_carries_the_stacks() -> None:
    declared = build(tags={"owner": "data"})
    tagged = [r for r in declared.resources if r.typ.startswith("azure-native:") and r.typ not in UNTAGGED]
    assert tagged
    for resource in tagged:
        assert resource.inputs["tags"] == {"project": "ai-platform", "stack": "test", "owner": "data"}


def test_each_import_is_a_schedule_and_a_query_of_the_connection() -> None:
    second = {**IMPORT, "name": "agents", "query": "SELECT * FROM A.B.AGENTS", "enabled": False}
    declared = build(imports=[IMPORT, second])
    schedules = {s.inputs["spec"]["name"]: s.inputs for s in declared.all(SCHEDULE)}
    assert set(schedules) == {"raw_house_data", "agents"}
    assert schedules["agents"]["spec"]["query"] == second["query"]
    assert schedules["agents"]["enabled"] is False
    assert schedules["raw_house_data"]["identity_client_id"] == "client-globodev-importer"
    assert declared.one(CONNECTION)["queries"] == {
        "raw_house_data": IMPORT["query"],
        "agents": second["query"],
    }


def test_a_platform_without_imports_is_one() -> None:
    assert build(imports=[]).all(SCHEDULE) == []


def test_datastores_are_the_lakes_containers() -> None:
    datastores = unchanged().all("azure-native:machinelearningservices:Datastore")
    assert {(d.inputs["name"], d.inputs["properties"]["accountName"]) for d in datastores} == {
        ("rawdata", "globodevlake"),
        ("cleandata", "globodevlake"),
    }


def test_outputs_are_those_that_people_start_from() -> None:
    assert set(outputs_of(load(config()))) == {
        "resourceGroup",
        "workspace",
        "storageAccount",
        "rawContainer",
        "cleanContainer",
        "vaultUri",
        "registry",
        "cluster",
        "imports",
    }


@pytest.mark.parametrize(
    ("type_", "most"),
    [
        ("storage:StorageAccount", 24),
        ("keyvault:Vault", 24),
        ("machinelearningservices:Workspace", 33),
        ("containerregistry:Registry", 50),
    ],
)
def test_names_that_soft_deletion_holds_on_to_are_left_to_autonaming(type_: str, most: int) -> None:
    longest_name = "elevenchars"
    names = {"accountName", "vaultName", "workspaceName", "registryName"}
    found = build(name=longest_name).all(f"azure-native:{type_}")
    assert found
    for resource in found:
        assert not names & set(resource.inputs)
        assert len(resource.name) + len("12345678") <= most


def test_what_runs_on_the_cluster_goes_through_its_provider() -> None:
    releases = [r for r in unchanged().resources if r.typ.startswith("kubernetes:")]
    assert releases
    for release in releases:
        assert release.provider
        assert "globodev-aks-kubernetes" in release.provider


@pytest.mark.parametrize("administrators", [None, "5ab0ec0f-0000-4000-8000-000000000000"])
def test_a_group_administers_the_cluster_where_one_is_set(administrators: str | None) -> None:
    cluster = {"administrators": administrators} if administrators else {}
    declared = build(cluster=cluster)
    assignment = declared.one("azure-native:authorization:RoleAssignment", "globodev-aks-administrators")
    assert assignment["principalId"] == (administrators or "o")
