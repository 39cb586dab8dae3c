"""The whole program against Pulumi's mocks: what is made of a stack's settings, and who may do what where."""

import functools
from collections.abc import Iterable
from typing import Any

import pytest

from stacks.platform import Platform
from stacks.settings.load import load
from stacks.settings.stack import Settings
from tests.unit.stacks.declared_stacks import (
    CODE_CONTAINER,
    CONNECTION,
    LOGS_CONTAINER,
    NOW,
    SCHEDULE,
    declare_platform,
    grants,
)
from tests.unit.stacks.stack_config import (
    EXISTING_NETWORK,
    IMPORT,
    PRINCIPAL,
    SUBNET,
    ZONE,
    config,
    snowflake,
)
from tools.declared import RESOURCES, SUBSCRIPTION, Declared, declare

#: Resources of Azure that take no tags.
UNTAGGED = {
    "azure-native:authorization:RoleAssignment",
    "azure-native:authorization:RoleDefinition",
    "azure-native:authorization:ManagementLockByScope",
    "azure-native:consumption:Budget",
    "azure-native:containerservice:MaintenanceConfiguration",
    "azure-native:keyvault:Key",  # it takes them, and then no change of them
    "azure-native:machinelearningservices:Datastore",
    "azure-native:managedidentity:FederatedIdentityCredential",
    "azure-native:monitor:DataCollectionRuleAssociation",
    "azure-native:monitor:DiagnosticSetting",
    "azure-native:monitor:PrivateLinkScopedResource",
    "azure-native:network:PrivateDnsZoneGroup",
    "azure-native:operationalinsights:Table",
    "azure-native:storage:BlobContainer",
    "azure-native:storage:BlobServiceProperties",
    "azure-native:storage:ManagementPolicy",
}


def outputs_of(settings: Settings) -> dict[str, Any]:
    outputs: dict[str, Any] = {}
    declare(lambda: outputs.update(Platform(settings, "test", NOW).outputs))
    return outputs


def test_every_kind_of_resource_of_the_platform_is_declared() -> None:
    types = {resource.typ for resource in declare_platform().resources}
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


def test_roles_are_assigned_to_the_expected_identities_and_scopes() -> None:
    assert set(grants(declare_platform())) == {
        ("importer", "STORAGE_BLOB_DATA_CONTRIBUTOR", "lake-rawdata"),
        ("importer", "STORAGE_BLOB_DATA_CONTRIBUTOR", LOGS_CONTAINER),
        ("importer", "STORAGE_BLOB_DATA_CONTRIBUTOR", CODE_CONTAINER),
        ("importer", "data-registrar", "mlw"),
        ("importer", "ACR_PULL", "registry"),
        ("importer", "MONITORING_METRICS_PUBLISHER", "observability-imports"),
        ("workflows", "STORAGE_BLOB_DATA_READER", "lake-rawdata"),
        ("workflows", "STORAGE_BLOB_DATA_CONTRIBUTOR", "lake-cleandata"),
        ("o", "AKS_RBAC_CLUSTER_ADMIN", "aks"),  # who is signed in
        ("aks-nodes", "ACR_PULL", "registry"),
        ("aks-control-plane", "MANAGED_IDENTITY_OPERATOR", "aks-nodes"),
        ("aks-control-plane", "NETWORK_CONTRIBUTOR", "network"),
        ("aks-control-plane", "PRIVATE_DNS_ZONE_CONTRIBUTOR", "aks-dns-privatelink.westeurope.azmk8s.io"),
        ("mlw-identity", "AI_NETWORK_CONNECTION_APPROVER", f"{SUBSCRIPTION}/resourceGroups/rg-test"),
        ("mlw-identity", "CONTRIBUTOR", "mlw"),
        ("mlw-identity", "STORAGE_BLOB_DATA_CONTRIBUTOR", "mlw"),
        ("mlw-identity", "CONTRIBUTOR", "mlwkv"),
        ("mlw-identity", "KEY_VAULT_ADMINISTRATOR", "mlwkv"),
        ("mlw-identity", "CONTRIBUTOR", "registry"),
        ("mlw-identity", "CONTRIBUTOR", "observability-insights"),
        ("mlw-identity", "READER", "mlw-blob-endpoint"),
        ("mlw-identity", "READER", "mlw-file-endpoint"),
        ("mlw-identity", "STORAGE_BLOB_DATA_READER", "lake-rawdata"),
        ("mlw-identity", "STORAGE_BLOB_DATA_READER", "lake-cleandata"),
    }


