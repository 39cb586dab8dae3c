"""Deletion protection of resources that store data: Pulumi's `protect`, and Azure's lock."""

import pulumi
from pulumi_azure_native import authorization


def kept(parent: pulumi.Resource, keep: bool) -> pulumi.ResourceOptions:
    """Return the options of a child that stores data: with `keep`, Pulumi refuses to delete it."""
    return pulumi.ResourceOptions(parent=parent, protect=keep)


def add_delete_lock(name: str, resource_id: pulumi.Input[str], parent: pulumi.Resource) -> None:
    """Make Azure refuse to delete a resource and its ARM children, for every caller.

    Lock only what has no other protection, such as the lake. The lock also covers private endpoint
    connections, which a managed network adds and removes, role assignments and diagnostic settings. Vaults,
    logs and the data of storage accounts have soft delete. Do not lock an Azure ML workspace: its schedules
    and computes are its children, and must stay deletable.
    https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources
    """
    authorization.ManagementLockByScope(
        f"{name}-lock",
        lock_name="keep",
        scope=resource_id,
        level=authorization.LockLevel.CAN_NOT_DELETE,
        notes="Holds data. To delete it on purpose, see docs/keeping.md.",
        opts=pulumi.ResourceOptions(parent=parent),
    )
