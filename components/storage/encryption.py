"""The platform's own key, which encrypts data at rest."""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, compute, keyvault

from components.component import Args, ServiceArgs
from components.deletion_protection import kept
from components.dynamic.roles_in_effect import RolesInEffect
from components.identity.identity import Identity, Role, assign_role
from components.storage.vault import Vault, VaultArgs

#: Each version of the key is replaced after a year, and stays valid for another year for consumers that have
#: not picked up the new one; an event warns 30 days before it expires
#: (https://learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation).
ROTATED_AFTER = "P1Y"
EXPIRES_AFTER = "P2Y"
TOLD_BEFORE_EXPIRY = "P30D"


@dataclass(kw_only=True)
class EncryptionKeyArgs(Args):
    """A key that a service encrypts with, and the identity by which it reaches the key."""

    vault_id: pulumi.Input[str]
    vault_uri: pulumi.Input[str]
    key_name: pulumi.Input[str]
    key_uri: pulumi.Input[str]
    """The key's address without a version, so that a rotated key is taken up."""
    key_version_uri: pulumi.Input[str]
    """The address of the version that the key had at first, for services that take no other."""
    identity_id: pulumi.Input[str]
    identity_client_id: pulumi.Input[str]


@dataclass(kw_only=True)
class EncryptionArgs(Args):
    """What the platform's own key needs from outside."""

    service: ServiceArgs
    tenant_id: pulumi.Input[str]
    cosmos_db_principal_id: pulumi.Input[str] | None = None
    """Object id of Azure Cosmos DB's principal in the tenant, which encrypts the metadata of a workspace that
    was made without service-side encryption."""
    rotate_disks: bool = True
    """Whether disks follow the key's rotation. Ephemeral disks do not: their pool must be scaled to zero for
    a new version (https://learn.microsoft.com/azure/aks/azure-disk-customer-managed-keys#limitations)."""


