"""The settings of the network: its address ranges, or an existing one, and access from and to outside."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from ipaddress import IPv4Network
from itertools import combinations
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from components.arm_id import part_of, virtual_network_id
from components.network.private_link import ZONES, metrics_zone
from importer.spec.section import Section
from stacks.settings.explain import contradiction
from stacks.settings.types import AddressRange, PrivateZoneId, SubnetId, VirtualNetworkId

#: The addresses of every subnet that Azure reserves (https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq).
RESERVED_ADDRESSES = 5

#: The smallest endpoints' subnet: each private endpoint takes an address, those of the registry, the
#: workspace and Azure Monitor several.
MIN_ENDPOINTS_PREFIX = 26

#: Ranges that a virtual network, AKS or Azure ML (which runs Docker) does not accept:
#: https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq
#: https://learn.microsoft.com/azure/aks/concepts-network-legacy-cni
#: https://learn.microsoft.com/azure/machine-learning/how-to-secure-workspace-vnet
RESERVED_RANGES = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "127.0.0.0/8",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "172.17.0.0/16",
            "172.30.0.0/16",
            "172.31.0.0/16",
            "192.0.2.0/24",
            "224.0.0.0/3",
        ),
    )
)

#: The smallest subnet that Azure accepts (https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq).
MAX_SUBNET_PREFIX = 29

#: Ranges that are not public (https://www.iana.org/assignments/iana-ipv4-special-registry).
_PRIVATE_RANGES = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
        ),
    )
)

#: The most addresses that may be allowed, all ranges together: a /8, more than any company has.
MAX_ALLOWED_ADDRESSES = 2**24


#: The sub-resources of the lake, the vaults, the registry and the workspace that have private endpoints.
_STORING_GROUPS = ("blob", "dfs", "file", "queue", "table", "vault", "registry", "amlworkspace")


class Isolation(StrEnum):
    """Whether services have public addresses."""

    PRIVATE = "private"
    PUBLIC = "public"


class Outbound(StrEnum):
    """How the nodes reach the internet."""

    NAT_GATEWAY = "nat_gateway"
    USER_DEFINED_ROUTING = "user_defined_routing"


class Subnets(NamedTuple):
    """The address ranges of the platform's own subnets."""

    nodes: IPv4Network
    endpoints: IPv4Network
    runners: IPv4Network


def _check_allowed_range(allowed: IPv4Network) -> IPv4Network:
    """Return a range of public addresses, which the firewalls of Azure's services accept.

    https://learn.microsoft.com/azure/storage/common/storage-network-security-limitations
    """
    if allowed.num_addresses > MAX_ALLOWED_ADDRESSES:
        raise contradiction([], "is too wide; must be a /8 or narrower", str(allowed))
    if any(allowed.overlaps(private) for private in _PRIVATE_RANGES):
        raise contradiction([], "must contain public addresses only", str(allowed))
    return allowed


def _check_private_range(own: IPv4Network) -> IPv4Network:
    taken = next((reserved for reserved in RESERVED_RANGES if reserved.overlaps(own)), None)
    if taken is not None:
        raise contradiction([], f"overlaps {taken}, which Azure reserves", str(own))
    return own


PrivateRange = Annotated[AddressRange, AfterValidator(_check_private_range)]
AllowedRange = Annotated[AddressRange, AfterValidator(_check_allowed_range)]


