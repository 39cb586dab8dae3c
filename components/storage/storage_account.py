"""A storage account that only Entra ID opens, with its endpoints, soft delete, diagnostics and lock."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import storage

from components.component import ServiceArgs
from components.deletion_protection import add_delete_lock, kept
from components.network.private_link import PrivateEndpoint, add_private_endpoint
from components.observability.diagnostics import add_diagnostics
from components.storage.encryption import EncryptionKeyArgs

#: The days in which deleted data can be restored.
RESTORABLE_DAYS = 14

#: The services that every account has, used or not; each logs for itself
#: (https://learn.microsoft.com/azure/storage/blobs/monitor-blob-storage#resource-logs).
SERVICES = ("blob", "file", "queue", "table")

#: All log categories of such a service
#: (https://learn.microsoft.com/azure/storage/blobs/monitor-blob-storage-reference#resource-logs).
LOG_CATEGORIES = ("StorageRead", "StorageWrite", "StorageDelete")

#: A shared access signature that lives longer is logged
#: (https://learn.microsoft.com/azure/storage/common/sas-expiration-policy).
SAS_LIFETIME = "1.00:00:00"


@dataclass(frozen=True)
class StorageAccount:
    """A storage account, and the resources that its users depend on."""

    account: storage.StorageAccount
    ready: list[pulumi.Resource]
    #: the ids of its private endpoints, by sub-resource
    endpoint_ids: dict[str, pulumi.Output[str]]


def make_storage_account(
    name: str,
    service: ServiceArgs,
    parent: pulumi.Resource,
    *,
    sku: pulumi.Input[str],
    hierarchical_namespace: bool,
    groups: Sequence[str],
    encryption_key: EncryptionKeyArgs | None = None,
    allowed_subnet_ids: Sequence[pulumi.Input[str]] = (),
    lock: bool = False,
) -> StorageAccount:
    """Make a storage account, its private endpoints for `groups`, its soft delete and diagnostics.

    With `lock` and `keep`, Azure refuses to delete it and what belongs to it.

    `name`, of lower-case letters and digits, starts the account's. Its public endpoint is on only if
    `allowed_address_ranges` or `allowed_subnet_ids` may use it. An address range does not allow traffic from
    the account's own region, which has private addresses: clients there need a subnet or the private link
    (https://learn.microsoft.com/azure/storage/common/storage-network-security-limitations).
    Leaves containers and role assignments to the caller.
    """
    account = _make_account(
        name, service, parent, sku, hierarchical_namespace, encryption_key, allowed_subnet_ids
    )
    # Azure names the blob service of every account `default`.
    blobs = storage.BlobServiceProperties(
        f"{name}-blobs",
        resource_group_name=service.resource_group,
        account_name=account.name,
        blob_services_name="default",
        delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=RESTORABLE_DAYS),
        container_delete_retention_policy=storage.DeleteRetentionPolicyArgs(
            enabled=True, days=RESTORABLE_DAYS
        ),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    endpoints = _add_endpoints(name, account, groups, service, parent)
    _watch(name, account.id, service, parent)
    if lock and service.keep:
        add_delete_lock(name, account.id, parent)
    return StorageAccount(
        account,
        [blobs, *(added.ready for added in endpoints.values())],
        {group: added.endpoint.id for group, added in endpoints.items()},
    )


def _add_endpoints(
    name: str,
    account: storage.StorageAccount,
    groups: Sequence[str],
    service: ServiceArgs,
    parent: pulumi.Resource,
) -> dict[str, PrivateEndpoint]:
    """Add the account's private endpoints, if it has a private link."""
    if service.private_link is None:
        return {}
    return {
        group: add_private_endpoint(
            f"{name}-{group}-endpoint", account.id, group, service.private_link, service, parent
        )
        for group in groups
    }


def _make_account(
    name: str,
    service: ServiceArgs,
    parent: pulumi.Resource,
    sku: pulumi.Input[str],
    hierarchical_namespace: bool,
    encryption_key: EncryptionKeyArgs | None,
    allowed_subnet_ids: Sequence[pulumi.Input[str]],
) -> storage.StorageAccount:
    """Make the account itself, without changing later what Azure accepts only for a new account.

    Data can be copied in only from accounts of the same tenant. The narrower scope, accounts with a private
    link to the same network, would exclude accounts that data comes from
    (https://learn.microsoft.com/azure/storage/common/security-restrict-copy-operations).
    """
    ranges = service.allowed_address_ranges
    return storage.StorageAccount(
        name,
        resource_group_name=service.resource_group,
        location=service.location,
        kind=storage.Kind.STORAGE_V2,
        sku=storage.SkuArgs(name=sku),
        # omit the property: `false` would show as a difference
        is_hns_enabled=True if hierarchical_namespace else None,
        allow_shared_key_access=False,
        allow_blob_public_access=False,
        default_to_o_auth_authentication=True,
        is_local_user_enabled=False,
        is_sftp_enabled=False,
        enable_https_traffic_only=True,
        minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
        allow_cross_tenant_replication=False,
        allowed_copy_scope=storage.AllowedCopyScope.AAD,
        sas_policy=storage.SasPolicyArgs(
            expiration_action=storage.ExpirationAction.LOG, sas_expiration_period=SAS_LIFETIME
        ),
        public_network_access=(
            storage.PublicNetworkAccess.ENABLED
            if ranges or allowed_subnet_ids
            else storage.PublicNetworkAccess.DISABLED
        ),
        network_rule_set=_network_rules(ranges, allowed_subnet_ids),
        identity=_identity(encryption_key),
        encryption=_encryption(encryption_key),
        tags=service.tags,
        # the layers of encryption cannot be changed later
        opts=pulumi.ResourceOptions.merge(
            kept(parent, service.keep),
            pulumi.ResourceOptions(ignore_changes=["encryption.requireInfrastructureEncryption"]),
        ),
    )


def _network_rules(
    ranges: Sequence[str], subnet_ids: Sequence[pulumi.Input[str]]
) -> storage.NetworkRuleSetArgs:
    """Return the rules of the public endpoint: allow only the given ranges, subnets and trusted services.

    Azure ML asks for the trusted services (https://learn.microsoft.com/azure/machine-learning/how-to-secure-workspace-vnet),
    which act by an identity that has a role on the account. They pass also where the endpoint is off
    (https://learn.microsoft.com/azure/storage/common/storage-network-security-limitations).
    """
    return storage.NetworkRuleSetArgs(
        default_action=storage.DefaultAction.DENY,
        bypass=storage.Bypass.AZURE_SERVICES,
        ip_rules=[storage.IPRuleArgs(i_p_address_or_range=rule) for rule in _ip_rules(ranges)],
        virtual_network_rules=[
            storage.VirtualNetworkRuleArgs(virtual_network_resource_id=subnet_id) for subnet_id in subnet_ids
        ],
    )


def _identity(key: EncryptionKeyArgs | None) -> storage.IdentityArgs | None:
    if key is None:
        return None
    return storage.IdentityArgs(
        type=storage.IdentityType.USER_ASSIGNED, user_assigned_identities=[key.identity_id]
    )


def _encryption(key: EncryptionKeyArgs | None) -> storage.EncryptionArgs:
    """Return the account's encryption, in two layers: with the newest version of `key`, or Microsoft's key.

    The key of an existing account cannot be extended to queues and tables: that would replace the account.
    https://learn.microsoft.com/azure/storage/common/account-encryption-key-create
    https://learn.microsoft.com/azure/storage/common/infrastructure-encryption-enable
    """
    if key is None:
        return storage.EncryptionArgs(
            key_source=storage.KeySource.MICROSOFT_STORAGE, require_infrastructure_encryption=True
        )
    service = storage.EncryptionServiceArgs(enabled=True, key_type=storage.KeyType.ACCOUNT)
    return storage.EncryptionArgs(
        key_source=storage.KeySource.MICROSOFT_KEYVAULT,
        key_vault_properties=storage.KeyVaultPropertiesArgs(
            key_vault_uri=key.vault_uri, key_name=key.key_name
        ),
        encryption_identity=storage.EncryptionIdentityArgs(encryption_user_assigned_identity=key.identity_id),
        services=storage.EncryptionServicesArgs(blob=service, file=service),
        require_infrastructure_encryption=True,
    )


def _ip_rules(ranges: Sequence[str]) -> list[str]:
    """Return CIDR ranges as storage takes them: it refuses prefix sizes 31 and 32, but takes addresses.

    https://learn.microsoft.com/azure/storage/common/storage-network-security-limitations
    """
    networks = [ipaddress.ip_network(item) for item in ranges]
    return [
        rule
        for network in networks
        for rule in ([str(network)] if network.prefixlen < 31 else [str(address) for address in network])
    ]


def _watch(name: str, account_id: pulumi.Input[str], service: ServiceArgs, parent: pulumi.Resource) -> None:
    """Send the account's metrics, and the audit logs of each of its services, to Log Analytics."""
    add_diagnostics(name, account_id, service.log_analytics_id, parent, logs=False)
    for part in SERVICES:
        add_diagnostics(
            f"{name}-{part}",
            pulumi.Output.format("{0}/{1}Services/default", account_id, part),
            service.log_analytics_id,
            parent,
            log_categories=LOG_CATEGORIES,
        )
