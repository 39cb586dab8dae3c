"""How settings become the arguments of the workspace, its compute clusters and its jobs' way out."""

from collections.abc import Mapping

import pulumi

from components.component import ServiceArgs
from components.identity.identity import Identity
from components.network.outbound import OutboundServiceArgs, snowflake_hosts, snowflake_service_tags
from components.observability.observability import Observability
from components.storage.encryption import EncryptionKeyArgs
from components.storage.lake import Lake
from components.storage.registry import Registry
from components.storage.vault import Vault
from components.workspace.workspace import ComputeClusterArgs, WorkspaceArgs
from stacks.arguments.storage import redundancy
from stacks.settings.stack import Settings
from stacks.settings.workspace import ComputeClusterSettings


def workspace_args(
    settings: Settings,
    service: ServiceArgs,
    *,
    tenant_id: pulumi.Input[str],
    key: EncryptionKeyArgs | None,
    importer: Identity,
    lake: Lake,
    observability: Observability,
    registry: Registry,
    vault: Vault,
) -> WorkspaceArgs:
    """Return the workspace's arguments."""
    own = settings.workspace
    return WorkspaceArgs(
        service=service,
        application_insights_id=observability.application_insights_id,
        tenant_id=tenant_id,
        # everyone who may submit a job can act as it: attach it only if it has imports to run
        job_identity_ids=[importer.resource_id] if settings.imports else [],
        registry_id=registry.resource_id,
        storage_sku=redundancy(settings),
        encryption_key=key,
        hbi=own.hbi,
        managed_network=own.managed_network,
        outbound_hosts=_outbound_hosts(settings),
        outbound_service_tags=_outbound_service_tags(settings),
        outbound_services=_outbound_services(lake, vault, observability),
        firewall_sku=own.firewall_sku,
        compute_subnet_id=own.compute_subnet_id,
    )


def compute_cluster_args(settings: ComputeClusterSettings, jobs: Identity) -> ComputeClusterArgs:
    """Return the arguments of one compute cluster, whose jobs act as `jobs`."""
    return ComputeClusterArgs(
        vm_size=settings.vm_size,
        max_nodes=settings.max_nodes,
        identity_id=jobs.resource_id,
        idle_seconds=60 * settings.idle_minutes,
    )


def _outbound_hosts(settings: Settings) -> list[str]:
    """Return the hosts that jobs reach: Snowflake's, the registry of the importer's image, and more.

    Without an image, jobs install the importer's packages from hosts that the settings name.
    """
    snowflake = settings.snowflake
    hosts = snowflake_hosts(snowflake.account, snowflake.host, snowflake.stage_hosts)
    image = settings.importer_image
    registry = [image.split("/")[0]] if image is not None else []
    return [*hosts, *registry, *settings.workspace.outbound_hosts]


def _outbound_service_tags(settings: Settings) -> list[str]:
    """Return the service tags that jobs read large results through, if an import streams them."""
    if all(item.mode == "unload" for item in settings.imports):
        return []
    return snowflake_service_tags(settings.snowflake.account, settings.snowflake.stage_hosts)


def _outbound_services(
    lake: Lake, vault: Vault, observability: Observability
) -> Mapping[str, OutboundServiceArgs]:
    """Return the services that jobs reach by private endpoint, beyond the workspace's own."""
    services = {
        "lake-blob": OutboundServiceArgs(resource_id=lake.resource_id, group="blob"),
        "lake-dfs": OutboundServiceArgs(resource_id=lake.resource_id, group="dfs"),
        "vault": OutboundServiceArgs(resource_id=vault.resource_id, group="vault"),
    }
    scope_id = observability.private_link_scope_id
    if scope_id is not None:
        services["monitor"] = OutboundServiceArgs(resource_id=scope_id, group="azuremonitor")
    return services