def test_data_scientists_work_in_the_workspace_and_read_data() -> None:
    people = {"dataScientists": PRINCIPAL, "dataScientistsActAsWorkspaceIdentities": True}
    declared = declare_platform(workspace=people)
    assert set(grants(declared)) - set(grants(declare_platform())) == {
        (PRINCIPAL, "AZUREML_DATA_SCIENTIST", "mlw"),
        (PRINCIPAL, "STORAGE_BLOB_DATA_READER", "lake-rawdata"),
        (PRINCIPAL, "STORAGE_BLOB_DATA_READER", "lake-cleandata"),
        (PRINCIPAL, "STORAGE_BLOB_DATA_CONTRIBUTOR", "mlw"),
        (PRINCIPAL, "STORAGE_FILE_DATA_PRIVILEGED_CONTRIBUTOR", "mlw"),
    }


def test_key_pair_sign_in_grants_the_importer_its_one_secret() -> None:
    declared = declare_platform(snowflake=snowflake(signIn="key_pair", user="IMPORTER", secretName="key"))
    of_importer = {(role, scope) for who, role, scope in grants(declared) if who == "importer"}
    assert ("KEY_VAULT_SECRETS_USER", "kv/secrets/key") in of_importer
    uri = declared.one(CONNECTION)["secret_uri"]
    assert uri == "https://globodev-kv.vault.azure.net/secrets/key"


def test_oauth_client_is_in_the_connection_and_its_secret_only_by_uri() -> None:
    oauth = {"scope": "api://x", "clientId": "c", "tokenUrl": "https://id.example/token"}
    declared = declare_platform(snowflake=snowflake(signIn="oauth", oauth=oauth, secretName="key"))
    connection = declared.one(CONNECTION)
    assert [connection[f"oauth_{key}"] for key in ("scope", "client_id", "token_url")] == list(oauth.values())
    assert connection["secret_uri"] == "https://globodev-kv.vault.azure.net/secrets/key"


@pytest.mark.parametrize(("sign_in", "warnings"), [("password", 1), ("key_pair", 0)])
def test_allowed_password_logs_one_warning(
    monkeypatch: pytest.MonkeyPatch, sign_in: str, warnings: int
) -> None:
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", lambda message, **_: said.append(message))
    sign_in_settings = snowflake(signIn=sign_in, user="IMPORTER", secretName="key", allowPassword=True)
    settings = load(config(snowflake=sign_in_settings))
    declare(lambda: Platform(settings, "test", NOW))
    assert len([message for message in said if "password" in message and "signIn" in message]) == warnings


UNLOADED: dict[str, Any] = {"subnetIds": [f"{SUBNET}/snowflake"]}


@pytest.mark.parametrize(
    ("mode", "unload", "added"),
    [
        ("stream", {**UNLOADED, "storageIntegration": "LAKE"}, set()),
        ("unload", UNLOADED, {("importer", "STORAGE_BLOB_DELEGATOR", "lake")}),
        ("unload", {**UNLOADED, "storageIntegration": "LAKE"}, set()),
        (
            "unload",
            {**UNLOADED, "storageIntegration": "LAKE", "integrationPrincipal": PRINCIPAL},
            {(PRINCIPAL, "STORAGE_BLOB_DATA_CONTRIBUTOR", "lake-rawdata")},
        ),
    ],
)
def test_unload_mode_grants_snowflake_write_access(
    mode: str, unload: dict[str, Any], added: set[tuple[str, str, str]]
) -> None:
    declared = declare_platform(imports=[{**IMPORT, "mode": mode}], snowflake=snowflake(unload=unload))
    assert set(grants(declared)) - set(grants(declare_platform())) == added
    integration = unload.get("storageIntegration")
    assert declared.one(SCHEDULE)["spec"].get("storage_integration") == (
        integration if mode == "unload" else None
    )


