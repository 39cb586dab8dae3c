"""Vaults: who reaches them, and what becomes of a deleted one."""

from typing import Any

import pytest

from components.component import PrivateLinkArgs, ServiceArgs
from components.network.private_link import Zone
from components.storage.vault import Vault, VaultArgs
from tests.unit.components.nested_args import in_service
from tools.declared import RESOURCES, Declared, declare

VAULT = "azure-native:keyvault:Vault"
LOCK = "azure-native:authorization:ManagementLockByScope"
LINK = PrivateLinkArgs(
    subnet_id=f"{RESOURCES}/subnets/endpoints", zone_ids={Zone.VAULT: f"{RESOURCES}/zones/vault"}
)


def declare_vault(**changes: Any) -> Declared:
    args: dict[str, Any] = {
        "resource_group": "rg-test",
        "location": "westeurope",
        "log_analytics_id": f"{RESOURCES}/logs",
        "tenant_id": "7e4a",
        **changes,
    }
    return declare(lambda: Vault("kv", VaultArgs(**in_service(**args))))


def properties(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = declare_vault(**changes).one(VAULT)["properties"]
    return found


def test_vault_takes_role_assignments_and_no_access_policies() -> None:
    vault = properties()
    assert vault["enableRbacAuthorization"] is True
    assert "accessPolicies" not in vault
    assert vault["tenantId"] == "7e4a"


def test_a_deleted_vault_can_be_recovered_for_90_days() -> None:
    vault = properties()
    assert vault["enableSoftDelete"] is True
    assert vault["softDeleteRetentionInDays"] == 90


@pytest.mark.parametrize("changes", [{"keep": True}, {"purge_protection": True}])
def test_keep_or_purge_protection_enables_purge_protection(changes: dict[str, bool]) -> None:
    assert properties(**changes)["enablePurgeProtection"] is True


def test_default_omits_purge_protection() -> None:
    assert "enablePurgeProtection" not in properties()


def test_no_allowed_ranges_disables_public_access() -> None:
    vault = properties()
    assert vault["publicNetworkAccess"] == "Disabled"
    assert vault["networkAcls"] == {"bypass": "AzureServices", "defaultAction": "Deny", "ipRules": []}


def test_allowed_ranges_enable_public_access_for_them_only() -> None:
    vault = properties(allowed_address_ranges=["203.0.113.0/24", "198.51.100.7/32"])
    assert vault["publicNetworkAccess"] == "Enabled"
    assert vault["networkAcls"]["defaultAction"] == "Deny"
    assert [rule["value"] for rule in vault["networkAcls"]["ipRules"]] == [
        "203.0.113.0/24",
        "198.51.100.7/32",
    ]


def test_a_private_vault_is_reached_by_its_endpoint_alone() -> None:
    declared = declare_vault(private_link=LINK)
    vault = declared.one(VAULT)["properties"]
    assert vault["publicNetworkAccess"] == "Disabled"
    assert vault["networkAcls"]["ipRules"] == []
    endpoint = declared.one("azure-native:network:PrivateEndpoint")
    (connection,) = endpoint["privateLinkServiceConnections"]
    assert connection["groupIds"] == ["vault"]
    assert connection["privateLinkServiceId"] == f"{RESOURCES}/kv"
    zones = declared.one("azure-native:network:PrivateDnsZoneGroup")
    assert [zone["privateDnsZoneId"] for zone in zones["privateDnsZoneConfigs"]] == [
        f"{RESOURCES}/zones/vault"
    ]


def test_a_public_vault_has_no_endpoint() -> None:
    assert declare_vault().all("azure-native:network:PrivateEndpoint") == []


def test_audit_logs_go_to_log_analytics() -> None:
    setting = declare_vault().one("azure-native:monitor:DiagnosticSetting")
    assert setting["resourceUri"] == f"{RESOURCES}/kv"
    assert setting["workspaceId"] == f"{RESOURCES}/logs"
    assert [log["categoryGroup"] for log in setting["logs"]] == ["allLogs"]


def test_kept_vault_is_protected_and_has_no_lock_that_would_cover_private_endpoints() -> None:
    kept = declare_vault(keep=True)
    assert (kept.protected, kept.all(LOCK)) == ({"kv"}, [])
    assert declare_vault().protected == set()


def test_a_secret_is_addressed_below_its_vault() -> None:
    seen: list[str] = []

    service = ServiceArgs(resource_group="rg-test", location="westeurope", log_analytics_id="logs")

    def program() -> None:
        vault = Vault("kv", VaultArgs(service=service, tenant_id="7e4a"))
        vault.secret_id("snowflake").apply(seen.append)
        vault.secret_uri("snowflake").apply(seen.append)

    declare(program)
    assert sorted(seen) == [
        f"{RESOURCES}/kv/secrets/snowflake",
        "https://kv.vault.azure.net/secrets/snowflake",
    ]
