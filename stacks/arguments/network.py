"""How settings become the arguments of the network, its private DNS zones and its private endpoints."""

import pulumi

from components.arm_id import virtual_network_id
from components.component import AzureArgs, PrivateLinkArgs
from components.network.network import Network, NetworkArgs
from components.network.private_dns import PrivateDns, PrivateDnsArgs
from stacks.settings.network import aks_zone
from stacks.settings.stack import Settings


def network_args(settings: Settings, azure: AzureArgs, logs: pulumi.Input[str]) -> NetworkArgs:
    """Return the arguments of the platform's own network."""
    subnets = settings.network.subnets
    return NetworkArgs(
        azure=azure,
        log_analytics_id=logs,
        address_space=str(settings.network.address_space),
        nodes_range=str(subnets.nodes),
        endpoints_range=str(subnets.endpoints),
        runners_range=str(subnets.runners),
        pod_range=str(settings.cluster.pod_range),
        zones=settings.zones,
    )


def make_private_link(
    settings: Settings, azure: AzureArgs, network: Network | None
) -> PrivateLinkArgs | None:
    """Make the private DNS zones that the settings do not name, and return where private endpoints go.

    A public platform with a cluster has them too: the storage firewall cannot allow the public addresses of
    its own region
    (https://learn.microsoft.com/azure/storage/common/storage-network-security-limitations).
    """
    given = settings.network
    if network is not None:
        subnet_id, network_id = network.endpoints_subnet_id, network.virtual_network_id
    elif given.endpoints_subnet_id is not None:
        subnet_id = pulumi.Output.from_input(given.endpoints_subnet_id)
        network_id = pulumi.Output.from_input(virtual_network_id(given.endpoints_subnet_id))
    else:
        return None
    zones = PrivateDns(
        f"{settings.name}-dns",
        PrivateDnsArgs(
            azure=azure,
            virtual_network_id=network_id,
            zones=[zone for zone in settings.endpoint_zones if zone not in given.dns_zone_ids],
        ),
    )
    return PrivateLinkArgs(subnet_id=subnet_id, zone_ids={**given.dns_zone_ids, **zones.zone_ids})


def make_api_server_zone(
    settings: Settings, azure: AzureArgs, network: Network | None
) -> pulumi.Input[str] | None:
    """Make the private DNS zone of the cluster's API server, unless the settings name one; return its id.

    AKS's own zone (`system`) would be in the nodes' resource group, which is locked: only the nodes' network
    could resolve it
    (https://learn.microsoft.com/azure/aks/private-clusters#hub-and-spoke-with-custom-dns-for-private-aks-clusters).
    """
    if not settings.is_private or not settings.cluster.enabled:
        return None
    given = settings.network
    existing = given.api_server_zone_id(settings.location)
    if existing is not None:
        return existing
    if network is not None:
        network_id: pulumi.Input[str] = network.virtual_network_id
    elif given.nodes_subnet_id is not None:
        network_id = virtual_network_id(given.nodes_subnet_id)
    else:
        raise ValueError("a cluster needs a subnet for its nodes")
    zone = aks_zone(settings.location)
    zones = PrivateDns(
        f"{settings.name}-aks-dns",
        PrivateDnsArgs(
            azure=azure,
            virtual_network_id=network_id,
            zones=[zone],
            other_network_ids=given.api_server_network_ids,
        ),
    )
    return zones.zone_ids[zone]