def test_compute_clusters_run_as_an_identity_that_reads_data() -> None:
    cluster = {"name": "cpu", "vmSize": "Standard_D4ds_v5", "idleMinutes": 20}
    declared = declare_platform(workspace={"computeClusters": [cluster]})
    compute = declared.one("azure-native:machinelearningservices:Compute")
    assert compute["identity"]["userAssignedIdentities"] == [f"{RESOURCES}/globodev-jobs"]
    assert compute["properties"]["properties"]["scaleSettings"]["nodeIdleTimeBeforeScaleDown"] == "PT1200S"
    assert set(grants(declared)) - set(grants(declare_platform())) == {
        ("jobs", "STORAGE_BLOB_DATA_READER", "lake-rawdata"),
        ("jobs", "STORAGE_BLOB_DATA_READER", "lake-cleandata"),
        ("jobs", "ACR_PULL", "registry"),
        ("jobs", "STORAGE_BLOB_DATA_CONTRIBUTOR", LOGS_CONTAINER),
        ("jobs", "STORAGE_BLOB_DATA_CONTRIBUTOR", CODE_CONTAINER),
    }


def test_each_service_account_is_federated_with_an_identity() -> None:
    credentials = declare_platform().all("azure-native:managedidentity:FederatedIdentityCredential")
    assert {credential.inputs["subject"] for credential in credentials} == {
        "system:serviceaccount:argo:importer",
        "system:serviceaccount:argo:workflows",
        "system:serviceaccount:external-secrets:external-secrets",
    }


def test_disabled_cluster_declares_no_cluster_and_no_kubernetes_resource() -> None:
    declared = declare_platform(cluster={"enabled": False})
    assert declared.all("azure-native:containerservice:ManagedCluster") == []
    assert [r.name for r in declared.resources if r.typ.startswith("kubernetes:")] == []
    assert outputs_of(load(config(cluster={"enabled": False})))["cluster"] == ""


@pytest.mark.parametrize(
    ("changes", "sku"),
    [
        ({}, "Standard_ZRS"),
        ({"geoRedundant": True}, "Standard_GZRS"),
        ({"location": "westus", "zones": []}, "Standard_LRS"),
        ({"location": "westus", "zones": [], "geoRedundant": True}, "Standard_GRS"),
    ],
)
def test_zones_and_geo_redundancy_decide_the_storage_sku(changes: dict[str, Any], sku: str) -> None:
    accounts = declare_platform(**changes).all("azure-native:storage:StorageAccount")
    assert {account.inputs["sku"]["name"] for account in accounts} == {sku}


def test_existing_network_and_zone_are_used_instead_of_new_ones() -> None:
    zone = "privatelink.vaultcore.azure.net"
    zone_id = f"{ZONE}/{zone}"
    declared = declare_platform(network={**EXISTING_NETWORK, "dnsZoneIds": {zone: zone_id}})
    assert declared.all("azure-native:network:VirtualNetwork") == []
    made = [z.inputs["privateZoneName"] for z in declared.all("azure-native:privatedns:PrivateZone")]
    assert zone not in made
    assert "privatelink.blob.core.windows.net" in made
    group = declared.one("azure-native:network:PrivateDnsZoneGroup", "globodev-kv-vault-endpoint-zones")
    assert [config["privateDnsZoneId"] for config in group["privateDnsZoneConfigs"]] == [zone_id]
    links = declared.all("azure-native:privatedns:VirtualNetworkLink")
    assert {link.inputs["virtualNetwork"]["id"] for link in links} == {f"{SUBNET.removesuffix('/subnets')}"}
    cluster = declared.one("azure-native:containerservice:ManagedCluster")
    assert cluster["agentPoolProfiles"][0]["vnetSubnetID"] == EXISTING_NETWORK["nodesSubnetId"]


