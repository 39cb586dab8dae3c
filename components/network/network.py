"""The virtual network of the platform."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import pulumi
from pulumi_azure_native import network

from components.component import Args, AzureArgs
from components.observability.diagnostics import add_diagnostics

_Policies = network.VirtualNetworkPrivateEndpointNetworkPolicies
_INBOUND = network.SecurityRuleDirection.INBOUND
_OUTBOUND = network.SecurityRuleDirection.OUTBOUND
_ANY = "*"


@dataclass(kw_only=True)
class NetworkArgs(Args):
    """What a network needs from outside; each range is a CIDR, and each subnet's lies in `address_space`."""

    azure: AzureArgs
    log_analytics_id: pulumi.Input[str]
    address_space: pulumi.Input[str]
    nodes_range: pulumi.Input[str]
    endpoints_range: pulumi.Input[str]
    runners_range: pulumi.Input[str]
    pod_range: pulumi.Input[str]
    """Addresses of the cluster's pods: outside the network, but the nodes' security group sees them."""
    zones: Sequence[str] = ()
    """All availability zones of the region: the egress address survives the loss of one."""


class Network(pulumi.ComponentResource):
    """A virtual network with a subnet each for the cluster's nodes, private endpoints and pipeline runners.

    No traffic from the internet is allowed in. Nodes and runners reach the internet over HTTP and HTTPS only,
    through one NAT gateway, so all of that traffic comes from `egress_address`. Private endpoints answer on
    HTTPS only, to this network and the networks connected to it. A Kubernetes service of type LoadBalancer
    would need one more rule. The subnets are declared inside the network, because Azure refuses to change two
    of them at the same time.
    The NAT gateway has the SKU Standard, which is in one zone that Azure chooses: if that zone is lost, the
    address survives, but connections wait. StandardV2 spans zones, but the SDK's API lacks it.
    Leaves the names of private endpoints to `PrivateDns`, peering to the hub's owner, and flow logs and DDoS
    protection to the owners of the region's network watcher and of the company's protection plan.
    """

    virtual_network_id: pulumi.Output[str]
    nodes_subnet_id: pulumi.Output[str]
    endpoints_subnet_id: pulumi.Output[str]
    runners_subnet_id: pulumi.Output[str]
    egress_address: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Network", name, None, opts)
        self._name = name
        self._args = args = NetworkArgs.of(args)
        address = self._egress_address()
        virtual_network = network.VirtualNetwork(
            name,
            resource_group_name=args.azure.resource_group,
            location=args.azure.location,
            address_space=network.AddressSpaceArgs(address_prefixes=[args.address_space]),
            subnets=self._subnets(self._nat_gateway(address)),
            tags=args.azure.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        add_diagnostics(name, virtual_network.id, args.log_analytics_id, self)
        self.virtual_network_id = virtual_network.id
        self.nodes_subnet_id = pulumi.Output.format("{0}/subnets/nodes", virtual_network.id)
        self.endpoints_subnet_id = pulumi.Output.format("{0}/subnets/endpoints", virtual_network.id)
        self.runners_subnet_id = pulumi.Output.format("{0}/subnets/runners", virtual_network.id)
        # a static address is known as soon as it is made
        self.egress_address = cast(pulumi.Output[str], address.ip_address)
        self.register_outputs(
            {
                "virtual_network_id": self.virtual_network_id,
                "nodes_subnet_id": self.nodes_subnet_id,
                "endpoints_subnet_id": self.endpoints_subnet_id,
                "runners_subnet_id": self.runners_subnet_id,
                "egress_address": self.egress_address,
            }
        )

    def _egress_address(self) -> network.PublicIPAddress:
        name, args = f"{self._name}-egress-address", self._args
        address = network.PublicIPAddress(
            name,
            resource_group_name=args.azure.resource_group,
            location=args.azure.location,
            sku=network.PublicIPAddressSkuArgs(name=network.PublicIPAddressSkuName.STANDARD),
            public_ip_allocation_method=network.IPAllocationMethod.STATIC,
            public_ip_address_version=network.IPVersion.I_PV4,
            zones=list(args.zones) or None,
            tags=args.azure.tags,
            # Azure cannot move an address to other zones
            opts=pulumi.ResourceOptions(parent=self, replace_on_changes=["zones"]),
        )
        add_diagnostics(name, address.id, args.log_analytics_id, self)
        return address

    def _nat_gateway(self, address: network.PublicIPAddress) -> network.NatGateway:
        """Make the NAT gateway without a zone: a zone could never be changed.

        https://learn.microsoft.com/azure/nat-gateway/nat-availability-zones
        It has no diagnostic settings: it has no logs, and Azure Monitor does not export its metrics
        (https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-network-natgateways-metrics).
        """
        return network.NatGateway(
            f"{self._name}-egress",
            resource_group_name=self._args.azure.resource_group,
            location=self._args.azure.location,
            sku=network.NatGatewaySkuArgs(name=network.NatGatewaySkuName.STANDARD),
            public_ip_addresses=[network.SubResourceArgs(id=address.id)],
            tags=self._args.azure.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _subnets(self, nat_gateway: network.NatGateway) -> Sequence[network.SubnetArgs]:
        """Return the subnets, without Azure's default outbound access to the internet.

        https://learn.microsoft.com/azure/virtual-network/ip-services/default-outbound-access
        A security group counts for private endpoints only where the subnet says so
        (https://learn.microsoft.com/azure/private-link/disable-private-endpoint-network-policy). The nodes'
        does not: a private cluster puts its API server's endpoint there, for callers from elsewhere
        (https://learn.microsoft.com/azure/aks/private-clusters).
        """
        args = self._args
        egress = network.SubResourceArgs(id=nat_gateway.id)
        return [
            network.SubnetArgs(
                name="nodes",
                address_prefix=args.nodes_range,
                network_security_group=self._security_group(
                    "nodes",
                    [_within_cluster(_INBOUND, args), _within_cluster(_OUTBOUND, args), _web_to_anywhere()],
                ),
                nat_gateway=egress,
                default_outbound_access=False,
                private_endpoint_network_policies=_Policies.DISABLED,
            ),
            network.SubnetArgs(
                name="endpoints",
                address_prefix=args.endpoints_range,
                network_security_group=self._security_group("endpoints", [_https_from_network()]),
                default_outbound_access=False,
                private_endpoint_network_policies=_Policies.NETWORK_SECURITY_GROUP_ENABLED,
            ),
            network.SubnetArgs(
                name="runners",
                address_prefix=args.runners_range,
                network_security_group=self._security_group("runners", [_web_to_anywhere()]),
                nat_gateway=egress,
                default_outbound_access=False,
                private_endpoint_network_policies=_Policies.NETWORK_SECURITY_GROUP_ENABLED,
            ),
        ]

    def _security_group(
        self, subnet: str, rules: Sequence[network.SecurityRuleArgs]
    ) -> network.NetworkSecurityGroupArgs:
        """Make the security group of a subnet, which allows only what `rules` allow."""
        name, args = f"{self._name}-{subnet}", self._args
        group = network.NetworkSecurityGroup(
            name,
            resource_group_name=args.azure.resource_group,
            location=args.azure.location,
            security_rules=[*rules, _deny_other(_INBOUND), _deny_other(_OUTBOUND)],
            tags=args.azure.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        add_diagnostics(name, group.id, args.log_analytics_id, self, metrics=False)
        return network.NetworkSecurityGroupArgs(id=group.id)


def _within_cluster(direction: network.SecurityRuleDirection, args: NetworkArgs) -> network.SecurityRuleArgs:
    """Return the rule that lets the cluster's nodes and pods talk to each other, in one direction.

    AKS supports no less, and asks for no other ingress; network policies say which pods may talk. Traffic
    between pods is not encapsulated: their own addresses pass the security group, though not the network's.
    https://learn.microsoft.com/azure/aks/concepts-network-azure-cni-overlay#network-security-groups
    https://learn.microsoft.com/azure/aks/outbound-rules-control-egress
    """
    members = [args.nodes_range, args.pod_range]
    return network.SecurityRuleArgs(
        name=f"AllowCluster{direction.value}",
        description="Nodes and pods with each other; network policies narrow it.",
        priority=100,
        direction=direction,
        access=network.SecurityRuleAccess.ALLOW,
        protocol=network.SecurityRuleProtocol.ASTERISK,
        source_address_prefixes=members,
        source_port_range=_ANY,
        destination_address_prefixes=members,
        destination_port_range=_ANY,
    )


def _https_from_network() -> network.SecurityRuleArgs:
    """Return the rule that lets clients reach private endpoints, all of which speak HTTPS.

    The tag also means networks that are peered with this one or reach it over a VPN: people come from there.
    https://learn.microsoft.com/azure/virtual-network/service-tags-overview
    """
    return network.SecurityRuleArgs(
        name="AllowHttpsFromNetwork",
        description="Private endpoints, for this network and those connected to it.",
        priority=100,
        direction=_INBOUND,
        access=network.SecurityRuleAccess.ALLOW,
        protocol=network.SecurityRuleProtocol.TCP,
        source_address_prefix="VirtualNetwork",
        source_port_range=_ANY,
        destination_address_prefix=_ANY,
        destination_port_range="443",
    )


def _web_to_anywhere() -> network.SecurityRuleArgs:
    """Return the rule that lets nodes and runners call private endpoints, Azure, GitHub and Snowflake.

    These are named by host, which a security group does not know; a firewall in a hub can narrow it.
    HTTPS is all that AKS and GitHub ask for; Snowflake's client asks over HTTP about revoked certificates.
    https://learn.microsoft.com/azure/aks/outbound-rules-control-egress
    https://docs.github.com/en/actions/concepts/runners/communicating-with-self-hosted-runners
    https://docs.snowflake.com/en/user-guide/hostname-allowlist
    """
    return network.SecurityRuleArgs(
        name="AllowWebToAnywhere",
        description="Private endpoints, Azure, GitHub, Snowflake, registries and packages.",
        priority=200,
        direction=_OUTBOUND,
        access=network.SecurityRuleAccess.ALLOW,
        protocol=network.SecurityRuleProtocol.TCP,
        source_address_prefix=_ANY,
        source_port_range=_ANY,
        destination_address_prefix=_ANY,
        destination_port_ranges=["80", "443"],
    )


def _deny_other(direction: network.SecurityRuleDirection) -> network.SecurityRuleArgs:
    """Return the last rule, which precedes Azure's own: those let all of the network in, and everything out.

    Azure's DNS and instance metadata do not pass it.
    https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#default-security-rules
    """
    return network.SecurityRuleArgs(
        name=f"DenyOther{direction.value}",
        description="What no rule before this one allows.",
        priority=4096,
        direction=direction,
        access=network.SecurityRuleAccess.DENY,
        protocol=network.SecurityRuleProtocol.ASTERISK,
        source_address_prefix=_ANY,
        source_port_range=_ANY,
        destination_address_prefix=_ANY,
        destination_port_range=_ANY,
    )
