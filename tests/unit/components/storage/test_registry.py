"""Registries: who pulls and pushes, from where, and how long images stay."""

from typing import Any

import pytest

from components.component import PrivateLinkArgs
from components.network.private_link import Zone
from components.storage.encryption import EncryptionKeyArgs
from components.storage.registry import Registry, RegistryArgs
from tests.unit.components.nested_args import in_service
from tools.declared import RESOURCES, Declared, declare

REGISTRY = "azure-native:containerregistry:Registry"
LOCK = "azure-native:authorization:ManagementLockByScope"
LINK = PrivateLinkArgs(
    subnet_id=f"{RESOURCES}/subnets/endpoints", zone_ids={Zone.REGISTRY: f"{RESOURCES}/zones/registry"}
)
KEY = EncryptionKeyArgs(
    vault_id=f"{RESOURCES}/vault",
    vault_uri="https://vault.vault.azure.net/",
    key_name="encryption",
    key_uri="https://vault.vault.azure.net/keys/encryption",
    key_version_uri="https://cmk.vault.azure.net/keys/encryption/1",
    identity_id=f"{RESOURCES}/encryption",
    identity_client_id="client-encryption",
)


def declare_registry(**changes: Any) -> Declared:
    args: dict[str, Any] = {
        "resource_group": "rg-test",
        "location": "westeurope",
        "log_analytics_id": f"{RESOURCES}/logs",
        **changes,
    }
    return declare(lambda: Registry("registry", RegistryArgs(**in_service(**args))))


def registry(**changes: Any) -> dict[str, Any]:
    return declare_registry(**changes).one(REGISTRY)


def test_registry_has_no_admin_and_no_anonymous_pull() -> None:
    inputs = registry()
    assert inputs["adminUserEnabled"] is False
    assert inputs["anonymousPullEnabled"] is False


@pytest.mark.parametrize("private_link", [None, LINK])
def test_registry_is_premium_also_where_it_is_public(private_link: PrivateLinkArgs | None) -> None:
    inputs = registry(private_link=private_link)
    assert inputs["sku"] == {"name": "Premium"}
    assert inputs["dataEndpointEnabled"] is True


def test_nobody_but_trusted_services_reaches_a_registry_that_allows_nobody() -> None:
    inputs = registry()
    assert inputs["publicNetworkAccess"] == "Disabled"
    assert inputs["networkRuleBypassOptions"] == "AzureServices"
    assert inputs["networkRuleSet"] == {"defaultAction": "Deny", "ipRules": []}


def test_allowed_ranges_are_let_in_and_nobody_else() -> None:
    inputs = registry(allowed_address_ranges=["203.0.113.0/24"])
    assert inputs["publicNetworkAccess"] == "Enabled"
    assert inputs["networkRuleSet"]["defaultAction"] == "Deny"
    assert [rule["iPAddressOrRange"] for rule in inputs["networkRuleSet"]["ipRules"]] == ["203.0.113.0/24"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "disabled"),
        ({"private_link": LINK}, "disabled"),
        # Azure refuses to disable exports of a registry with a public endpoint
        ({"allowed_address_ranges": ["203.0.113.0/24"]}, "enabled"),
    ],
)
def test_images_leave_only_a_registry_with_a_public_endpoint(changes: dict[str, Any], status: str) -> None:
    assert registry(**changes)["policies"]["exportPolicy"] == {"status": status}


def test_images_without_a_tag_are_deleted_after_90_days() -> None:
    policies = registry()["policies"]
    assert policies["retentionPolicy"] == {"status": "enabled", "days": 90}
    assert "softDeletePolicy" not in policies  # Azure takes only one of the two


@pytest.mark.parametrize(("zones", "redundancy"), [([], "Disabled"), (["1", "2", "3"], "Enabled")])
def test_a_new_registry_is_spread_over_zones_and_an_existing_one_stays(
    zones: list[str], redundancy: str
) -> None:
    declared = declare_registry(zones=zones)
    assert declared.one(REGISTRY)["zoneRedundancy"] == redundancy
    assert declared.ignored["registry"] == ["zoneRedundancy"]


def test_a_private_registry_is_reached_by_its_endpoint_alone() -> None:
    declared = declare_registry(private_link=LINK)
    inputs = declared.one(REGISTRY)
    assert inputs["publicNetworkAccess"] == "Disabled"
    assert inputs["networkRuleSet"]["ipRules"] == []
    (connection,) = declared.one("azure-native:network:PrivateEndpoint")["privateLinkServiceConnections"]
    assert connection["groupIds"] == ["registry"]
    assert connection["privateLinkServiceId"] == f"{RESOURCES}/registry"
    zones = declared.one("azure-native:network:PrivateDnsZoneGroup")
    assert [zone["privateDnsZoneId"] for zone in zones["privateDnsZoneConfigs"]] == [
        f"{RESOURCES}/zones/registry"
    ]
    assert declare_registry().all("azure-native:network:PrivateEndpoint") == []


def test_images_are_encrypted_with_the_given_key_and_its_rotations() -> None:
    inputs = registry(encryption_key=KEY)
    assert inputs["identity"] == {
        "type": "UserAssigned",
        "userAssignedIdentities": {KEY.identity_id: {}},
    }
    assert inputs["encryption"] == {
        "status": "enabled",
        "keyVaultProperties": {"identity": "client-encryption", "keyIdentifier": KEY.key_uri},
    }
    assert not {"encryption", "identity"} & registry().keys()


def test_who_pulls_and_pushes_is_logged() -> None:
    setting = declare_registry().one("azure-native:monitor:DiagnosticSetting")
    assert setting["resourceUri"] == f"{RESOURCES}/registry"
    assert setting["workspaceId"] == f"{RESOURCES}/logs"
    assert [log["categoryGroup"] for log in setting["logs"]] == ["allLogs"]


def test_kept_registry_is_protected_and_has_no_lock_that_would_cover_private_endpoints() -> None:
    kept = declare_registry(keep=True)
    assert (kept.protected, kept.all(LOCK)) == ({"registry"}, [])
    assert declare_registry().protected == set()