def test_private_api_server_has_a_zone_of_the_platform_that_named_networks_resolve() -> None:
    hub = SUBNET.removesuffix("/subnets")
    declared = declare_platform(network={"apiServerNetworkIds": [hub]})
    zone = "globodev-aks-dns-privatelink.westeurope.azmk8s.io"
    cluster = declared.one("azure-native:containerservice:ManagedCluster")
    assert cluster["apiServerAccessProfile"]["privateDNSZone"] == f"{RESOURCES}/{zone}"
    links = declared.all("azure-native:privatedns:VirtualNetworkLink")
    linked = [link for link in links if link.name.startswith(zone)]
    assert {link.inputs["virtualNetwork"]["id"] for link in linked} == {
        f"{RESOURCES}/globodev-network",
        hub,
    }
    assert max(len(link.name) for link in linked) <= 80


def test_public_api_server_has_no_private_zone() -> None:
    public = {"isolation": "public", "network": {"allowedAddressRanges": ["203.0.113.0/24"]}}
    zones = declare_platform(**public).all("azure-native:privatedns:PrivateZone")
    assert not any("azmk8s" in zone.name for zone in zones)


def test_only_enabled_imports_have_alerts() -> None:
    second = {**IMPORT, "name": "agents", "query": "SELECT * FROM A.B.AGENTS", "enabled": False}
    rules = declare_platform(imports=[IMPORT, second]).all("azure-native:monitor:ScheduledQueryRule")
    titles = {rule.inputs["displayName"] for rule in rules}
    assert {"Import raw_house_data failed", "Import raw_house_data is late"} <= titles
    assert not any("agents" in title for title in titles)


def longest_chain(declared: Declared) -> list[str]:
    """Return the types of the longest chain of resources of which each waits for the one before.

    Of several that are as long, it is the first by the alphabet.
    """

    @functools.cache
    def chain_to(urn: str) -> list[str]:
        type_ = urn.split("::")[2].rsplit("$", 1)[-1].split(":", 1)[1]
        return [*longest(declared.dependencies.get(urn, ())), type_]

    def longest(urns: Iterable[str]) -> list[str]:
        return min((chain_to(urn) for urn in urns), key=lambda chain: (-len(chain), chain), default=[])

    return longest(declared.dependencies)


def test_longest_dependency_chain_has_only_dependencies_that_azure_needs() -> None:
    chain = longest_chain(declare_platform())
    print(" ->\n".join(chain))  # noqa: T201 - for who runs it with -s
    assert chain == [
        "resources:ResourceGroup",
        "monitor:PrivateLinkScope",
        *["monitor:PrivateLinkScopedResource"] * 3,  # the scope takes one change at a time
        # of Azure Monitor, the vault, the registry, the lake, and the workspace's storage and vault: a subnet
        # takes one at a time
        *["network:PrivateEndpoint"] * 10,
        "network:PrivateDnsZoneGroup",  # by which a private workspace finds its vault
        "machinelearningservices:Workspace",
        "network:PrivateEndpoint",  # a private workspace makes the containers of its jobs when it is reached
        "network:PrivateDnsZoneGroup",
        "authorization:RoleAssignment",  # of the importer on these containers
        "dynamic/identity:RolesInEffect",  # takes minutes
        "core/v1:ServiceAccount",  # a workflow that acts as the importer may start as soon as it exists
        "rbac.authorization.k8s.io/v1:RoleBinding",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"customerManagedKey": True},
        {"isolation": "public", "network": {"allowedAddressRanges": ["203.0.113.0/24"]}},
    ],
    ids=["private", "public"],
)
def test_private_endpoints_of_a_subnet_are_made_one_after_the_other(changes: dict[str, Any]) -> None:
    declared = declare_platform(**changes)
    type_ = "azure-native:network:PrivateEndpoint"
    subnets = {endpoint.name: endpoint.inputs["subnet"]["id"] for endpoint in declared.all(type_)}
    assert len(set(subnets.values())) == 1
    before = {
        urn.rsplit("::", 1)[1]: {other for other in waits_for if f"{type_}::" in other}
        for urn, waits_for in declared.dependencies.items()
        if f"{type_}::" in urn
    }
    assert sorted(map(len, before.values())) == [0] + [1] * (len(subnets) - 1)
    assert len({frozenset(others) for others in before.values()}) == len(subnets)


