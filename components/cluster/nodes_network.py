"""Access to a cluster's API server, the way out of its nodes, and its internal addresses."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerservice as aks

from components.component import Args


@dataclass(kw_only=True)
class ClusterNetworkArgs(Args):
    """Access to a cluster's API server, and the way out of its nodes."""

    private: bool = False
    """Whether the API server has an address in the network of the nodes, and no public one."""
    private_dns_zone_id: pulumi.Input[str] | None = None
    """The zone `privatelink.<region>.azmk8s.io` that has the name of a private API server; required for one.
    AKS's own zone would be in the nodes' resource group, which is locked, so that no other network could be
    linked to it."""
    allowed_address_ranges: Sequence[str] = ()
    """The public addresses (CIDR) that may reach a public API server; no others may."""
    egress_address: pulumi.Input[str] | None = None
    """The public address from which nodes reach the internet, including a public API server."""
    user_defined_routing: bool = False
    """Whether the subnet's routes lead out, to a firewall for one, in place of its NAT gateway."""
    pod_range: pulumi.Input[str] = "10.244.0.0/16"
    """Addresses of pods, seen in the cluster only; each node takes 256 of them."""
    service_range: pulumi.Input[str] = "10.245.0.0/16"
    """Addresses of Kubernetes services, seen in the cluster only. The tenth is that of its DNS."""


def api_server_access(args: ClusterNetworkArgs) -> aks.ManagedClusterAPIServerAccessProfileArgs:
    """Return from which addresses the API server can be reached.

    AKS treats an empty list of ranges as every address. Nodes reach a public API server from their own public
    address, so it must be in the list
    (https://learn.microsoft.com/azure/aks/api-server-authorized-ip-ranges). A private API server has no
    public host name either (https://learn.microsoft.com/azure/aks/private-clusters).
    """
    if args.private:
        if args.private_dns_zone_id is None:
            raise ValueError("a private API server needs private_dns_zone_id")
        return aks.ManagedClusterAPIServerAccessProfileArgs(
            enable_private_cluster=True,
            enable_private_cluster_public_fqdn=False,
            private_dns_zone=args.private_dns_zone_id,
            disable_run_command=True,
        )
    ranges: list[pulumi.Input[str]] = list(args.allowed_address_ranges)
    if args.egress_address is not None:
        ranges.append(pulumi.Output.format("{0}/32", args.egress_address))
    if not ranges:
        raise ValueError(
            "a public API server needs egress_address or allowed_address_ranges: "
            "without either the whole world could reach it"
        )
    return aks.ManagedClusterAPIServerAccessProfileArgs(
        enable_private_cluster=False, authorized_ip_ranges=ranges, disable_run_command=True
    )


def network_profile(args: ClusterNetworkArgs) -> aks.ContainerServiceNetworkProfileArgs:
    """Return Azure CNI overlay with Cilium, whose pods take no addresses of the subnet.

    https://learn.microsoft.com/azure/aks/azure-cni-powered-by-cilium
    """
    return aks.ContainerServiceNetworkProfileArgs(
        network_plugin=aks.NetworkPlugin.AZURE,
        network_plugin_mode=aks.NetworkPluginMode.OVERLAY,
        network_dataplane=aks.NetworkDataplane.CILIUM,
        network_policy=aks.NetworkPolicy.CILIUM,
        outbound_type=(
            aks.OutboundType.USER_DEFINED_ROUTING
            if args.user_defined_routing
            else aks.OutboundType.USER_ASSIGNED_NAT_GATEWAY
        ),
        pod_cidr=args.pod_range,
        service_cidr=args.service_range,
        dns_service_ip=pulumi.Output.from_input(args.service_range).apply(
            lambda known: str(ipaddress.ip_network(known)[10])
        ),
    )
