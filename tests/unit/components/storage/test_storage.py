"""Storage accounts, and the lake: who reaches them, what they keep, and what it costs."""

from typing import Any

import pulumi
import pytest
from pulumi_azure_native import resources, storage

from components.component import PrivateLinkArgs, ServiceArgs
from components.network.private_link import Zone
from components.storage.encryption import EncryptionKeyArgs
from components.storage.lake import Lake, LakeArgs, storage_endpoint
from components.storage.storage_account import make_storage_account
from tests.unit.components.nested_args import in_service
from tools.declared import RESOURCES, Declared, declare

ACCOUNT = "azure-native:storage:StorageAccount"
ENDPOINT = "azure-native:network:PrivateEndpoint"
DIAGNOSTICS = "azure-native:monitor:DiagnosticSetting"
LOCK = "azure-native:authorization:ManagementLockByScope"
POLICY = "azure-native:storage:BlobContainerImmutabilityPolicy"

SERVICE: dict[str, Any] = {
    "resource_group": "rg-test",
    "location": "westeurope",
    "tags": {"stack": "test"},
    "log_analytics_id": f"{RESOURCES}/logs",
}
LINK = PrivateLinkArgs(
    subnet_id=f"{RESOURCES}/subnets/endpoints",
    zone_ids={zone: f"{RESOURCES}/zones/{zone}" for zone in Zone},
)
SNOWFLAKE = [f"{RESOURCES}/subnets/snowflake-{number}" for number in (1, 2)]
KEY = EncryptionKeyArgs(
    vault_id=f"{RESOURCES}/vault",
    vault_uri="https://vault.vault.azure.net/",
    key_name="encryption",
    key_uri="https://vault.vault.azure.net/keys/encryption",
    key_version_uri="https://cmk.vault.azure.net/keys/encryption/1",
    identity_id=f"{RESOURCES}/encryption",
    identity_client_id="client-encryption",
)


def declare_lake(**changes: Any) -> Declared:
    return declare(
        lambda: Lake("lake", LakeArgs(**in_service(**{**SERVICE, "cool_after_days": 30, **changes})))
    )


def account(**changes: Any) -> dict[str, Any]:
    return declare_lake(**changes).one(ACCOUNT)


def declare_flat_account() -> Declared:
    """An account as the workspace's own."""

    def program() -> None:
        parent = resources.ResourceGroup("rg")
        user = make_storage_account(
            "mlw",
            ServiceArgs(**SERVICE, private_link=LINK),
            parent,
            sku=storage.SkuName.STANDARD_LRS,
            hierarchical_namespace=False,
            groups=("blob", "file", "queue", "table"),
        )
        resources.ResourceGroup("user", opts=pulumi.ResourceOptions(depends_on=user.ready))

    return declare(program)


@pytest.mark.parametrize("private_link", [None, LINK])
def test_only_entra_id_opens_an_account(private_link: PrivateLinkArgs | None) -> None:
    inputs = account(private_link=private_link)
    assert inputs["allowSharedKeyAccess"] is False
    assert inputs["allowBlobPublicAccess"] is False
    assert inputs["defaultToOAuthAuthentication"] is True
    assert inputs["isLocalUserEnabled"] is False
    assert inputs["isSftpEnabled"] is False
    assert inputs["enableHttpsTrafficOnly"] is True
    assert inputs["minimumTlsVersion"] == "TLS1_2"


def test_data_is_not_copied_between_tenants() -> None:
    inputs = account()
    assert inputs["allowCrossTenantReplication"] is False
    assert inputs["allowedCopyScope"] == "AAD"
    assert inputs["sasPolicy"] == {"expirationAction": "Log", "sasExpirationPeriod": "1.00:00:00"}


def test_nobody_reaches_an_account_that_allows_nobody() -> None:
    inputs = account()
    assert inputs["publicNetworkAccess"] == "Disabled"
    rules = inputs["networkRuleSet"]
    assert (rules["defaultAction"], rules["bypass"]) == ("Deny", "AzureServices")
    assert (rules["ipRules"], rules["virtualNetworkRules"]) == ([], [])


def test_allowed_ranges_are_let_in_and_nobody_else() -> None:
    inputs = account(allowed_address_ranges=["203.0.113.0/24", "198.51.100.7/32", "192.0.2.6/31"])
    assert inputs["publicNetworkAccess"] == "Enabled"
    assert inputs["networkRuleSet"]["defaultAction"] == "Deny"
    addresses = [rule["iPAddressOrRange"] for rule in inputs["networkRuleSet"]["ipRules"]]
    # storage refuses /31 and /32
    assert addresses == ["203.0.113.0/24", "198.51.100.7", "192.0.2.6", "192.0.2.7"]