def test_children_are_named_after_their_component() -> None:
    of_components = {
        n: parent for n, parent in declare_platform().parents.items() if parent != "ai-platform-test"
    }
    assert of_components
    for name, parent in of_components.items():
        assert name.startswith(parent), name


def test_workload_identity_connection_has_no_secret_uri() -> None:
    connection = declare_platform().one(CONNECTION)
    assert connection.get("secret_uri") is None
    assert connection["sign_in"] == "workload_identity"


def test_every_taggable_resource_has_the_tags_of_the_stack() -> None:
    declared = declare_platform(tags={"owner": "data"}, keep=True, customerManagedKey=True)
    tagged = [r for r in declared.resources if r.typ.startswith("azure-native:") and r.typ not in UNTAGGED]
    assert tagged
    for resource in tagged:
        assert resource.inputs["tags"] == {"project": "ai-platform", "stack": "test", "owner": "data"}


def test_each_import_is_a_schedule_and_a_query_of_the_connection() -> None:
    second = {**IMPORT, "name": "agents", "query": "SELECT * FROM A.B.AGENTS", "enabled": False}
    declared = declare_platform(imports=[IMPORT, second])
    schedules = {s.inputs["spec"]["name"]: s.inputs for s in declared.all(SCHEDULE)}
    assert set(schedules) == {"raw_house_data", "agents"}
    assert schedules["agents"]["spec"]["query"] == second["query"]
    assert schedules["agents"]["enabled"] is False
    assert schedules["raw_house_data"]["identity_client_id"] == "client-globodev-importer"
    assert declared.one(CONNECTION)["queries"] == {
        "raw_house_data": IMPORT["query"],
        "agents": second["query"],
    }


def test_platform_without_imports_has_no_schedule_and_attaches_no_importer_to_the_workspace() -> None:
    declared = declare_platform(imports=[])
    assert declared.all(SCHEDULE) == []
    identity = declared.one("azure-native:machinelearningservices:Workspace")["identity"]
    assert identity["userAssignedIdentities"] == [f"{RESOURCES}/globodevmlw-identity"]


def test_datastores_are_the_lakes_containers() -> None:
    datastores = declare_platform().all("azure-native:machinelearningservices:Datastore")
    assert {(d.inputs["name"], d.inputs["properties"]["accountName"]) for d in datastores} == {
        ("rawdata", "globodevlake"),
        ("cleandata", "globodevlake"),
    }


def test_outputs_have_the_documented_names() -> None:
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
def test_soft_deleted_types_are_auto_named_within_azures_length_limit(type_: str, most: int) -> None:
    longest_name = "elevenchars"
    names = {"accountName", "vaultName", "workspaceName", "registryName"}
    found = declare_platform(name=longest_name).all(f"azure-native:{type_}")
    assert found
    for resource in found:
        assert not names & set(resource.inputs)
        assert len(resource.name) + len("12345678") <= most


def test_what_runs_on_the_cluster_goes_through_its_provider() -> None:
    releases = [r for r in declare_platform().resources if r.typ.startswith("kubernetes:")]
    assert releases
    for release in releases:
        assert release.provider
        assert "globodev-aks-kubernetes" in release.provider


@pytest.mark.parametrize("administrators", [None, "5ab0ec0f-0000-4000-8000-000000000000"])
def test_a_group_administers_the_cluster_where_one_is_set(administrators: str | None) -> None:
    cluster = {"administrators": administrators} if administrators else {}
    declared = declare_platform(cluster=cluster)
    assignment = declared.one("azure-native:authorization:RoleAssignment", "globodev-aks-administrators")
    assert assignment["principalId"] == (administrators or "o")