class NetworkSettings(Section):
    """The network of the platform, its own or a given one."""

    allowed_address_ranges: Annotated[list[AllowedRange], Field(max_length=100)] = Field(
        default=[],
        description="Public address ranges that may reach the services if `isolation` is `public`, such as "
        "those of your offices and runners.",
    )
    address_space: PrivateRange = Field(
        default=IPv4Network("10.42.0.0/16"), description="Addresses of the virtual network."
    )
    nodes_range: PrivateRange | None = Field(
        default=None,
        description="Subnet of the cluster's nodes; by default the first quarter of `addressSpace`.",
    )
    endpoints_range: PrivateRange | None = Field(
        default=None, description="Subnet of the private endpoints; by default the second quarter."
    )
    runners_range: PrivateRange | None = Field(
        default=None, description="Subnet for the runners of your pipelines; by default the third quarter."
    )
    nodes_subnet_id: SubnetId | None = Field(
        default=None, description="Existing subnet for the nodes; the platform then makes no network."
    )
    endpoints_subnet_id: SubnetId | None = Field(
        default=None,
        description="Existing subnet for the private endpoints; the platform then makes no network.",
    )
    egress_address_ranges: list[AllowedRange] = Field(
        default=[],
        description="Public addresses from which nodes in an existing subnet reach the internet. Required if "
        "`isolation` is `public`: the nodes call the API server from there.",
    )
    outbound: Outbound = Field(
        default=Outbound.NAT_GATEWAY,
        description="How nodes in an existing subnet reach the internet: through its NAT gateway, or by "
        "`user_defined_routing` through a firewall.",
    )
    api_server_network_ids: list[VirtualNetworkId] = Field(
        default=[],
        description="ARM ids of peered networks, such as a hub's, that find the private API server of the "
        "cluster by its name.",
    )
    dns_zone_ids: dict[str, PrivateZoneId] = Field(
        default={},
        description="Ids of existing private DNS zones, such as a hub's, by zone name. The platform makes "
        "the others.",
    )

    @property
    def is_own(self) -> bool:
        """Whether no existing subnet is set."""
        return self.nodes_subnet_id is None and self.endpoints_subnet_id is None

    @property
    def subnets(self) -> Subnets:
        """The ranges of the own network's subnets."""
        quarters = list(self.address_space.subnets(prefixlen_diff=2))
        return Subnets(
            self.nodes_range or quarters[0],
            self.endpoints_range or quarters[1],
            self.runners_range or quarters[2],
        )

    def ranges(self) -> Iterator[tuple[str, IPv4Network]]:
        """Yield the range of each subnet of the platform's own network, with the name of its setting."""
        yield from zip(("nodesRange", "endpointsRange", "runnersRange"), self.subnets, strict=True)

    @model_validator(mode="after")
    def _allowed_ranges_are_narrow(self) -> Self:
        allowed = self.allowed_address_ranges
        for index, later in enumerate(allowed):
            if any(later.overlaps(earlier) for earlier in allowed[:index]):
                raise contradiction(["allowedAddressRanges", index], "overlaps an earlier range", str(later))
        if sum(each.num_addresses for each in allowed) > MAX_ALLOWED_ADDRESSES:
            raise contradiction(["allowedAddressRanges"], "contain more addresses than a /8 in total")
        return self

    @model_validator(mode="after")
    def _subnets_are_of_one_network(self) -> Self:
        nodes, endpoints = self.nodes_subnet_id, self.endpoints_subnet_id
        if nodes and endpoints and virtual_network_id(nodes).lower() != virtual_network_id(endpoints).lower():
            # private DNS zones are linked to one
            raise contradiction(
                ["endpointsSubnetId"], "must be in the same network as nodesSubnetId", endpoints
            )
        return self

    @model_validator(mode="after")
    def _ranges_do_not_overlap(self) -> Self:
        if self.address_space.prefixlen > MIN_ENDPOINTS_PREFIX - 2:
            raise contradiction(
                ["addressSpace"],
                f"is too small for three subnets; must be at least a /{MIN_ENDPOINTS_PREFIX - 2}",
                str(self.address_space),
            )
        for name, own in self.ranges():
            if own.prefixlen > MAX_SUBNET_PREFIX:
                raise contradiction([name], f"must be at least a /{MAX_SUBNET_PREFIX}", str(own))
            if not own.subnet_of(self.address_space):
                raise contradiction([name], f"must be within addressSpace ({self.address_space})", str(own))
        for (first, a), (second, b) in combinations(self.ranges(), 2):
            if a.overlaps(b):
                raise contradiction([second], f"overlaps {first} ({a})", str(b))
        if self.subnets.endpoints.prefixlen > MIN_ENDPOINTS_PREFIX:
            raise contradiction(
                ["endpointsRange"],
                f"is too small for the private endpoints; must be at least a /{MIN_ENDPOINTS_PREFIX}",
                str(self.subnets.endpoints),
            )
        return self

    @model_validator(mode="after")
    def _existing_and_own_network_exclude_each_other(self) -> Self:
        given = {
            "addressSpace": "address_space",
            "nodesRange": "nodes_range",
            "endpointsRange": "endpoints_range",
            "runnersRange": "runners_range",
        }
        if not self.is_own:
            for name, field in given.items():
                if field in self.model_fields_set:
                    raise contradiction([name], "must be absent if nodesSubnetId or endpointsSubnetId is set")
        elif self.outbound is not Outbound.NAT_GATEWAY:
            raise contradiction(
                ["outbound"],
                "the platform's own network uses a NAT gateway; set nodesSubnetId too",
                self.outbound,
            )
        return self

    def api_server_zone_id(self, location: str) -> str | None:
        """Return the existing zone of the cluster's API server, or None: the platform then makes one."""
        return self.dns_zone_ids.get(aks_zone(location))

    def check_access(self, *, is_private: bool, has_cluster: bool) -> None:
        """Raise a contradiction unless the network has the ranges and subnets that the platform needs."""
        if not is_private and not self.allowed_address_ranges:
            raise contradiction(
                ["network", "allowedAddressRanges"],
                "required if isolation is public",
            )
        if self.is_own:
            return
        if has_cluster and self.nodes_subnet_id is None:
            raise contradiction(["network", "nodesSubnetId"], "required if endpointsSubnetId is set")
        if self.endpoints_subnet_id is None:
            raise contradiction(["network", "endpointsSubnetId"], "required if nodesSubnetId is set")
        if has_cluster and not is_private and not self.egress_address_ranges:
            raise contradiction(
                ["network", "egressAddressRanges"],
                "required if isolation is public and nodesSubnetId is set",
            )

    def check_api_server(self, location: str, *, is_private: bool) -> None:
        """Raise a contradiction if networks are to be linked to a zone that the platform does not make."""
        if self.api_server_network_ids and not is_private:
            raise contradiction(
                ["network", "apiServerNetworkIds"], "must be absent unless a cluster is private"
            )
        if self.api_server_network_ids and self.api_server_zone_id(location) is not None:
            raise contradiction(
                ["network", "apiServerNetworkIds"],
                f"must be absent if dnsZoneIds has {aks_zone(location)}: link the networks to that zone",
            )

    def check_zones(self, in_use: Sequence[str]) -> None:
        """Raise a contradiction if `dns_zone_ids` has a zone that is not in use, or another zone's id."""
        for name, zone_id in self.dns_zone_ids.items():
            if name not in in_use:
                raise contradiction(
                    ["network", "dnsZoneIds", name],
                    f"the platform does not use this zone; it uses {', '.join(in_use) or 'none'}",
                )
            if part_of(zone_id, "resource_name").lower() != name:
                raise contradiction(["network", "dnsZoneIds", name], "is the id of another zone", zone_id)


def endpoint_zones(location: str, *, is_private: bool, has_cluster: bool) -> list[str]:
    """Return the private DNS zones of the platform's private endpoints.

    The services that store data always have endpoints, Azure Monitor only in a private platform, and the
    cluster's metrics only if there is a cluster, too.
    """
    groups = [*_STORING_GROUPS, "azuremonitor"] if is_private else _STORING_GROUPS
    zones: dict[str, None] = dict.fromkeys(zone for group in groups for zone in ZONES[group])
    if is_private and has_cluster:
        zones[metrics_zone(location)] = None
    return list(zones)


def aks_zone(location: str) -> str:
    """Return the private DNS zone of the API servers in a region.

    https://learn.microsoft.com/azure/aks/private-clusters#configure-a-private-dns-zone
    """
    return f"privatelink.{location}.azmk8s.io"
