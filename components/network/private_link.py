"""Private endpoints, by which a network reaches services, and the DNS zones of their names."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import pulumi
from pulumi_azure_native import network

from components.component import AzureArgs, PrivateLinkArgs


class Zone(StrEnum):
    """The private DNS zones of the services, in the public cloud.

    https://learn.microsoft.com/azure/private-link/private-endpoint-dns
    """

    BLOB = "privatelink.blob.core.windows.net"
    DFS = "privatelink.dfs.core.windows.net"
    FILE = "privatelink.file.core.windows.net"
    QUEUE = "privatelink.queue.core.windows.net"
    TABLE = "privatelink.table.core.windows.net"
    VAULT = "privatelink.vaultcore.azure.net"
    REGISTRY = "privatelink.azurecr.io"
    ML_API = "privatelink.api.azureml.ms"
    ML_NOTEBOOKS = "privatelink.notebooks.azure.net"
    MONITOR = "privatelink.monitor.azure.com"
    MONITOR_OMS = "privatelink.oms.opinsights.azure.com"
    MONITOR_ODS = "privatelink.ods.opinsights.azure.com"
    MONITOR_AGENTS = "privatelink.agentsvc.azure-automation.net"


#: The zones of each sub-resource that a private endpoint leads to; for Prometheus' queries: `metrics_zone`.
#: Azure Monitor also stores what agents download in Blob Storage
#: (https://learn.microsoft.com/azure/azure-monitor/fundamentals/private-link-configure).
ZONES: Mapping[str, Sequence[Zone]] = {
    "blob": [Zone.BLOB],
    "dfs": [Zone.DFS],
    "file": [Zone.FILE],
    "queue": [Zone.QUEUE],
    "table": [Zone.TABLE],
    "vault": [Zone.VAULT],
    "registry": [Zone.REGISTRY],
    "amlworkspace": [Zone.ML_API, Zone.ML_NOTEBOOKS],
    "azuremonitor": [Zone.MONITOR, Zone.MONITOR_OMS, Zone.MONITOR_ODS, Zone.MONITOR_AGENTS, Zone.BLOB],
}

#: The end of the zone of Prometheus' queries, which starts with `privatelink` and the region.
METRICS_ZONE = "prometheus.monitor.azure.com"


class PrivateEndpoint(NamedTuple):
    """A private endpoint, and the zone group without which its name does not resolve."""

    endpoint: network.PrivateEndpoint
    ready: pulumi.Resource


def metrics_zone(location: str) -> str:
    """Return the zone of Prometheus' queries in a region.

    https://learn.microsoft.com/azure/private-link/private-endpoint-dns
    """
    return f"privatelink.{location}.{METRICS_ZONE}"


def add_private_endpoint(
    name: str,
    service_id: pulumi.Input[str],
    group: str,
    link: PrivateLinkArgs,
    azure: AzureArgs,
    parent: pulumi.Resource,
    *,
    zones: Sequence[str] = (),
) -> PrivateEndpoint:
    """Make a private endpoint for the sub-resource `group` of a service, and register it in its zones.

    `zones` names them if they are not those of `ZONES`. An endpoint takes one zone group, with all its zones.
    Resources that use the private address depend on `ready`. The endpoint depends on the one before it in the
    same `link`: a subnet takes one at a time
    (https://github.com/hashicorp/terraform-provider-azurerm/pull/16315), and so does a storage account
    (https://github.com/Azure/bicep-registry-modules/issues/6001).
    https://learn.microsoft.com/azure/private-link/private-endpoint-overview#private-link-resource
    """
    opts = pulumi.ResourceOptions(parent=parent)
    endpoint = network.PrivateEndpoint(
        name,
        resource_group_name=azure.resource_group,
        location=azure.location,
        subnet=network.SubnetArgs(id=link.subnet_id),
        private_link_service_connections=[
            network.PrivateLinkServiceConnectionArgs(
                name=group, private_link_service_id=service_id, group_ids=[group]
            )
        ],
        tags=azure.tags,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=link.endpoints[-1:]),
    )
    link.endpoints.append(endpoint)
    group_of_zones = network.PrivateDnsZoneGroup(
        f"{name}-zones",
        resource_group_name=azure.resource_group,
        private_endpoint_name=endpoint.name,
        private_dns_zone_group_name="default",
        private_dns_zone_configs=[
            network.PrivateDnsZoneConfigArgs(
                name=zone.replace(".", "-"), private_dns_zone_id=link.zone_ids[zone]
            )
            for zone in zones or ZONES[group]
        ],
        opts=opts,
    )
    return PrivateEndpoint(endpoint, group_of_zones)
