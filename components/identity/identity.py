"""Managed identities, and role assignments."""

import uuid
from collections.abc import Sequence
from enum import StrEnum

import pulumi
from pulumi_azure_native import authorization, managedidentity

from components.arm_id import part_of
from components.component import AzureArgs
from components.dynamic.roles_in_effect import RolesInEffect, RolesInEffectArgs
from components.identity.custom_role import CustomRole


class Role(StrEnum):
    """The built-in roles that the platform assigns.

    Ids: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
    """

    ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    ACR_PUSH = "8311e382-0749-4cb8-b61a-304f252e45ec"
    AI_NETWORK_CONNECTION_APPROVER = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea"
    AKS_RBAC_CLUSTER_ADMIN = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"
    AZUREML_DATA_SCIENTIST = "f6c7c914-8db3-469d-8ca1-694a8f32e121"
    CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
    KEY_VAULT_ADMINISTRATOR = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
    KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
    KEY_VAULT_SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
    MANAGED_IDENTITY_OPERATOR = "f1a07417-d97a-45cb-824c-7a7467783830"
    MONITORING_METRICS_PUBLISHER = "3913510d-42f4-4e42-8a64-420c390055eb"
    NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"
    PRIVATE_DNS_ZONE_CONTRIBUTOR = "b12aa53e-6015-4669-85d0-8515ebb3ae7f"
    READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    STORAGE_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    STORAGE_BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    STORAGE_BLOB_DELEGATOR = "db58b8e5-c6ad-4a2a-8342-4190687cbf4a"
    STORAGE_FILE_DATA_PRIVILEGED_CONTRIBUTOR = "69566ab7-960f-475b-8e7c-b3118f30c6bd"


class Identity(pulumi.ComponentResource):
    """A user-assigned managed identity for one job, with its role assignments and federated credentials.

    Each `grant` is one role at one scope; nothing is granted by default. Resources that use the identity
    depend on its roles: on `in_effect`, or on `assignments` if they only refer to it.
    """

    resource_id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    principal_id: pulumi.Output[str]

    def __init__(self, name: str, args: AzureArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:Identity", name, None, opts)
        self._name = name
        self._args = args = AzureArgs.of(args)
        self._assignments: list[authorization.RoleAssignment] = []
        self._identity = managedidentity.UserAssignedIdentity(
            name,
            resource_group_name=args.resource_group,
            location=args.location,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.resource_id = self._identity.id
        self.client_id = self._identity.client_id
        self.principal_id = self._identity.principal_id
        self.register_outputs(
            {"resource_id": self.resource_id, "client_id": self.client_id, "principal_id": self.principal_id}
        )

    def grant(
        self, role: Role | CustomRole, on: str, scope: pulumi.Input[str]
    ) -> authorization.RoleAssignment:
        """Assign `role` at `scope` (an ARM id); `on` says in one word what the scope is, for the name.

        The principal's type is given, as Entra ID may not know a new principal yet
        (https://learn.microsoft.com/azure/role-based-access-control/troubleshooting).
        """
        called = role.name.lower().replace("_", "-") if isinstance(role, Role) else "custom-role"
        assignment = assign_role(
            f"{self._name}-{called}-on-{on}",
            role,
            scope,
            self.principal_id,
            authorization.PrincipalType.SERVICE_PRINCIPAL,
            pulumi.ResourceOptions(parent=self),
        )
        self._assignments.append(assignment)
        return assignment

    @property
    def assignments(self) -> Sequence[authorization.RoleAssignment]:
        """The roles that are granted so far."""
        return list(self._assignments)

    def in_effect(self, *others: authorization.RoleAssignment) -> RolesInEffect:
        """Return the wait until Azure has applied the roles that are granted so far, and `others`."""
        return RolesInEffect(
            f"{self._name}-roles",
            RolesInEffectArgs(roles=[*self._assignments, *others]),
            pulumi.ResourceOptions(parent=self),
        )

    def federate(
        self, issuer: pulumi.Input[str], namespace: pulumi.Input[str], service_account: str
    ) -> managedidentity.FederatedIdentityCredential:
        """Let a Kubernetes service account of the cluster with this OIDC `issuer` act as this identity.

        https://learn.microsoft.com/azure/aks/workload-identity-overview
        """
        return managedidentity.FederatedIdentityCredential(
            f"{self._name}-{service_account}",
            resource_group_name=self._args.resource_group,
            resource_name_=self._identity.name,
            issuer=issuer,
            subject=pulumi.Output.format("system:serviceaccount:{0}:{1}", namespace, service_account),
            audiences=["api://AzureADTokenExchange"],
            opts=pulumi.ResourceOptions(parent=self),
        )


def assign_role(
    name: str,
    role: Role | CustomRole,
    scope: pulumi.Input[str],
    principal_id: pulumi.Input[str],
    principal_type: authorization.PrincipalType | None,
    opts: pulumi.ResourceOptions,
) -> authorization.RoleAssignment:
    """Assign `role` at `scope` to a principal, of any type if `principal_type` is None.

    The assignment's name follows from scope, role and principal, as Azure accepts each combination once. For
    the same reason an assignment is deleted before its replacement is made.
    """
    scope = pulumi.Output.from_input(scope)
    definition_id = (
        scope.apply(lambda known: _role_definition_id(known, role))
        if isinstance(role, Role)
        else role.role_definition_id
    )
    return authorization.RoleAssignment(
        name,
        role_assignment_name=pulumi.Output.all(scope, definition_id, principal_id).apply(
            lambda known: _assignment_name(*known)
        ),
        scope=scope,
        role_definition_id=definition_id,
        principal_id=principal_id,
        principal_type=principal_type,
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=True)),
    )


def _assignment_name(scope: str, definition_id: str, principal_id: str) -> str:
    role = part_of(definition_id, "resource_name")
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scope.lower()}|{role}|{principal_id}"))


def _role_definition_id(scope: str, role: Role) -> str:
    """Return the ARM id of `role` in the subscription of `scope`."""
    subscription = part_of(scope, "subscription")
    return f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
