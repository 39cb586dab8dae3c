"""The requests that Azure Resource Manager refuses, given the resources in the ArmStore.

Error codes: https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors.
"""

import re
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from localcloud.arm import ArmStore, Document
from localcloud.providers.azure_behaviours import (
    CHANGED_BY_DELETION,
    ONE_AT_A_TIME,
    ONE_AT_A_TIME_SECONDS,
    REQUIREMENTS,
    WITH_ETAG,
    Requirement,
)
from localcloud.providers.azure_types import ArmType, soft_deleted_types
from localcloud.providers.grpc_provider import AlreadyExistsError, ProviderError
from localcloud.providers.properties import Properties, at_path, leaves

_RESOURCE_ID = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/[^/]+(/providers/[^/]+(/[^/]+/[^/]+)+)?", re.IGNORECASE
)
#: Ids that exist if their parent does: a vault's secrets and keys (ARM lets a role be assigned on one that it
#: does not know), and the services of a storage account.
_WITH_PARENT = re.compile(
    r"(.*/vaults/[^/]+)/(?:secrets|keys)/[^/]+|(.*/storageAccounts/[^/]+)/(?:blob|file|queue|table)Services/default",
    re.IGNORECASE,
)
_LOCK = "Microsoft.Authorization/locks"
_ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


class AzureRules:
    """The rules that depend on other resources. Each raises a ProviderError with ARM's error code."""

    def __init__(self, store: ArmStore, unregistered: Collection[str] = ()) -> None:
        self._store = store
        #: the resource providers that the subscription has not registered
        self._unregistered = unregistered
        #: the resources in which a request of `ONE_AT_A_TIME` is running
        self._busy: set[str] = set()
        self._busy_lock = threading.Lock()

    def check_registered(self, arm_type: ArmType, arm_id: str) -> None:
        """Refuse a resource of a provider that the subscription has not registered."""
        namespace = arm_type.arm_type.split("/")[0]
        if namespace in self._unregistered:
            raise ProviderError(
                f"{arm_id}: the subscription is not registered for {namespace} (409 "
                f"MissingSubscriptionRegistration): az provider register --namespace {namespace} --wait"
            )

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

    @contextmanager
    def alone(self, arm_type: ArmType, inputs: Properties) -> Iterator[None]:
        """Refuse the request if another one is running in the same resource: `ONE_AT_A_TIME`."""
        place = next(iter(at_path(inputs, ONE_AT_A_TIME.get(arm_type.arm_type, "-"))), "").lower()
        if not place:
            yield
            return
        with self._busy_lock:
            if place in self._busy:
                raise ProviderError(
                    f"{place}: another operation on this or a dependent resource is in progress (429"
                    " AnotherOperationInProgress); make one after the other: depends_on"
                )
            self._busy.add(place)
        try:
            time.sleep(ONE_AT_A_TIME_SECONDS)
            yield
        finally:
            with self._busy_lock:
                self._busy.remove(place)

    def check_requirements(self, body: Document) -> None:
        """Refuse a document that refers to a resource without what `REQUIREMENTS` ask of it."""
        for requirement in REQUIREMENTS:
            if requirement.of == body["type"]:
                self._check_requirement(requirement, body)

    def _check_requirement(self, requirement: Requirement, body: Document) -> None:
        properties = body["properties"]
        if requirement.only_with is not None and not properties.get(requirement.only_with):
            return
        for other_id in at_path(properties, requirement.reference):
            other = self._store.get(other_id) if str(other_id).startswith("/") else None
            if other is None:
                continue
            found = next(
                iter(at_path({"name": other["name"]} | other["properties"], requirement.wanted)), None
            )
            location = body.get("location", "")
            accepted = [v.format(location=location) if isinstance(v, str) else v for v in requirement.values]
            if found not in accepted:
                raise ProviderError(f"{body['id']}: {requirement.error}: {other['id']}")

    def check_etag(self, stored: Document, inputs: Properties) -> None:
        """Refuse an update without the latest eTag of a type that demands it."""
        if stored["type"] in WITH_ETAG and inputs.get("eTag") != stored.get("eTag"):
            raise ProviderError(
                f"{stored['id']}: there are changes made to it; get the latest to avoid an overwrite (400"
                " BadRequest): send its eTag"
            )

    def check_locks(self, document: Document) -> None:
        """Refuse the deletion of a document at or below a scope with a delete lock, other than the lock."""
        if document["type"] == _LOCK:
            return
        changed = at_path(document["properties"], CHANGED_BY_DELETION.get(document["type"], "-"))
        for lock in self._store.descendants(""):
            if lock["type"] != _LOCK:
                continue
            scope = lock["id"].rsplit("/providers/Microsoft.Authorization/locks/", 1)[0].lower()
            for arm_id in (document["id"], *changed):
                if f"{arm_id.lower()}/".startswith(f"{scope}/"):
                    raise ProviderError(
                        f"{document['id']}: the scope {scope} cannot be changed, as it has the delete lock"
                        f" {lock['name']} (409 ScopeLocked); delete the lock first"
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
