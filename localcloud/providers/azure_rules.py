"""The requests that Azure Resource Manager refuses, given the resources in the ArmStore.

Error codes: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors.
"""

import re

from localcloud.arm import ArmStore, Document
from localcloud.providers.azure_types import ArmType, soft_deleted_types
from localcloud.providers.grpc_provider import AlreadyExistsError, ProviderError
from localcloud.providers.properties import Properties, leaves

_RESOURCE_ID = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/[^/]+(/providers/[^/]+(/[^/]+/[^/]+)+)?", re.IGNORECASE
)
#: Ids that exist if their parent does: a vault's secrets and keys (ARM lets a role be assigned on one that it
#: does not know), and the services of a storage account.
_WITH_PARENT = re.compile(
    r"(.*/vaults/[^/]+)/(?:secrets|keys)/[^/]+|(.*/storageAccounts/[^/]+)/(?:blob|file|queue|table)Services/default",
    re.IGNORECASE,
)
_ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


class AzureRules:
    """The rules that depend on other resources. Each raises a ProviderError with ARM's error code."""

    def __init__(self, store: ArmStore) -> None:
        self._store = store

    def check_parent(self, parent: str, arm_id: str) -> None:
        """Refuse a resource whose parent or scope does not exist."""
        if self._exists(parent):
            return
        code = "ResourceGroupNotFound" if _is_group(parent) else "ParentResourceNotFound"
        raise ProviderError(
            f"{arm_id}: {parent} does not exist (404 {code}); create it first, or correct its name"
        )

    def check_name(self, arm_type: ArmType, arm_id: str) -> None:
        """Refuse a name that is taken: in its parent, in all of Azure, or by a soft-deleted resource."""
        name = arm_id.rsplit("/", 1)[1]
        if self._store.get(arm_id):
            raise AlreadyExistsError(
                arm_id,
                f"{arm_id} already exists (409 Conflict);"
                f" choose another {arm_type.name_input}, or `pulumi import` it",
            )
        if arm_type.globally_unique and any(
            other["type"] == arm_type.arm_type and other["name"].lower() == name.lower()
            for other in self._store.descendants("")
        ):
            raise ProviderError(
                f"{arm_id}: the name {name} is taken, and names of {arm_type.arm_type} are unique"
                f" in all of Azure (409 AlreadyTaken); choose another {arm_type.name_input}"
            )
        if arm_type.soft_delete and self._store.soft_deleted(_deleted_scope(arm_type, arm_id)):
            raise ProviderError(
                f"{arm_id}: a deleted {arm_type.arm_type} still holds the name {name} (409 Conflict,"
                f" soft delete); purge or recover it, or choose another {arm_type.name_input}"
            )

    def check_references(self, inputs: Properties, subscription: str, arm_id: str) -> None:
        """Refuse inputs, except tags, with the id of a resource of this subscription that does not exist."""
        for value in leaves({key: value for key, value in inputs.items() if key != "tags"}):
            match = _RESOURCE_ID.fullmatch(value) if isinstance(value, str) else None
            if match and match[1].lower() == subscription.lower() and not self._exists(value):
                raise ProviderError(
                    f"{arm_id}: it refers to {value}, which does not exist (404 ResourceNotFound);"
                    " create it first, or correct the id"
                )

    def check_role_assignment(self, body: Document) -> None:
        """Refuse a role assignment whose ids are malformed, or that exists under another name."""
        if body["type"] != _ROLE_ASSIGNMENT:
            return
        properties = body["properties"]
        role = properties["roleDefinitionId"]
        if not re.search(
            rf"/providers/Microsoft.Authorization/roleDefinitions/{_UUID}$", role, re.IGNORECASE
        ):
            raise ProviderError(
                f"{body['id']}: roleDefinitionId {role!r} is not the id of a role definition (400)"
            )
        if not re.fullmatch(_UUID, properties["principalId"]):
            raise ProviderError(
                f"{body['id']}: principalId {properties['principalId']!r}"
                " is not the object id of a principal (400)"
            )
        same = (properties["principalId"].lower(), role.rsplit("/", 1)[1].lower())
        for other in self._store.children(body["id"].rsplit("/", 1)[0]):
            found = other["properties"]
            if (found["principalId"].lower(), found["roleDefinitionId"].rsplit("/", 1)[1].lower()) == same:
                raise ProviderError(
                    f"{body['id']}: the role assignment already exists (409 RoleAssignmentExists)"
                    f" as {other['name']}"
                )

    def remember_deleted(self, document: Document) -> None:
        """Reserve the name of a document that is about to be deleted, if Azure soft-deletes its type."""
        arm_type = soft_deleted_types().get(document["type"])
        if arm_type is not None:
            self._store.soft_delete(_deleted_scope(arm_type, document["id"]), document)

    def _exists(self, arm_id: str) -> bool:
        if found := _WITH_PARENT.fullmatch(arm_id):
            arm_id = found[1] or found[2]
        beyond_groups = re.fullmatch(
            r"/(subscriptions|providers/Microsoft\.Management/managementGroups)/[^/]+", arm_id, re.IGNORECASE
        )
        return bool(beyond_groups) or self._store.get(arm_id) is not None


def _is_group(arm_id: str) -> bool:
    return re.fullmatch(r"/subscriptions/[^/]+/resourceGroups/[^/]+", arm_id, re.IGNORECASE) is not None


def _deleted_scope(arm_type: ArmType, arm_id: str) -> str:
    """Return the key of a reserved name: type and name if names are global, else the whole id."""
    return f"{arm_type.arm_type}/{arm_id.rsplit('/', 1)[1]}" if arm_type.globally_unique else arm_id