class Encryption(pulumi.ComponentResource):
    """A key that encrypts data at rest, in a vault of its own, and the identities that may use it.

    `name` (at most 16 letters, digits and hyphens) is the start of the vault's name. The identities may only
    wrap and unwrap with the key. Services use it through an identity, disks of virtual machines through the
    disk encryption set; managed disks follow the key's rotation. Services pass the vault's firewall as
    trusted services, with the same identity
    (https://learn.microsoft.com/azure/key-vault/general/overview-vnet-service-endpoints#trusted-services).
    The vault's public endpoint is on, for them alone: service-side encryption of a workspace does not work
    with a vault whose public access is off
    (https://learn.microsoft.com/azure/machine-learning/concept-customer-managed-keys#preview-service-side-encryption-of-metadata).

    The vault always has purge protection, because Azure does not encrypt with a key that could be purged
    (https://learn.microsoft.com/azure/storage/common/customer-managed-keys-overview). So a destroyed vault
    can be recovered for 90 days, whatever `keep` says. The key is RSA 3072, stays in its hardware security
    module and rotates automatically. Azure Resource Manager creates keys but never changes or deletes them
    (https://github.com/Azure/bicep/issues/8283): the key is deleted with its vault, and its rotation is
    changed in Key Vault.

    The key is made once the identity's roles are in effect, so services that name the key may use it at once.
    """

    vault_id: pulumi.Output[str]
    vault_uri: pulumi.Output[str]
    key_name: pulumi.Output[str]
    key_uri: pulumi.Output[str]
    key_version_uri: pulumi.Output[str]
    identity_id: pulumi.Output[str]
    identity_client_id: pulumi.Output[str]
    disk_encryption_set_id: pulumi.Output[str]

    def __init__(self, name: str, args: EncryptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Encryption", name, None, opts)
        self._args = args = EncryptionArgs.of(args)
        vault = self._make_vault(name)
        identity = Identity(
            f"{name}-identity",
            args.service,
            # without the identity, no service can read what the key encrypts
            kept(self, args.service.keep),
        )
        identity.grant(Role.KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER, "vault", vault.resource_id)
        may_use = identity.in_effect(*self._grant_for_workspaces(name, vault, identity))
        key = self._make_key(f"{name}-key", vault, may_use)
        disks = self._make_disk_encryption_set(f"{name}-disks", vault, key, identity)
        self.vault_id, self.vault_uri = vault.resource_id, vault.uri
        self.key_name, self.key_uri = key.name, key.key_uri
        self.key_version_uri = key.key_uri_with_version
        self.identity_id, self.identity_client_id = identity.resource_id, identity.client_id
        self.disk_encryption_set_id = disks.id
        self.register_outputs(
            {
                "vault_id": self.vault_id,
                "vault_uri": self.vault_uri,
                "key_name": self.key_name,
                "key_uri": self.key_uri,
                "key_version_uri": self.key_version_uri,
                "identity_id": self.identity_id,
                "identity_client_id": self.identity_client_id,
                "disk_encryption_set_id": self.disk_encryption_set_id,
            }
        )

    def _grant_for_workspaces(
        self, name: str, vault: Vault, identity: Identity
    ) -> list[authorization.RoleAssignment]:
        """Grant what Azure ML also needs to encrypt a workspace's metadata; return the roles of others.

        Cosmos DB needs the key only for a workspace whose metadata is in the subscription.

        https://learn.microsoft.com/azure/machine-learning/how-to-setup-customer-managed-keys
        """
        identity.grant(Role.CONTRIBUTOR, "vault", vault.resource_id)
        if self._args.cosmos_db_principal_id is None:
            return []
        return [
            assign_role(
                f"{name}-cosmos-db",
                Role.KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER,
                vault.resource_id,
                self._args.cosmos_db_principal_id,
                authorization.PrincipalType.SERVICE_PRINCIPAL,
                pulumi.ResourceOptions(parent=self),
            )
        ]

    @property
    def key(self) -> EncryptionKeyArgs:
        """The key, for services to encrypt with: it is known once the identity's roles are in effect."""
        return EncryptionKeyArgs(
            vault_id=self.vault_id,
            vault_uri=self.vault_uri,
            key_name=self.key_name,
            key_uri=self.key_uri,
            key_version_uri=self.key_version_uri,
            identity_id=self.identity_id,
            identity_client_id=self.identity_client_id,
        )

    def _make_vault(self, name: str) -> Vault:
        args = self._args
        return Vault(
            name,
            VaultArgs(
                service=args.service,
                tenant_id=args.tenant_id,
                purge_protection=True,
                premium=True,
                open_to_services=True,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _make_key(self, name: str, vault: Vault, may_use: RolesInEffect) -> keyvault.Key:
        return keyvault.Key(
            name,
            resource_group_name=self._args.service.resource_group,
            vault_name=vault.vault_name,
            key_name="encryption",
            properties=keyvault.KeyPropertiesArgs(
                kty=keyvault.JsonWebKeyType.RS_A_HSM,
                key_size=3072,
                key_ops=[keyvault.JsonWebKeyOperation.WRAP_KEY, keyvault.JsonWebKeyOperation.UNWRAP_KEY],
                rotation_policy=_rotation(),
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=self._args.service.keep,
                # resources that depend on the key also need the roles
                depends_on=[may_use],
                # Azure refuses a change, and rotation is one
                ignore_changes=["properties"],
                # only the vault's data plane could delete it
                retain_on_delete=True,
            ),
        )

    def _make_disk_encryption_set(
        self, name: str, vault: Vault, key: keyvault.Key, identity: Identity
    ) -> compute.DiskEncryptionSet:
        """Make the disk encryption set that disks refer to; it follows the key's rotation if it can.

        https://learn.microsoft.com/azure/virtual-machines/disk-encryption#customer-managed-keys
        """
        return compute.DiskEncryptionSet(
            name,
            resource_group_name=self._args.service.resource_group,
            location=self._args.service.location,
            encryption_type=compute.DiskEncryptionSetType.ENCRYPTION_AT_REST_WITH_CUSTOMER_KEY,
            active_key=compute.KeyForDiskEncryptionSetArgs(
                key_url=key.key_uri_with_version, source_vault=compute.SourceVaultArgs(id=vault.resource_id)
            ),
            rotation_to_latest_key_version_enabled=self._args.rotate_disks,
            identity=compute.EncryptionSetIdentityArgs(
                type=compute.DiskEncryptionSetIdentityType.USER_ASSIGNED,
                user_assigned_identities=[identity.resource_id],
            ),
            tags=self._args.service.tags,
            # the version is only the first one
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["activeKey.keyUrl"]),
        )


def _rotation() -> keyvault.RotationPolicyArgs:
    actions = keyvault.KeyRotationPolicyActionType
    return keyvault.RotationPolicyArgs(
        attributes=keyvault.KeyRotationPolicyAttributesArgs(expiry_time=EXPIRES_AFTER),
        lifetime_actions=[
            keyvault.LifetimeActionArgs(
                action=keyvault.ActionArgs(type=actions.ROTATE),
                trigger=keyvault.TriggerArgs(time_after_create=ROTATED_AFTER),
            ),
            keyvault.LifetimeActionArgs(
                action=keyvault.ActionArgs(type=actions.NOTIFY),
                trigger=keyvault.TriggerArgs(time_before_expiry=TOLD_BEFORE_EXPIRY),
            ),
        ],
    )
