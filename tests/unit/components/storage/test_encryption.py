"""The customer-managed key: its vault, its roles, its rotation, and the resources that depend on it."""

from typing import Any

import pulumi
import pytest

from components.component import PrivateLinkArgs, ServiceArgs
from components.identity.identity import Role
from components.network.private_link import Zone
from components.storage.encryption import Encryption, EncryptionArgs
from components.storage.lake import Lake, LakeArgs
from components.storage.registry import Registry, RegistryArgs
from tests.unit.components.nested_args import in_service
from tools.declared import RESOURCES, Declared, declare

VAULT = "azure-native:keyvault:Vault"
KEY = "azure-native:keyvault:Key"
ASSIGNMENT = "azure-native:authorization:RoleAssignment"
DISKS = "azure-native:compute:DiskEncryptionSet"
SERVICE: dict[str, Any] = {
    "resource_group": "rg-test",
    "location": "westeurope",
    "log_analytics_id": f"{RESOURCES}/logs",
}
LINK = PrivateLinkArgs(
    subnet_id=f"{RESOURCES}/subnets/endpoints", zone_ids={Zone.VAULT: f"{RESOURCES}/zones/vault"}
)
KEY_URI = "https://vault.vault.azure.net/keys/encryption"


def declare_encryption(**changes: Any) -> Declared:
    args = {**SERVICE, "tenant_id": "7e4a", **changes}
    return declare(lambda: Encryption("cmk", EncryptionArgs(**in_service(**args))))


def test_vault_of_the_key_is_never_purged_as_azure_asks() -> None:
    assert declare_encryption().one(VAULT)["properties"]["enablePurgeProtection"] is True


def test_vault_of_the_key_is_open_to_trusted_services_alone() -> None:
    declared = declare_encryption(private_link=LINK)
    vault = declared.one(VAULT)["properties"]
    # service-side encryption of a workspace asks for this
    assert vault["publicNetworkAccess"] == "Enabled"
    assert vault["networkAcls"] == {"bypass": "AzureServices", "defaultAction": "Deny", "ipRules": []}
    endpoint = declared.one("azure-native:network:PrivateEndpoint")
    assert endpoint["privateLinkServiceConnections"][0]["groupIds"] == ["vault"]


def test_allowed_ranges_reach_a_public_vault() -> None:
    vault = declare_encryption(allowed_address_ranges=["203.0.113.0/24"]).one(VAULT)["properties"]
    assert vault["networkAcls"]["ipRules"] == [{"value": "203.0.113.0/24"}]


def test_key_wraps_other_keys_and_does_nothing_else() -> None:
    key = declare_encryption().one(KEY)
    assert key["vaultName"] == "cmk"
    properties = key["properties"]
    assert (properties["kty"], properties["keySize"]) == ("RSA-HSM", 3072)
    assert properties["keyOps"] == ["wrapKey", "unwrapKey"]


def test_key_is_replaced_long_before_it_expires() -> None:
    policy = declare_encryption().one(KEY)["properties"]["rotationPolicy"]
    assert policy["attributes"] == {"expiryTime": "P2Y"}
    assert policy["lifetimeActions"] == [
        {"action": {"type": "rotate"}, "trigger": {"timeAfterCreate": "P1Y"}},
        {"action": {"type": "notify"}, "trigger": {"timeBeforeExpiry": "P30D"}},
    ]


@pytest.mark.parametrize("cosmos_db", [None, "cosmos"])
def test_only_who_encrypts_may_use_the_key(cosmos_db: str | None) -> None:
    assignments = declare_encryption(cosmos_db_principal_id=cosmos_db).all(ASSIGNMENT)
    assert {assignment.inputs["scope"] for assignment in assignments} == {f"{RESOURCES}/cmk"}
    use = Role.KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER
    assert {
        (a.inputs["principalId"], a.inputs["roleDefinitionId"].rsplit("/", 1)[1]) for a in assignments
    } == {
        ("principal-cmk-identity", use),
        ("principal-cmk-identity", Role.CONTRIBUTOR),  # as Azure ML asks
        *({(cosmos_db, use)} if cosmos_db else set()),
    }


def test_disks_are_encrypted_by_the_same_identity_with_the_newest_key() -> None:
    disks = declare_encryption().one(DISKS)
    assert disks["activeKey"] == {"keyUrl": f"{KEY_URI}/1", "sourceVault": {"id": f"{RESOURCES}/cmk"}}
    assert disks["rotationToLatestKeyVersionEnabled"] is True
    assert disks["identity"] == {
        "type": "UserAssigned",
        "userAssignedIdentities": [f"{RESOURCES}/cmk-identity"],
    }


def test_disks_that_cannot_follow_the_key_do_not_rotate_it() -> None:
    assert declare_encryption(rotate_disks=False).one(DISKS)["rotationToLatestKeyVersionEnabled"] is False


def test_services_that_use_the_key_wait_for_every_role_of_its_identity() -> None:
    def program() -> None:
        args = EncryptionArgs(
            service=ServiceArgs(**SERVICE), tenant_id="7e4a", cosmos_db_principal_id="cosmos"
        )
        key = Encryption("cmk", args).key
        Lake("lake", LakeArgs(service=ServiceArgs(**SERVICE), cool_after_days=30, encryption_key=key))
        Registry("registry", RegistryArgs(service=ServiceArgs(**SERVICE), encryption_key=key))

    declared = declare(program)
    waits_for = {
        urn.rsplit("::", 1)[1]: {name.rsplit("::", 1)[1] for name in names}
        for urn, names in declared.dependencies.items()
    }
    assert "cmk-identity-roles" in waits_for["cmk-key"]
    granted = {role.name for role in declared.all("azure-native:authorization:RoleAssignment")}
    assert waits_for["cmk-identity-roles"] >= granted
    assert len(granted) == 3
    for user in ("lake", "registry", "cmk-disks"):
        assert "cmk-key" in waits_for[user], user


def test_keep_protects_the_vault_the_key_and_the_identity() -> None:
    kept = declare_encryption(keep=True)
    assert {"cmk", "cmk-key", "cmk-identity"} <= kept.protected
    assert declare_encryption().protected == set()


def test_key_rotation_is_ignored_and_the_key_is_retained_on_delete() -> None:
    options: dict[str, pulumi.ResourceOptions] = {}

    def note(args: pulumi.ResourceTransformationArgs) -> None:
        options[args.name] = args.opts

    opts = pulumi.ResourceOptions(transformations=[note])
    declare(lambda: Encryption("cmk", EncryptionArgs(service=ServiceArgs(**SERVICE), tenant_id="7e4a"), opts))
    assert options["cmk-key"].ignore_changes == ["properties"]
    assert options["cmk-disks"].ignore_changes == ["activeKey.keyUrl"]
    assert [name for name, opts in options.items() if opts.retain_on_delete] == ["cmk-key"]


def test_tags_of_the_stack_are_not_on_the_key_as_it_cannot_change() -> None:
    declared = declare_encryption(tags={"stack": "test"})
    assert "tags" not in declared.one(KEY)
    assert declared.one(VAULT)["tags"] == {"stack": "test"}
    assert declared.one(DISKS)["tags"] == {"stack": "test"}