def test_a_private_account_has_no_public_endpoint() -> None:
    inputs = account(private_link=LINK)
    assert inputs["publicNetworkAccess"] == "Disabled"
    assert inputs["networkRuleSet"]["ipRules"] == []


@pytest.mark.parametrize("private_link", [None, LINK])
def test_snowflake_reaches_the_lake_only_from_its_subnets(private_link: PrivateLinkArgs | None) -> None:
    inputs = account(
        private_link=private_link,
        snowflake_subnet_ids=SNOWFLAKE,
    )
    assert inputs["publicNetworkAccess"] == "Enabled"
    rules = inputs["networkRuleSet"]
    assert rules["defaultAction"] == "Deny"
    assert [rule["virtualNetworkResourceId"] for rule in rules["virtualNetworkRules"]] == SNOWFLAKE
    assert rules["ipRules"] == []


def test_a_private_lake_has_an_endpoint_for_blobs_and_for_files() -> None:
    declared = declare_lake(private_link=LINK)
    groups = {
        endpoint.name: endpoint.inputs["privateLinkServiceConnections"][0]
        for endpoint in declared.all(ENDPOINT)
    }
    assert {name: link["groupIds"] for name, link in groups.items()} == {
        "lake-blob-endpoint": ["blob"],
        "lake-dfs-endpoint": ["dfs"],
    }
    assert {link["privateLinkServiceId"] for link in groups.values()} == {f"{RESOURCES}/lake"}
    zones = declared.one("azure-native:network:PrivateDnsZoneGroup", "lake-dfs-endpoint-zones")
    assert zones["privateDnsZoneConfigs"][0]["privateDnsZoneId"] == f"{RESOURCES}/zones/{Zone.DFS}"
    assert declare_lake().all(ENDPOINT) == []


def test_all_that_an_account_answers_is_logged() -> None:
    settings = {s.inputs["resourceUri"]: s.inputs for s in declare_lake().all(DIAGNOSTICS)}
    lake = f"{RESOURCES}/lake"
    services = {f"{lake}/{service}Services/default" for service in ("blob", "file", "queue", "table")}
    assert settings.keys() == {lake, *services}
    assert {s["workspaceId"] for s in settings.values()} == {f"{RESOURCES}/logs"}
    assert settings[lake]["logs"] == []  # an account itself has metrics only
    for service in services:
        logged = [log["category"] for log in settings[service]["logs"]]
        assert logged == ["StorageRead", "StorageWrite", "StorageDelete"]


def test_what_is_deleted_can_be_restored() -> None:
    for declared in (declare_lake(), declare_flat_account()):
        (blobs,) = declared.all("azure-native:storage:BlobServiceProperties")
        assert blobs.inputs["deleteRetentionPolicy"] == {"enabled": True, "days": 14}
        assert blobs.inputs["containerDeleteRetentionPolicy"] == {"enabled": True, "days": 14}


def test_a_kept_lake_is_protected_by_pulumi_and_locked_in_azure() -> None:
    declared = declare_lake(keep=True)
    assert {"lake", "lake-rawdata", "lake-cleandata"} <= declared.protected
    lock = declared.one(LOCK)
    assert (lock["scope"], lock["level"]) == (f"{RESOURCES}/lake", "CanNotDelete")
    free = declare_lake()
    assert (free.protected, free.all(LOCK)) == (set(), [])


def test_data_is_encrypted_with_the_given_key_and_its_rotations() -> None:
    inputs = account(encryption_key=KEY)
    assert inputs["identity"] == {"type": "UserAssigned", "userAssignedIdentities": [KEY.identity_id]}
    encryption = inputs["encryption"]
    assert encryption["keySource"] == "Microsoft.Keyvault"
    # no version: the account looks for a newer one by itself
    assert encryption["keyVaultProperties"] == {"keyVaultUri": KEY.vault_uri, "keyName": "encryption"}
    assert encryption["encryptionIdentity"] == {"encryptionUserAssignedIdentity": KEY.identity_id}
    # a key for queues and tables is only for a new account
    assert encryption["services"].keys() == {"blob", "file"}


