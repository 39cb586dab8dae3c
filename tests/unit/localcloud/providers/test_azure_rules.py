"""What the local Azure refuses and keeps, by its tables of behaviours, without an engine."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from localcloud.arm import ArmStore, Document
from localcloud.home import Home
from localcloud.providers.azure_rules import AzureRules
from localcloud.providers.azure_services import service_made, with_kept_values
from localcloud.providers.azure_types import TYPES
from localcloud.providers.grpc_provider import ProviderError

GROUP = "/subscriptions/s/resourceGroups/g"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"
LAKE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/lake"
WORKSPACE = "Microsoft.MachineLearningServices/workspaces"
CLUSTER = "Microsoft.ContainerService/managedClusters"
POOL = f"{CLUSTER}/agentPools"
ENDPOINT = TYPES["network:PrivateEndpoint"]
ZONES = f"{GROUP}/providers/Microsoft.Network/privateDnsZones"


@pytest.fixture
def store(tmp_path: Path) -> ArmStore:
    return ArmStore(tmp_path / "arm.db")


def document(arm_id: str, arm_type: str, **properties: Any) -> Document:
    return {
        "id": arm_id,
        "name": arm_id.rsplit("/", 1)[1],
        "type": arm_type,
        "location": "westeurope",
        "properties": properties,
    }


def put(store: ArmStore, found: Document) -> None:
    store.put(found["id"], found)


def with_key(**properties: Any) -> Document:
    """Return a workspace that encrypts with the vault's key."""
    key = {"keyVaultProperties": {"keyVaultArmId": VAULT}}
    return document(f"{GROUP}/providers/{WORKSPACE}/w", WORKSPACE, encryption=key, **properties)


def private_cluster(zone: str) -> Document:
    access = {"privateDNSZone": zone}
    return document(f"{GROUP}/providers/{CLUSTER}/aks", CLUSTER, apiServerAccessProfile=access)


@pytest.mark.parametrize(
    ("vault", "body", "said"),
    [
        ({}, with_key(), "must have purge protection"),
        (
            {"enablePurgeProtection": True, "publicNetworkAccess": "Disabled"},
            with_key(enableServiceSideCMKEncryption=True),
            "needs a vault whose public network access is on",
        ),
        (
            {},
            document(
                f"{GROUP}/providers/Microsoft.Compute/diskEncryptionSets/d",
                "Microsoft.Compute/diskEncryptionSets",
                activeKey={"sourceVault": {"id": VAULT}},
            ),
            "must have purge protection",
        ),
        (
            {},
            private_cluster(f"{ZONES}/privatelink.northeurope.azmk8s.io"),
            "must be privatelink.<region>.azmk8s.io",
        ),
    ],
)
def test_request_for_a_resource_without_what_it_needs_is_refused(
    store: ArmStore, vault: dict[str, Any], body: Document, said: str
) -> None:
    put(store, document(VAULT, "Microsoft.KeyVault/vaults", **vault))
    zone = f"{ZONES}/privatelink.northeurope.azmk8s.io"
    put(store, document(zone, "Microsoft.Network/privateDnsZones"))
    with pytest.raises(ProviderError, match=said):
        AzureRules(store).check_requirements(body)


@pytest.mark.parametrize(
    "body",
    [
        with_key(),
        with_key(enableServiceSideCMKEncryption=True),
        private_cluster("system"),
        private_cluster(f"{ZONES}/privatelink.westeurope.azmk8s.io"),
    ],
)
def test_request_for_a_resource_with_what_it_needs_passes(store: ArmStore, body: Document) -> None:
    vault = {"enablePurgeProtection": True, "publicNetworkAccess": "Enabled"}
    put(store, document(VAULT, "Microsoft.KeyVault/vaults", **vault))
    put(store, document(f"{ZONES}/privatelink.westeurope.azmk8s.io", "Microsoft.Network/privateDnsZones"))
    AzureRules(store).check_requirements(body)


def test_second_private_endpoint_at_the_same_time_in_a_subnet_is_refused(store: ArmStore) -> None:
    rules = AzureRules(store)
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with rules.alone(ENDPOINT, {"subnet": {"id": "endpoints"}}):
            inside.set()
            leave.wait(5)

    running = threading.Thread(target=first)
    running.start()
    assert inside.wait(5)
    refused = pytest.raises(ProviderError, match="AnotherOperationInProgress")
    with refused, rules.alone(ENDPOINT, {"subnet": {"id": "Endpoints"}}):
        pass
    with rules.alone(ENDPOINT, {"subnet": {"id": "others"}}):
        pass
    leave.set()
    running.join()
    with rules.alone(ENDPOINT, {"subnet": {"id": "endpoints"}}):
        pass


