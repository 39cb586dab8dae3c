"""The settings of the AKS cluster."""

from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from importer.spec.section import Section
from stacks.settings.explain import contradiction
from stacks.settings.network import RESERVED_ADDRESSES, NetworkSettings, PrivateRange
from stacks.settings.types import ObjectId, VmSize

#: The share of nodes that an upgrade adds to each pool at a time: AKS's default, rounded up
#: (https://learn.microsoft.com/azure/aks/upgrade-aks-node-pools-rolling#customize-node-surge-upgrade).
_SURGE = 0.1

#: Azure gives each node of an overlay network a /24 of the pods' addresses
#: (https://learn.microsoft.com/azure/aks/concepts-network-azure-cni-overlay#ip-address-planning).
PODS_OF_A_NODE = 256

#: The services' range must be smaller than a /12, and large enough for the cluster's own services
#: (https://learn.microsoft.com/azure/aks/concepts-network-azure-cni-overlay#ip-address-planning).
MIN_SERVICE_PREFIX = 13
MAX_SERVICE_PREFIX = 27

Nodes = Annotated[int, Field(ge=1, le=1000)]


def with_surge(nodes: int) -> int:
    """Return the nodes of a pool during an upgrade, with those that it adds."""
    return nodes + max(1, -int(-nodes * _SURGE // 1))


class Weekday(StrEnum):
    """A day of the week, as AKS writes it."""

    MONDAY = "Monday"
    TUESDAY = "Tuesday"
    WEDNESDAY = "Wednesday"
    THURSDAY = "Thursday"
    FRIDAY = "Friday"
    SATURDAY = "Saturday"
    SUNDAY = "Sunday"


class ClusterSettings(Section):
    """The AKS cluster."""

    enabled: bool = Field(default=True, description="Whether the platform has a cluster, with Argo on it.")
    kubernetes_version: Annotated[str, StringConstraints(pattern=r"^1\.\d{2}$")] | None = Field(
        default=None, description="Minor version, such as `1.34`. Without one, AKS chooses and upgrades it."
    )
    node_size: VmSize = Field(
        default="Standard_D4ds_v5", description="Virtual machine size of the nodes that run workflows."
    )
    min_nodes: Nodes = Field(default=2, description="Minimum number of nodes that run workflows.")
    max_nodes: Nodes = Field(default=5, description="Maximum number of nodes that run workflows.")
    system_node_size: VmSize = Field(
        default="Standard_D4ds_v5",
        description="Virtual machine size of the nodes that run the cluster itself.",
    )
    min_system_nodes: Nodes = Field(
        default=2, description="Minimum number of nodes that run the cluster itself."
    )
    max_system_nodes: Nodes = Field(
        default=3, description="Maximum number of nodes that run the cluster itself."
    )
    ephemeral_os_disk: bool = Field(
        default=True,
        description="Nodes boot from their local disk, which is faster and free. Set `false` for sizes "
        "without a local disk.",
    )
    encryption_at_host: bool = Field(
        default=True,
        description="Encrypts the nodes' caches and local disks. First register the feature "
        "`Microsoft.Compute/EncryptionAtHost` in the subscription.",
    )
    pod_range: PrivateRange = Field(
        default=IPv4Network("10.244.0.0/16"),
        description="Addresses of the pods, used within the cluster only.",
    )
    service_range: PrivateRange = Field(
        default=IPv4Network("10.245.0.0/16"),
        description="Addresses of the Kubernetes services, used within the cluster only.",
    )
    maintenance_day: Weekday = Field(
        default=Weekday.SUNDAY, description="Day of the week on which Azure may upgrade the cluster."
    )
    maintenance_hour: Annotated[int, Field(ge=0, le=23)] = Field(
        default=2, description="Hour (UTC) at which the four hours for upgrades start."
    )
    administrators: ObjectId | None = Field(
        default=None,
        description="Object id of the Entra ID group that administers the cluster. Without one, the first "
        "deployer stays administrator.",
    )

    @property
    def most_nodes(self) -> int:
        """The maximum number of nodes at a time, including those that an upgrade adds."""
        return with_surge(self.max_nodes) + with_surge(self.max_system_nodes)

    def check_network(self, network: NetworkSettings, *, is_private: bool) -> None:
        """Raise a contradiction unless the cluster's ranges and nodes fit the platform's own network."""
        for name, inner in (("podRange", self.pod_range), ("serviceRange", self.service_range)):
            if inner.overlaps(network.address_space):
                raise contradiction(
                    ["cluster", name], f"overlaps network.addressSpace ({network.address_space})", str(inner)
                )
        nodes = network.subnets.nodes
        room = nodes.num_addresses - RESERVED_ADDRESSES
        # a private API server has an address in the nodes' subnet
        needed = self.most_nodes + is_private
        if needed > room:
            raise contradiction(
                ["network", "nodesRange"],
                f"has {room} addresses, but an upgrade of the cluster may need {needed}",
                str(nodes),
            )

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        for fewest, least, most, limit in (
            ("minNodes", self.min_nodes, "maxNodes", self.max_nodes),
            ("minSystemNodes", self.min_system_nodes, "maxSystemNodes", self.max_system_nodes),
        ):
            if least > limit:
                raise contradiction([fewest], f"must be at most {most} ({limit})", least)
        return self

    @model_validator(mode="after")
    def _ranges_have_the_right_size(self) -> Self:
        services = self.service_range
        if not MIN_SERVICE_PREFIX <= services.prefixlen <= MAX_SERVICE_PREFIX:
            raise contradiction(
                ["serviceRange"],
                f"must be from a /{MAX_SERVICE_PREFIX} to a /{MIN_SERVICE_PREFIX}",
                str(services),
            )
        room = self.pod_range.num_addresses // PODS_OF_A_NODE
        if self.enabled and self.most_nodes > room:
            raise contradiction(
                ["podRange"],
                f"has room for the pods of {room} nodes, but an upgrade may need {self.most_nodes}",
                str(self.pod_range),
            )
        return self

    @model_validator(mode="after")
    def _pods_and_services_do_not_overlap(self) -> Self:
        if self.pod_range.overlaps(self.service_range):
            raise contradiction(
                ["serviceRange"], f"overlaps podRange ({self.pod_range})", str(self.service_range)
            )
        return self