def test_without_a_key_the_account_is_left_to_microsofts() -> None:
    assert account()["encryption"]["keySource"] == "Microsoft.Storage"
    assert "identity" not in account()


@pytest.mark.parametrize("key", [None, KEY])
def test_a_new_account_is_encrypted_twice_and_an_existing_one_stays(key: EncryptionKeyArgs | None) -> None:
    declared = declare_lake(encryption_key=key)
    encryption = declared.one(ACCOUNT)["encryption"]
    assert encryption["requireInfrastructureEncryption"] is True
    assert declared.ignored["lake"] == ["encryption.requireInfrastructureEncryption"]


def test_a_flat_account_says_nothing_of_a_hierarchical_namespace() -> None:
    declared = declare_flat_account()
    inputs = declared.one(ACCOUNT)
    assert "isHnsEnabled" not in inputs
    assert inputs["sku"] == {"name": "Standard_LRS"}
    assert {endpoint.name for endpoint in declared.all(ENDPOINT)} == {
        f"mlw-{group}-endpoint" for group in ("blob", "file", "queue", "table")
    }
    assert account()["isHnsEnabled"] is True


def test_who_uses_an_account_waits_for_its_endpoints() -> None:
    dependencies = declare_flat_account().dependencies
    (waits_for,) = [found for urn, found in dependencies.items() if urn.endswith("::user")]
    names = {urn.rsplit("::", 1)[1] for urn in waits_for}
    assert names == {
        "mlw-blobs",
        *(f"mlw-{group}-endpoint-zones" for group in ("blob", "file", "queue", "table")),
    }


def test_lake_is_zone_redundant_unless_told_otherwise() -> None:
    assert account()["sku"] == {"name": "Standard_ZRS"}
    assert account(sku="Standard_GZRS")["sku"] == {"name": "Standard_GZRS"}


def test_lake_has_a_container_each_for_raw_and_clean_data() -> None:
    containers = declare_lake().all("azure-native:storage:BlobContainer")
    assert {c.name: c.inputs["containerName"] for c in containers} == {
        "lake-rawdata": "rawdata",
        "lake-cleandata": "cleandata",
    }
    assert {c.inputs["publicAccess"] for c in containers} == {"None"}


def test_old_raw_data_is_cooled_and_never_deleted() -> None:
    declared = declare_lake(cool_after_days=45)
    policy = declared.one("azure-native:storage:ManagementPolicy")
    assert policy["managementPolicyName"] == "default"
    (rule,) = policy["policy"]["rules"]
    assert rule["enabled"] is True
    # a bare `rawdata` would also match a container `rawdata2`
    assert rule["definition"]["filters"] == {"blobTypes": ["blockBlob"], "prefixMatch": ["rawdata/"]}
    assert rule["definition"]["actions"] == {
        "baseBlob": {"tierToCool": {"daysAfterModificationGreaterThan": 45}}
    }


def test_raw_data_is_immutable_where_asked() -> None:
    policy = declare_lake(immutable_days=7).one(POLICY)
    assert policy["containerName"] == "lake-rawdata"  # as the mocks name it
    assert policy["immutabilityPolicyName"] == "default"
    assert policy["immutabilityPeriodSinceCreationInDays"] == 7
    assert declare_lake().all(POLICY) == []


def test_an_immutability_policy_is_left_in_place_as_the_provider_cannot_delete_it() -> None:
    retained: set[str] = set()

    def note(args: pulumi.ResourceTransformationArgs) -> None:
        if args.opts.retain_on_delete:
            retained.add(args.name)

    opts = pulumi.ResourceOptions(transformations=[note])
    declare(
        lambda: Lake(
            "lake", LakeArgs(service=ServiceArgs(**SERVICE), cool_after_days=30, immutable_days=7), opts
        )
    )
    assert retained == {"lake-rawdata-immutability"}


def test_lake_outputs_its_account_and_containers() -> None:
    seen: dict[str, str] = {}

    def program() -> None:
        lake = Lake("lake", LakeArgs(service=ServiceArgs(**SERVICE), cool_after_days=30))
        for name in ("account_name", "resource_id", "endpoint", "raw_container_id"):
            getattr(lake, name).apply(lambda value, name=name: seen.update({name: value}))

    declare(program)
    assert seen == {
        "account_name": "lake",
        "resource_id": f"{RESOURCES}/lake",
        "endpoint": "core.windows.net",
        "raw_container_id": f"{RESOURCES}/lake-rawdata",
    }


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