def test_budget_changes_only_with_its_latest_etag(store: ArmStore) -> None:
    made = with_kept_values(document(f"{GROUP}/b", "Microsoft.Consumption/budgets", amount=1), None)
    rules = AzureRules(store)
    rules.check_etag(made, {"eTag": made["eTag"]})
    for etag in ({}, {"eTag": '"old"'}):
        with pytest.raises(ProviderError, match="get the latest"):
            rules.check_etag(made, etag)


@pytest.mark.parametrize(
    ("deleted", "refused"),
    [
        (document(f"{LAKE}/providers/Microsoft.Authorization/roleAssignments/r", "any"), True),
        (document(LAKE, "Microsoft.Storage/storageAccounts"), True),
        (
            document(
                f"{GROUP}/providers/Microsoft.Network/privateEndpoints/e",
                "Microsoft.Network/privateEndpoints",
                privateLinkServiceConnections=[{"privateLinkServiceId": LAKE}],
            ),
            True,
        ),
        (document(f"{LAKE}2", "Microsoft.Storage/storageAccounts"), False),
        (
            document(f"{LAKE}/providers/Microsoft.Authorization/locks/keep", "Microsoft.Authorization/locks"),
            False,
        ),
    ],
)
def test_delete_lock_covers_what_is_attached_and_private_endpoint_connections(
    store: ArmStore, deleted: Document, refused: bool
) -> None:
    lock = f"{LAKE}/providers/Microsoft.Authorization/locks/keep"
    put(store, document(lock, "Microsoft.Authorization/locks", level="CanNotDelete"))
    rules = AzureRules(store)
    if not refused:
        rules.check_locks(deleted)
        return
    with pytest.raises(ProviderError, match="ScopeLocked"):
        rules.check_locks(deleted)


def pool(**properties: Any) -> Document:
    given = {"enableAutoScaling": True, "minCount": 2, "maxCount": 5, **properties}
    return document(f"{GROUP}/providers/{CLUSTER}/aks/agentPools/user", POOL, **given)


def test_pool_without_a_number_of_nodes_keeps_those_of_the_autoscaler() -> None:
    assert with_kept_values(pool(), None)["properties"]["count"] == 2
    assert with_kept_values(pool(maxCount=9), pool(count=4))["properties"]["count"] == 4
    with pytest.raises(ProviderError, match="omit count"):
        with_kept_values(pool(count=2), pool(count=4))


def test_cluster_keeps_the_nodes_of_its_pools_by_their_names() -> None:
    profile = {"name": "system", "enableAutoScaling": True, "minCount": 2}
    now = [{"name": "user", "count": 7}, {**profile, "count": 3}]
    stored = document(f"{GROUP}/aks", CLUSTER, agentPoolProfiles=now)
    changed = with_kept_values(document(f"{GROUP}/aks", CLUSTER, agentPoolProfiles=[profile]), stored)
    assert changed["properties"]["agentPoolProfiles"] == [{**profile, "count": 3}]


def test_workspace_makes_the_containers_of_its_jobs() -> None:
    made = service_made(document(f"{GROUP}/w", WORKSPACE, storageAccount=LAKE, workspaceId="guid"))
    assert [found["id"].removeprefix(f"{LAKE}/blobServices/default/containers/") for found in made] == [
        "azureml",
        "azureml-blobstore-guid",
    ]


@pytest.mark.parametrize(
    ("token", "is_refused"), [("network:PrivateEndpoint", True), ("keyvault:Vault", False)]
)
def test_provider_that_is_not_registered_makes_no_resource(
    store: ArmStore, token: str, is_refused: bool
) -> None:
    rules = AzureRules(store, {"Microsoft.Network"})
    if not is_refused:
        rules.check_registered(TYPES[token], VAULT)
        return
    with pytest.raises(
        ProviderError, match=r"409 MissingSubscriptionRegistration.*--namespace Microsoft.Network"
    ):
        rules.check_registered(TYPES[token], VAULT)


def test_home_has_the_roles_time_and_the_unregistered_providers_of_its_file(tmp_path: Path) -> None:
    assert (Home.open(tmp_path).role_seconds, Home.open(tmp_path).unregistered) == (0, frozenset())
    file = tmp_path / "localcloud.json"
    stored = json.loads(file.read_text()) | {"roleSeconds": 5, "unregistered": ["Microsoft.Network"]}
    file.write_text(json.dumps(stored))
    changed = Home.open(tmp_path)
    assert (changed.role_seconds, changed.unregistered) == (5, frozenset({"Microsoft.Network"}))
