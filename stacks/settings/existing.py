"""The settings of what is there already, where the platform is not wanted and its imports are."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from importer.spec.section import Section
from stacks.settings.arm_id import part_of, resource_group_id
from stacks.settings.explain import contradiction
from stacks.settings.types import ObjectId

_IN_GROUP = "^/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/]+/providers"
WorkspaceId = Annotated[
    str,
    StringConstraints(pattern=rf"{_IN_GROUP}/Microsoft\.MachineLearningServices/workspaces/[^/]+$"),
]
ContainerId = Annotated[
    str,
    StringConstraints(
        pattern=rf"{_IN_GROUP}/Microsoft\.Storage/storageAccounts/[^/]+/blobServices/default/containers/[^/]+$"
    ),
]
VaultId = Annotated[str, StringConstraints(pattern=rf"{_IN_GROUP}/Microsoft\.KeyVault/vaults/[^/]+$")]
DatastoreName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,255}$")]


class ExistingSettings(Section):
    """A workspace that imports are added to; nothing else of the platform is made then."""

    workspace_id: WorkspaceId = Field(description="ARM id of the Azure ML workspace.")
    datastore: DatastoreName | None = Field(
        default=None,
        description="Datastore that imports go to; one is made where only `containerId` is set.",
    )
    clean_datastore: DatastoreName | None = Field(
        default=None,
        description="Datastore that clean assets go to, where an import has `curate`; the identity must have "
        "Storage Blob Data Contributor on its container.",
    )
    container_id: ContainerId | None = Field(
        default=None,
        description="ARM id of the blob container that imports go to, where the identity may then write.",
    )
    identity_client_id: ObjectId = Field(
        description="Client id of the user-assigned identity, attached to the workspace, that imports act as."
    )
    identity_principal_id: ObjectId = Field(description="Its principal (object) id, which gets the roles.")
    vault_id: VaultId | None = Field(
        default=None, description="ARM id of the vault that holds `snowflake.secretName`."
    )

    @model_validator(mode="after")
    def _imports_go_somewhere(self) -> Self:
        if self.datastore is None and self.container_id is None:
            raise contradiction(["datastore"], "required, or containerId: where imports go")
        return self

    @property
    def resource_group_id(self) -> str:
        """The ARM id of the workspace's resource group."""
        return resource_group_id(self.workspace_id)

    @property
    def subscription_id(self) -> str:
        """The subscription of the workspace."""
        return part_of(self.workspace_id, "subscription")

    @property
    def resource_group(self) -> str:
        """The name of the workspace's resource group."""
        return part_of(self.workspace_id, "resource_group")

    @property
    def workspace(self) -> str:
        """The name of the workspace."""
        return part_of(self.workspace_id, "resource_name")
