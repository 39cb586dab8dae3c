"""A custom role, for cases in which every built-in role allows too much."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization

from components.arm_id import digest_of
from components.component import Args, after
from components.dynamic.roles_in_effect import DEFINITION_SECONDS, RolesInEffect, RolesInEffectArgs

_ML = "Microsoft.MachineLearningServices/workspaces"

#: What an import calls: the connection, the datastore, and the versions of its asset. The smallest built-in
#: role that may register one, AzureML Data Scientist, may also submit jobs and read every other secret of the
#: workspace's (https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/ai-machine-learning).
#: Actions: https://learn.microsoft.com/azure/role-based-access-control/permissions/ai-machine-learning.
REGISTER_DATA_ASSETS = (
    f"{_ML}/read",
    f"{_ML}/connections/read",
    f"{_ML}/datastores/read",
    f"{_ML}/data/read",
    f"{_ML}/data/write",
    f"{_ML}/data/versions/read",
    f"{_ML}/data/versions/write",
    f"{_ML}/datasets/registered/read",
    f"{_ML}/datasets/registered/write",
    # to archive a version
    # (https://learn.microsoft.com/azure/machine-learning/how-to-administrate-data-authentication)
    f"{_ML}/datasets/registered/delete",
)


@dataclass(kw_only=True)
class CustomRoleArgs(Args):
    """What a custom role is."""

    scope: pulumi.Input[str]
    """ARM id of the resource group at and below which it can be assigned."""
    role_name: pulumi.Input[str]
    """Its name, unique in the Entra ID tenant."""
    description: pulumi.Input[str]
    actions: Sequence[pulumi.Input[str]]


class CustomRole(pulumi.ComponentResource):
    """A custom role that can be assigned in one resource group.

    `Identity.grant` assigns it, once Azure knows it everywhere. The deployer needs the right to write role
    definitions, as Owners and User Access Administrators have it
    (https://learn.microsoft.com/azure/role-based-access-control/custom-roles).
    """

    role_definition_id: pulumi.Output[str]

    def __init__(self, name: str, args: CustomRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:CustomRole", name, None, opts)
        args = CustomRoleArgs.of(args)
        scope = pulumi.Output.from_input(args.scope)
        definition = authorization.RoleDefinition(
            name,
            role_definition_id=scope.apply(
                lambda known: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{known.lower()}|{name}"))
            ),
            scope=scope,
            role_name=args.role_name,
            role_type="CustomRole",
            description=args.description,
            permissions=[authorization.PermissionArgs(actions=args.actions)],
            assignable_scopes=[scope],
            opts=pulumi.ResourceOptions(parent=self),
        )
        known = RolesInEffect(
            f"{name}-known",
            RolesInEffectArgs(roles=[definition], seconds=DEFINITION_SECONDS),
            pulumi.ResourceOptions(parent=self),
        )
        self.role_definition_id = after(definition.id, [known])
        self.register_outputs({"role_definition_id": self.role_definition_id})


def data_registrar(stack_name: str, scope: pulumi.Input[str]) -> CustomRole:
    """Make the role that registers data assets in the workspaces of a resource group (ARM id `scope`)."""
    return CustomRole(
        f"{stack_name}-data-registrar",
        CustomRoleArgs(
            scope=scope,
            # unique in the tenant, where another subscription may have a stack of the same name
            role_name=pulumi.Output.from_input(scope).apply(
                lambda known: f"{stack_name} data registrar {digest_of(known)}"
            ),
            description="Reads a workspace's connections and datastores, and registers data assets.",
            actions=REGISTER_DATA_ASSETS,
        ),
    )
