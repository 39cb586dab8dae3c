"""How settings become the arguments of the AKS cluster."""

import pulumi

from components.cluster.cluster import ClusterArgs
from components.component import AzureArgs, PrivateLinkArgs
from components.network.network import Network
from components.observability.observability import Observability
from components.storage.encryption import Encryption
from components.storage.registry import Registry
from stacks.settings.network import Outbound
from stacks.settings.stack import Settings


def cluster_args(
    settings: Settings,
    azure: AzureArgs,
    *,
    encryption: Encryption | None,
    network: Network | None,
    observability: Observability,
    private_dns_zone_id: pulumi.Input[str] | None,
    private_link: PrivateLinkArgs | None,
    registry: Registry,
) -> ClusterArgs:
    """Return the cluster's arguments."""
    own, given = settings.cluster, settings.network
    subnet_id = network.nodes_subnet_id if network else given.nodes_subnet_id
    if subnet_id is None:
        raise ValueError("a cluster needs a subnet for its nodes")
    return ClusterArgs(
        azure=azure,
        log_analytics_id=observability.log_analytics_id,
        registry_id=registry.resource_id,
        kubernetes_version=own.kubernetes_version,
        node_size=own.node_size,
        min_nodes=own.min_nodes,
        max_nodes=own.max_nodes,
        system_node_size=own.system_node_size,
        min_system_nodes=own.min_system_nodes,
        max_system_nodes=own.max_system_nodes,
        ephemeral_os_disk=own.ephemeral_os_disk,
        encryption_at_host=own.encryption_at_host,
        disk_encryption_set_id=encryption.disk_encryption_set_id if encryption else None,
        zones=settings.zones,
        subnet_id=subnet_id,
        private=settings.is_private,
        private_dns_zone_id=private_dns_zone_id,
        allowed_address_ranges=_api_server_ranges(settings),
        egress_address=network.egress_address if network else None,
        user_defined_routing=given.outbound is Outbound.USER_DEFINED_ROUTING,
        pod_range=str(own.pod_range),
        service_range=str(own.service_range),
        maintenance_day=own.maintenance_day,
        maintenance_hour=own.maintenance_hour,
        private_link=private_link if settings.is_private else None,
        private_link_scope_id=observability.private_link_scope_id,
        administrators=own.administrators,
    )


def _api_server_ranges(settings: Settings) -> list[str]:
    """Return the ranges that may reach a public API server, including the egress of an existing subnet."""
    if settings.is_private:
        return []
    return [*settings.allowed_address_ranges, *map(str, settings.network.egress_address_ranges)]
