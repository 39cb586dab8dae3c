"""How settings become the arguments of the services that store data and secrets."""

import pulumi
from pulumi_azure_native.storage import SkuName

from components.component import AzureArgs, PrivateLinkArgs, ServiceArgs
from components.storage.encryption import EncryptionArgs, EncryptionKeyArgs
from components.storage.lake import LakeArgs
from stacks.settings.stack import Settings

#: How stored data is replicated, by whether the stack has availability zones, and a copy in the paired region
#: (https://learn.microsoft.com/azure/storage/common/storage-redundancy).
_REDUNDANCY = {
    (False, False): SkuName.STANDARD_LRS,
    (True, False): SkuName.STANDARD_ZRS,
    (False, True): SkuName.STANDARD_GRS,
    (True, True): SkuName.STANDARD_GZRS,
}


def redundancy(settings: Settings) -> SkuName:
    """Return how stored data is replicated."""
    return _REDUNDANCY[bool(settings.zones), settings.geo_redundant]


def service_args(
    settings: Settings,
    azure: AzureArgs,
    logs: pulumi.Input[str],
    private_link: PrivateLinkArgs | None,
) -> ServiceArgs:
    """Return what every service that stores data or secrets is given."""
    return ServiceArgs(
        resource_group=azure.resource_group,
        location=azure.location,
        tags=azure.tags,
        log_analytics_id=logs,
        private_link=private_link,
        allowed_address_ranges=settings.allowed_address_ranges,
        keep=settings.keep,
    )


def encryption_args(settings: Settings, service: ServiceArgs, tenant_id: pulumi.Input[str]) -> EncryptionArgs:
    """Return the arguments of the platform's own key.

    The disks of a cluster do not rotate it if they are ephemeral: its nodes would not follow.
    """
    return EncryptionArgs(
        service=service,
        tenant_id=tenant_id,
        cosmos_db_principal_id=settings.workspace.cosmos_db_principal,
        rotate_disks=not (settings.cluster.enabled and settings.cluster.ephemeral_os_disk),
    )


def lake_args(settings: Settings, service: ServiceArgs, key: EncryptionKeyArgs | None) -> LakeArgs:
    """Return the lake's arguments; Snowflake's subnets reach it only if an import unloads."""
    return LakeArgs(
        service=service,
        sku=redundancy(settings),
        encryption_key=key,
        cool_after_days=settings.lake.cool_after_days,
        immutable_days=settings.lake.immutable_days,
        snowflake_subnet_ids=settings.snowflake.unload.subnet_ids if settings.unloads else (),
    )
