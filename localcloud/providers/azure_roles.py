"""The roles that services check when a resource is made: a table, by type of resource."""

from dataclasses import dataclass
from datetime import datetime

from localcloud.arm import ArmStore, Document
from localcloud.home import Home
from localcloud.providers.grpc_provider import ProviderError
from localcloud.providers.properties import at_path
from localcloud.roles import ASSIGNMENT, DEFINITION, Roles, scope_of_address

_CRYPTO = "Key Vault Crypto Service Encryption User"


@dataclass(frozen=True)
class Need:
    """A role that an identity in a resource's document needs on another resource in it."""

    #: where the document has the identity's ARM id or client id
    identity: str
    role: str
    #: where it has the scope: an ARM id, or the address of a vault or key
    scope: str
    #: what ARM calls the refusal
    code: str


_WORKSPACE_IDENTITY = "properties.primaryUserAssignedIdentity"
_CONTROL_PLANE = "identity.userAssignedIdentities"

#: Sources: the pages that the components name beside each role assignment.
NEEDS: dict[str, tuple[Need, ...]] = {
    "Microsoft.Storage/storageAccounts": (
        Need(
            "properties.encryption.encryptionIdentity.encryptionUserAssignedIdentity",
            _CRYPTO,
            "properties.encryption.keyVaultProperties.keyVaultUri",
            "KeyVaultAuthenticationFailure",
        ),
    ),
    "Microsoft.ContainerRegistry/registries": (
        Need(
            "properties.encryption.keyVaultProperties.identity",
            _CRYPTO,
            "properties.encryption.keyVaultProperties.keyIdentifier",
            "CannotAccessEncryptionKey",
        ),
    ),
    "Microsoft.Compute/diskEncryptionSets": (
        Need(
            "identity.userAssignedIdentities",
            _CRYPTO,
            "properties.activeKey.sourceVault.id",
            "KeyVaultAccessForbidden",
        ),
    ),
    "Microsoft.MachineLearningServices/workspaces": (
        Need(
            "properties.encryption.identity.userAssignedIdentity",
            _CRYPTO,
            "properties.encryption.keyVaultProperties.keyVaultArmId",
            "ValidationError",
        ),
        *(
            Need(_WORKSPACE_IDENTITY, role, f"properties.{scope}", "FailedIdentityOperation")
            for role, scope in (
                ("Contributor", "storageAccount"),
                ("Storage Blob Data Contributor", "storageAccount"),
                ("Contributor", "keyVault"),
                ("Key Vault Administrator", "keyVault"),
                ("Contributor", "containerRegistry"),
                ("Contributor", "applicationInsights"),
            )
        ),
    ),
    "Microsoft.ContainerService/managedClusters": (
        Need(
            _CONTROL_PLANE,
            "Managed Identity Operator",
            "properties.identityProfile.kubeletidentity.resourceId",
            "CustomKubeletIdentityMissingPermissionError",
        ),
        Need(
            _CONTROL_PLANE,
            "Network Contributor",
            "properties.agentPoolProfiles.vnetSubnetID",
            "LinkedAuthorizationFailed",
        ),
    ),
}


class AzureRoles:
    """Refuses resources whose identity cannot do yet what the service asks of it."""

    def __init__(self, home: Home, store: ArmStore) -> None:
        self._store = store
        self._roles = Roles(home, store)

    def date(self, body: Document, stored: Document | None, now: datetime) -> None:
        """Set when a role assignment or a role definition was created and changed."""
        if body["type"] in (ASSIGNMENT, DEFINITION):
            changed = now.isoformat()
            created = stored["properties"].get("createdOn", changed) if stored else changed
            body["properties"] |= {"createdOn": created, "updatedOn": changed}

    def check(self, body: Document) -> None:
        """Raise a ProviderError if a role that the service needs does not work."""
        for need in NEEDS.get(body["type"], ()):
            identity, scope = _text(body, need.identity), _text(body, need.scope)
            if identity is None or scope is None:
                continue
            scope = scope_of_address(scope, self._store.descendants("")) or scope
            principal = self._roles.principal_of(identity)
            if principal and (why := self._roles.why_lacking(principal, need.role, scope)):
                raise ProviderError(
                    f"{body['id']}: {identity} needs the role {need.role} on {scope} (403 {need.code}): {why}"
                )

    def check_definition(self, body: Document) -> None:
        """Raise a ProviderError for an assignment of a custom role that is not known everywhere yet."""
        role = str(body["properties"].get("roleDefinitionId", "")).rsplit("/", 1)[-1]
        for document in self._store.descendants(""):
            is_its_role = document.get("type") == DEFINITION and document["name"] == role
            if is_its_role and not self._roles.is_known(document):
                raise ProviderError(
                    f"{body['id']}: the role definition {role} is not known yet (404 "
                    "RoleDefinitionDoesNotExist): wait until it is"
                )


def _text(body: Document, path: str) -> str | None:
    """Return the first text at a dotted path; of a mapping there, the first key."""
    for found in at_path(body, path):
        text = next(iter(found), None) if isinstance(found, dict) else found
        return text if isinstance(text, str) and text.strip() else None
    return None
