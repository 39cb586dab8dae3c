"""Whether each role of an identity is assigned, and in effect, before the resources that use the identity."""

from collections.abc import Iterator

from pulumi.runtime import MockResourceArgs

from tools.declared import Declared, short_id

ASSIGNMENT = "azure-native:authorization:RoleAssignment"
WAIT = "pulumi-python:dynamic/identity:RolesInEffect"
WORKSPACE = "azure-native:machinelearningservices:Workspace"

#: What refers to an identity, and does not act as it.
_OF_AN_IDENTITY = {
    ASSIGNMENT,
    "azure-native:managedidentity:FederatedIdentityCredential",
    "azure-native:managedidentity:UserAssignedIdentity",
}


def late_roles(declared: Declared) -> Iterator[str]:
    """Yield each role that an identity may still lack when a resource uses the identity.

    A workspace refers to the identities of its jobs, which are used later: so their roles must only be
    assigned before it, except those on the workspace or on what it makes.
    """
    assignments = declared.all(ASSIGNMENT)
    for identity in declared.all("azure-native:managedidentity:UserAssignedIdentity"):
        ids = {short_id(identity), f"client-{identity.name}", f"principal-{identity.name}"}
        granted = [role for role in assignments if role.inputs["principalId"] == f"principal-{identity.name}"]
        for user in declared.resources:
            if user.typ in _OF_AN_IDENTITY or ids.isdisjoint(_texts(user.inputs)):
                continue
            before = _before(declared, user.name)
            in_effect = _in_effect(declared, before)
            for role in granted:
                if user.typ == WORKSPACE and user.name in _before(declared, role.name):
                    continue
                if role.name not in before:
                    yield f"{user.name} does not depend on {role.name}"
                elif short_id(role) not in in_effect and not _only_refers(user, ids):
                    yield f"{user.name} does not wait for {role.name}"


def _only_refers(user: MockResourceArgs, ids: set[str]) -> bool:
    """Return whether the user is a workspace, and the identity is one of its jobs'."""
    if user.typ != WORKSPACE:
        return False
    own = {**user.inputs, "identity": None}
    return ids.isdisjoint(_texts(own))


def _before(declared: Declared, name: str) -> set[str]:
    """Return the names of the resources that a resource depends on, directly or not."""
    waiting = [urn for urn in declared.dependencies if urn.rsplit("::", 1)[1] == name]
    found: set[str] = set()
    while waiting:
        new = declared.dependencies.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return {urn.rsplit("::", 1)[1] for urn in found}


def _in_effect(declared: Declared, names: set[str]) -> set[str]:
    """Return the ids of the roles that the named resources wait for."""
    waits = [wait for wait in declared.all(WAIT) if wait.name in names]
    return {role["id"] for wait in waits for role in wait.inputs["roles"]}


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield key
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
