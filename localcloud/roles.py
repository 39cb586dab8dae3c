"""Role assignments as Azure applies them: to a scope and all below it, some time after they were made."""

from collections.abc import Collection
from datetime import UTC, datetime

from localcloud.arm import ArmStore, Document
from localcloud.home import Home

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
DEFINITION = "Microsoft.Authorization/roleDefinitions"

#: The built-in roles that the local cloud checks, and their titles
#: (https://learn.microsoft.com/azure/role-based-access-control/built-in-roles).
TITLES = {
    "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b": "Azure Kubernetes Service RBAC Cluster Admin",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": "Key Vault Administrator",
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": "Key Vault Crypto Service Encryption User",
    "f1a07417-d97a-45cb-824c-7a7467783830": "Managed Identity Operator",
    "4d97b98b-1d4f-4787-a291-c67834d212e7": "Network Contributor",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
}
_IDS = {title: role for role, title in TITLES.items()}


class Roles:
    """The roles of a local cloud, which take `Home.role_seconds` to work."""

    def __init__(self, home: Home, store: ArmStore) -> None:
        self._store = store
        self._seconds = home.role_seconds

    def is_known(self, document: Document) -> bool:
        """Return whether Azure has applied a role assignment, or knows a role definition everywhere."""
        created = datetime.fromisoformat(document["properties"].get("createdOn", "2000-01-01T00:00:00+00:00"))
        return (datetime.now(UTC) - created).total_seconds() >= self._seconds

    def why_lacking(self, principal_id: str | None, title: str | None, scope: str) -> str | None:
        """Return why a principal lacks a role at a scope, as text; None if it has the role.

        `principal_id` None stands for any principal, `title` None for any role.
        """
        late = None
        for assignment in self._store.descendants(""):
            if not _grants(assignment, principal_id, title, scope):
                continue
            if self.is_known(assignment):
                return None
            late = f"its role assignment {assignment['name']} is not in effect yet: wait until it is"
        return late or "it has no such role assignment: assign the role"

    def principal_of(self, identity: str) -> str | None:
        """Return the object id of a managed identity by its ARM id or client id; None if there is none."""
        for document in self._store.descendants(""):
            if identity.lower() in (
                document["id"].lower(),
                str(document.get("properties", {}).get("clientId")).lower(),
            ):
                principal = document.get("properties", {}).get("principalId")
                return str(principal) if principal else None
        return None


def _grants(document: Document, principal_id: str | None, title: str | None, scope: str) -> bool:
    """Return whether a document is an assignment of the role to the principal at the scope or above it."""
    if document.get("type") != ASSIGNMENT:
        return False
    properties = document["properties"]
    above = document["id"].split("/providers/Microsoft.Authorization/")[0].lower() + "/"
    return (
        f"{scope.lower()}/".startswith(above)
        and principal_id in (None, properties["principalId"])
        and (title is None or properties["roleDefinitionId"].endswith(f"/{_IDS[title]}"))
    )


def scope_of_address(address: str, documents: Collection[Document]) -> str | None:
    """Return the ARM id of the vault in an address, such as that of a key; None if there is none."""
    for document in documents:
        is_vault = document.get("type") == "Microsoft.KeyVault/vaults"
        if is_vault and f"/vaults/{document['name']}/" in f"{address}/":
            return str(document["id"])
    return None
