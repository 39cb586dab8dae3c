"""What the parts of an ARM id say, by Azure's own parser."""

import hashlib

from azure.mgmt.core.tools import parse_resource_id, resource_id


def part_of(arm_id: str, part: str) -> str:
    """Return a part of an ARM id: `subscription`, `resource_group`, `name`, `resource_name` and others.

    https://learn.microsoft.com/python/api/azure-mgmt-core/azure.mgmt.core.tools#azure-mgmt-core-tools-parse-resource-id
    """
    return str(parse_resource_id(arm_id)[part])


def resource_group_id(arm_id: str) -> str:
    """Return the ARM id of the resource group of a resource."""
    return resource_id(
        subscription=part_of(arm_id, "subscription"), resource_group=part_of(arm_id, "resource_group")
    )


def digest_of(arm_id: str) -> str:
    """Return eight characters that follow from an ARM id, for a name that must be unique."""
    return hashlib.sha256(arm_id.lower().encode()).hexdigest()[:8]


def virtual_network_id(subnet_id: str) -> str:
    """Return the ARM id of the network that a subnet is in."""
    return resource_id(
        subscription=part_of(subnet_id, "subscription"),
        resource_group=part_of(subnet_id, "resource_group"),
        namespace=part_of(subnet_id, "namespace"),
        type=part_of(subnet_id, "type"),
        name=part_of(subnet_id, "name"),
    )
