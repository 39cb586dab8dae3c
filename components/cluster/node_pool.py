"""The nodes of a cluster, in two pools: one runs the cluster itself, the other the workflows."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import containerservice as aks

from components.component import Args, Tags

#: What AKS never changes of a pool that exists, by its names in ARM
#: (https://learn.microsoft.com/azure/aks/use-system-pools#system-and-user-node-pools,
#: https://learn.microsoft.com/azure/aks/availability-zones-overview,
#: https://learn.microsoft.com/azure/aks/enable-host-encryption).
FIXED = (
    "availabilityZones",
    "enableEncryptionAtHost",
    "maxPods",
    "osDiskType",
    "vmSize",
    "vnetSubnetID",
)

#: The most pods on a node; Azure allows up to 250
#: (https://learn.microsoft.com/azure/aks/azure-cni-overlay#maximum-pods-per-node).
MAX_PODS = 110

#: Keeps every pod off the system nodes but the cluster's own
#: (https://learn.microsoft.com/azure/aks/use-system-pools#system-and-user-node-pools).
SYSTEM_ONLY = "CriticalAddonsOnly=true:NoSchedule"


@dataclass(kw_only=True)
class NodesArgs(Args):
    """What the nodes of both pools have in common."""

    subnet_id: pulumi.Input[str]
    """The subnet of the nodes. Pods have addresses of their own, not of this subnet."""
    zones: Sequence[str] = ()
    """The availability zones that the nodes are spread over; empty in a region that has none."""
    ephemeral_os_disk: bool = True
    """Whether nodes boot from their local disk. Without it they boot slower, from a disk that costs."""
    encryption_at_host: bool = True
    """Whether caches and local disks are encrypted. The subscription needs the feature
    `Microsoft.Compute/EncryptionAtHost` (https://learn.microsoft.com/azure/aks/enable-host-encryption)."""
    kubernetes_version: pulumi.Input[str] | None = None
    """A minor version such as `1.34`, whose patches are installed as they come. Where it is absent, minor
    versions are too (https://learn.microsoft.com/azure/aks/auto-upgrade-cluster)."""


@dataclass(kw_only=True)
class NodePoolArgs(Args):
    """How large a pool is, and the nodes it is made of.

    A request names no number of nodes: the autoscaler changes it, and a number that is out of date would
    scale the pool, or fail (https://github.com/Azure/AKS/issues/1627).
    """

    nodes: NodesArgs
    size: pulumi.Input[str]
    min_nodes: pulumi.Input[int]
    max_nodes: pulumi.Input[int]
    tags: Tags | None = None


def system_pool(args: NodePoolArgs) -> aks.ManagedClusterAgentPoolProfileArgs:
    """Return the pool that the cluster is made with, for its own pods only."""
    nodes = args.nodes
    return aks.ManagedClusterAgentPoolProfileArgs(
        name="system",
        mode=aks.AgentPoolMode.SYSTEM,
        type=aks.AgentPoolType.VIRTUAL_MACHINE_SCALE_SETS,
        node_taints=[SYSTEM_ONLY],
        os_sku=aks.OSSKU.AZURE_LINUX,
        os_disk_type=_os_disk_type(nodes),
        enable_encryption_at_host=nodes.encryption_at_host,
        orchestrator_version=nodes.kubernetes_version,
        vm_size=args.size,
        max_pods=MAX_PODS,
        vnet_subnet_id=nodes.subnet_id,
        availability_zones=nodes.zones or None,
        enable_node_public_ip=False,
        enable_auto_scaling=True,
        min_count=args.min_nodes,
        max_count=args.max_nodes,
        tags=args.tags,
    )


def add_user_pool(
    name: str,
    resource_group: pulumi.Input[str],
    cluster_name: pulumi.Input[str],
    args: NodePoolArgs,
    parent: pulumi.Resource,
) -> aks.AgentPool:
    """Add the user node pool, which runs everything except the cluster's own services.

    The pool's name in AKS is derived from the properties that AKS never changes. So a pool with other nodes
    is created before the old pool is deleted, and the pods move. Meanwhile the subnet and the quota must have
    room for both.
    """
    nodes = args.nodes
    # managed by the autoscaler (and by AKS if no version is pinned)
    service_changes = ["count"]
    if nodes.kubernetes_version is None:
        service_changes.append("orchestratorVersion")
    return aks.AgentPool(
        name,
        resource_group_name=resource_group,
        resource_name_=cluster_name,
        agent_pool_name=_pool_name(args),
        mode=aks.AgentPoolMode.USER,
        type=aks.AgentPoolType.VIRTUAL_MACHINE_SCALE_SETS,
        os_sku=aks.OSSKU.AZURE_LINUX,
        os_disk_type=_os_disk_type(nodes),
        enable_encryption_at_host=nodes.encryption_at_host,
        orchestrator_version=nodes.kubernetes_version,
        vm_size=args.size,
        max_pods=MAX_PODS,
        vnet_subnet_id=nodes.subnet_id,
        availability_zones=nodes.zones or None,
        enable_node_public_ip=False,
        enable_auto_scaling=True,
        min_count=args.min_nodes,
        max_count=args.max_nodes,
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=service_changes),
    )


def _os_disk_type(nodes: NodesArgs) -> aks.OSDiskType:
    return aks.OSDiskType.EPHEMERAL if nodes.ephemeral_os_disk else aks.OSDiskType.MANAGED


def _pool_name(args: NodePoolArgs) -> pulumi.Output[str]:
    """Return `user` and eight characters that follow from `FIXED`; AKS takes twelve in all."""
    nodes = args.nodes
    choices = [*nodes.zones, nodes.ephemeral_os_disk, nodes.encryption_at_host]

    def name(known: Sequence[object]) -> str:
        fixed = json.dumps([*known, *choices]).encode()
        return f"user{hashlib.sha256(fixed).hexdigest()[:8]}"

    return pulumi.Output.all(args.size, MAX_PODS, nodes.subnet_id).apply(name)
