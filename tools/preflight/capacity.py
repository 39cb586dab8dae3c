"""Whether the region has the cluster's virtual machines: their sizes, in the zones, within the quota."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from stacks.settings.cluster import ClusterSettings, with_surge
from tools.preflight.check import Context, Problem

#: A size as the resource SKUs list it (https://learn.microsoft.com/rest/api/compute/resource-skus/list).
Sku = dict[str, Any]

_VERSION = "2021-07-01"


def unavailable_sizes(context: Context) -> Iterator[Problem]:
    """Yield each size that the region lacks, does not sell to the subscription, or has not in every zone."""
    settings, skus = context.settings, context.sizes
    own = settings.cluster
    for setting, size in (("nodeSize", own.node_size), ("systemNodeSize", own.system_node_size)):
        mend = (
            f"az vm list-skus --location {settings.location} --all --output table, and set cluster.{setting}"
        )
        sku = skus.get(size.lower())
        if sku is None:
            yield Problem(f"{settings.location} has no {size}", mend)
            continue
        restrictions = sku.get("restrictions", [])
        if any(restriction["type"] == "Location" for restriction in restrictions):
            yield Problem(f"the subscription may not use {size} in {settings.location}", mend)
            continue
        if missing := sorted(set(settings.zones) - _zones(sku)):
            yield Problem(f"{size} is not in zone {', '.join(missing)}", f"{mend}, or set zones")
        if own.ephemeral_os_disk and not _can(sku, "EphemeralOSDiskSupported"):
            yield Problem(f"{size} has no local disk to boot from", "set cluster.ephemeralOsDisk: false")
        if own.encryption_at_host and not _can(sku, "EncryptionAtHostSupported"):
            yield Problem(f"{size} has no encryption at host", "set cluster.encryptionAtHost: false")


def exceeded_quota(context: Context) -> Iterator[Problem]:
    """Yield each vCPU quota that does not fit the cluster's pools.

    Without a cluster, the first nodes must fit into what is free, or `up` fails. At their maximum, with the
    nodes that an upgrade adds, the pools must fit into the limit, or they stop to grow.
    https://learn.microsoft.com/azure/quotas/per-vm-quota-requests
    """
    settings, skus = context.settings, context.sizes
    location = f"{context.arm.subscription}/providers/Microsoft.Compute/locations/{settings.location}"
    usages = {
        item["name"]["value"].lower(): item for item in context.arm.items(f"{location}/usages", _VERSION)
    }
    first, most = _vcpus(settings.cluster, skus)
    has_cluster = bool(context.clusters)
    for family, needed in most.items():
        usage = usages.get(family.lower())
        if usage is None:
            continue
        limit, free = int(usage["limit"]), int(usage["limit"]) - int(usage["currentValue"])
        mend = (
            f"az quota update --resource-name {family} --scope {location} --resource-type dedicated "
            f"--limit-object value={limit - free + needed}"
        )
        if not has_cluster and first[family] > free:
            yield Problem(
                f"{family} has {free} of {limit} vCPUs free; the first nodes need {first[family]}", mend
            )
        elif needed > (limit if has_cluster else free):
            yield Problem(
                f"{family} has {free} of {limit} vCPUs free; an upgrade of the full pools needs {needed}",
                mend,
                blocks=False,
            )


def _vcpus(cluster: ClusterSettings, skus: dict[str, Sku]) -> tuple[Counter[str], Counter[str]]:
    """Return the vCPUs of the first nodes, and those of all nodes during an upgrade, by quota."""
    first, most = Counter[str](), Counter[str]()
    for size, least, limit in (
        (cluster.node_size, cluster.min_nodes, cluster.max_nodes),
        (cluster.system_node_size, cluster.min_system_nodes, cluster.max_system_nodes),
    ):
        sku = skus.get(size.lower())
        if sku is None:
            continue
        vcpus = int(_capabilities(sku).get("vCPUs", "0"))
        for quota in (sku["family"], "cores"):
            first[quota] += least * vcpus
            most[quota] += with_surge(limit) * vcpus
    return first, most


def _zones(sku: Sku) -> set[str]:
    """Return the zones in which the subscription may use a size."""
    offered = {zone for place in sku.get("locationInfo", []) for zone in place.get("zones", [])}
    refused = {
        zone
        for restriction in sku.get("restrictions", [])
        if restriction["type"] == "Zone"
        for zone in restriction["restrictionInfo"].get("zones", [])
    }
    return offered - refused


def _capabilities(sku: Sku) -> dict[str, str]:
    return {item["name"]: item["value"] for item in sku.get("capabilities", [])}


def _can(sku: Sku, capability: str) -> bool:
    return _capabilities(sku).get(capability, "").lower() == "true"
