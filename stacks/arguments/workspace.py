"""How settings become the arguments of the workspace, its compute clusters and its jobs' way out."""

from collections.abc import Mapping, Sequence

import pulumi

from components.component import ServiceArgs, after
from components.dynamic.roles_in_effect import RolesInEffect
from components.identity.identity import Identity
from components.network.outbound import (
    PACKAGE_HOSTS,
    OutboundServiceArgs,
    snowflake_hosts,
    snowflake_service_tags,
)
from components.observability.observability import Observability
from components.storage.encryption import EncryptionKeyArgs
from components.storage.lake import CLEAN_CONTAINER, RAW_CONTAINER, Lake
from components.storage.registry import Registry
from components.storage.vault import Vault
from components.workspace.workspace import ComputeClusterArgs, WorkspaceArgs
from stacks.arguments.storage import redundancy
from stacks.settings.stack import Settings
from stacks.settings.workspace import IMAGE_BUILD_COMPUTE, ComputeClusterSettings

#: The virtual machine size of the node that builds the importer's environment, like those of the cluster.
_IMAGE_BUILD_SIZE = "Standard_D4ds_v5"


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
        job_identity_ids=[after(importer.resource_id, importer.assignments)] if settings.imports else [],
        registry_id=registry.resource_id,
        storage_sku=redundancy(settings),
        encryption_key=key,
        hbi=own.hbi,
        managed_network=own.managed_network,
        outbound_hosts=outbound_hosts(settings),
        outbound_service_tags=outbound_service_tags(settings),
        outbound_services=_outbound_services(settings, lake, vault, observability),
        image_build_compute=IMAGE_BUILD_COMPUTE if settings.builds_importer else None,
        firewall_sku=own.firewall_sku,
        compute_subnet_id=own.compute_subnet_id,
        # the studio reads the lake's data as the workspace's identity
        studio_container_ids={
            RAW_CONTAINER: lake.raw_container_id,
            CLEAN_CONTAINER: lake.clean_container_id,
        },
    )


def compute_cluster_args(
    settings: ComputeClusterSettings, jobs: Identity, in_effect: RolesInEffect
) -> ComputeClusterArgs:
    """Return the arguments of one compute cluster, whose jobs act as `jobs`, with its roles `in_effect`."""
    return ComputeClusterArgs(
        vm_size=settings.vm_size,
        max_nodes=settings.max_nodes,
        identity_id=after(jobs.resource_id, [in_effect]),
        idle_seconds=60 * settings.idle_minutes,
    )


def image_build_args(builder: Identity, in_effect: RolesInEffect) -> ComputeClusterArgs:
    """Return the arguments of the compute cluster that builds the importer's environment, as `builder`.

    Its roles are `in_effect`. It needs a CPU; more nodes than one would wait for each other
    (https://learn.microsoft.com/azure/machine-learning/how-to-secure-workspace-vnet#enable-azure-container-registry-acr).
    """
    return ComputeClusterArgs(
        vm_size=_IMAGE_BUILD_SIZE,
        max_nodes=1,
        identity_id=after(builder.resource_id, [in_effect]),
        idle_seconds=300,
    )


def outbound_hosts(settings: Settings) -> list[str]:
    """Return the hosts that jobs reach: Snowflake's, those of the importer's code, and more."""
    snowflake = settings.snowflake
    hosts = snowflake_hosts(snowflake.account, snowflake.host, snowflake.stage_hosts)
    return list(dict.fromkeys([*hosts, *_code_hosts(settings), *settings.workspace.outbound_hosts]))


def _code_hosts(settings: Settings) -> Sequence[str]:
    """Return the hosts that the importer's image comes from, or the packages of its environment.

    The platform's own registry is reached by private endpoint. Layers of an image come from the registry's
    data endpoint, which is in its own region: a private endpoint has its address too
    (https://learn.microsoft.com/azure/container-registry/container-registry-dedicated-data-endpoints).
    """
    if settings.builds_importer:
        return PACKAGE_HOSTS
    if settings.importer_image is None or settings.importer_registry_id is None:
        return ()
    host = settings.importer_image.split("/")[0]
    return host, f"{host.split('.')[0]}.{settings.location}.data.azurecr.io"


def outbound_service_tags(settings: Settings) -> list[str]:
    """Return the service tags that jobs read large results through, if an import streams them."""
    if all(item.mode == "unload" for item in settings.imports):
        return []
    return snowflake_service_tags(settings.snowflake.account, settings.snowflake.stage_hosts)


def _outbound_services(
    settings: Settings, lake: Lake, vault: Vault, observability: Observability
) -> Mapping[str, OutboundServiceArgs]:
    """Return the services that jobs reach by private endpoint, beyond the workspace's own."""
    services = {
        "lake-blob": OutboundServiceArgs(resource_id=lake.resource_id, group="blob"),
        "lake-dfs": OutboundServiceArgs(resource_id=lake.resource_id, group="dfs"),
        "vault": OutboundServiceArgs(resource_id=vault.resource_id, group="vault"),
    }
    if settings.importer_registry_id is not None:
        services["importer-registry"] = OutboundServiceArgs(
            resource_id=settings.importer_registry_id, group="registry", elsewhere=True
        )
    scope_id = observability.private_link_scope_id
    if scope_id is not None:
        services["monitor"] = OutboundServiceArgs(resource_id=scope_id, group="azuremonitor")
    return services
