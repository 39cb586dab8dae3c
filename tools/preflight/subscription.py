"""What the subscription must have: resource providers, features, rights, free names, no locks."""

import re
from collections.abc import Iterator

from stacks.settings.stack import PROJECT, Settings
from tools.preflight.check import Context, Problem

#: What every platform makes resources of.
_NAMESPACES = (
    "Microsoft.AlertsManagement",
    "Microsoft.ContainerRegistry",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.MachineLearningServices",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
)
_OF_A_CLUSTER = (
    "Microsoft.Compute",
    "Microsoft.ContainerService",
    "Microsoft.Monitor",
    "Microsoft.PolicyInsights",
)

#: What a deployer does that Contributor does not allow
#: (https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/privileged#contributor).
_RIGHTS_ON_ROLES = (
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.Authorization/roleDefinitions/write",
)
_RIGHTS_OF_A_PLATFORM = (
    "Microsoft.Resources/subscriptions/resourceGroups/write",
    "Microsoft.Authorization/locks/write",
)


def namespaces(settings: Settings) -> list[str]:
    """Return the resource providers that the stack's resources belong to."""
    if settings.existing is not None:
        return ["Microsoft.MachineLearningServices"]
    of_a_cluster = _OF_A_CLUSTER if settings.cluster.enabled else ()
    of_a_key = ("Microsoft.Compute",) if settings.customer_managed_key else ()
    return sorted({*_NAMESPACES, *of_a_cluster, *of_a_key})


def unregistered_providers(context: Context) -> Iterator[Problem]:
    """Yield each resource provider that is not registered.

    https://learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types
    """
    found = context.arm.items(f"{context.arm.subscription}/providers", "2021-04-01")
    states = {item["namespace"].lower(): item["registrationState"] for item in found}
    for namespace in namespaces(context.settings):
        state = states.get(namespace.lower(), "NotRegistered")
        if state != "Registered":
            yield Problem(f"{namespace} is {state}", f"az provider register --namespace {namespace} --wait")


def missing_encryption_at_host(context: Context) -> Iterator[Problem]:
    """Yield a problem if the feature for encryption of the nodes' caches is not registered.

    https://learn.microsoft.com/azure/aks/enable-host-encryption
    """
    path = f"{context.arm.subscription}/providers/Microsoft.Features/providers/Microsoft.Compute/features"
    feature = context.arm.get(f"{path}/EncryptionAtHost", "2021-07-01") or {"properties": {}}
    state = feature["properties"].get("state", "NotRegistered")
    if state != "Registered":
        yield Problem(
            f"Microsoft.Compute/EncryptionAtHost is {state}",
            "az feature register --namespace Microsoft.Compute --name EncryptionAtHost, and when it is "
            "Registered: az provider register --namespace Microsoft.Compute",
        )


def missing_rights(context: Context) -> Iterator[Problem]:
    """Yield each right that the deployer lacks, on the resource group if it exists.

    https://learn.microsoft.com/rest/api/authorization/permissions/list-for-resource-group
    """
    scope = context.arm.subscription
    if context.arm.get(context.group_path, "2021-04-01") is not None:
        scope = context.group_path
    permissions = list(
        context.arm.items(f"{scope}/providers/Microsoft.Authorization/permissions", "2022-04-01")
    )
    rights = (*_RIGHTS_ON_ROLES, *(_RIGHTS_OF_A_PLATFORM if context.settings.existing is None else ()))
    for right in rights:
        if not any(_allows(given["actions"], given["notActions"], right) for given in permissions):
            yield Problem(
                f"the deployer lacks {right} on {scope}",
                f"az role assignment create --role Owner --scope {scope} --assignee <deployer>",
            )


def _allows(actions: list[str], excluded: list[str], right: str) -> bool:
    return _matches(actions, right) and not _matches(excluded, right)


def _matches(patterns: list[str], right: str) -> bool:
    """Return whether one of the patterns, in which `*` stands for anything, is the right."""
    expressions = (re.escape(pattern).replace(r"\*", ".*") for pattern in patterns)
    return any(re.fullmatch(expression, right, re.IGNORECASE) for expression in expressions)


def taken_names(context: Context) -> Iterator[Problem]:
    """Yield a problem if the resource group exists and is not the stack's, and one for each deleted vault.

    All other names end in random characters, so a deleted vault holds no name that the stack needs.
    """
    name, path = context.settings.name, context.group_path
    group = context.arm.get(path, "2021-04-01")
    tags = (group or {}).get("tags") or {}
    if group is not None and (tags.get("project"), tags.get("stack")) != (PROJECT, context.stack):
        yield Problem(
            f"the resource group rg-{name} exists and is not made by this stack",
            f"set another name, or: pulumi import azure-native:resources:ResourceGroup {name}-group {path}",
        )
    deleted = context.arm.items(
        f"{context.arm.subscription}/providers/Microsoft.KeyVault/deletedVaults", "2023-07-01"
    )
    for vault in deleted:
        if re.fullmatch(rf"{re.escape(name)}(-kv|-cmk|mlwkv)[0-9a-f]{{8}}", vault["name"]):
            location = vault["properties"]["location"]
            yield Problem(
                f"the deleted vault {vault['name']} can be recovered; the stack makes one with another name",
                f"az keyvault recover --name {vault['name']} --location {location}, if you need its secrets",
                blocks=False,
            )


def read_only_locks(context: Context) -> Iterator[Problem]:
    """Yield each lock that lets nothing be made.

    https://learn.microsoft.com/azure/azure-resource-manager/management/lock-resources
    """
    path = f"{context.arm.subscription}/providers/Microsoft.Authorization/locks"
    above = (context.arm.subscription.lower(), context.group_path.lower())
    for lock in context.arm.items(path, "2020-05-01"):
        scope = lock["id"].split("/providers/Microsoft.Authorization/locks/")[0].lower()
        if lock["properties"]["level"] == "ReadOnly" and scope in above:
            yield Problem(
                f"the lock {lock['name']} makes {scope} read-only", f"az lock delete --ids {lock['id']}"
            )
