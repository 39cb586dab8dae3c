"""The settings of an existing workspace, for a stack that deploys only imports."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from components.arm_id import part_of, resource_group_id
from importer.spec.section import Section
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
AdoptedName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,254}$")]
DatastoreName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,255}$")]


class ExistingSettings(Section):
    """An existing workspace: the stack adds imports to it, and deploys nothing else of the platform."""

    workspace_id: WorkspaceId = Field(description="ARM id of the Azure ML workspace.")
    datastore: DatastoreName | None = Field(
        default=None,
        description="Existing datastore that imports write to. Without one, the stack creates "
        "`rawdata_<name>` for `containerId`.",
    )
    clean_datastore: DatastoreName | None = Field(
        default=None,
        description="Existing datastore for clean assets, if an import has `curate`. The identity must have "
        "Storage Blob Data Contributor on its container.",
    )
    container_id: ContainerId | None = Field(
        default=None,
        description="ARM id of the blob container that imports write to; the identity gets a role on it.",
    )
    identity_client_id: ObjectId = Field(
        description="Client id of the user-assigned identity that imports act as; attach it to the workspace."
    )
    identity_principal_id: ObjectId = Field(
        description="Principal (object) id of the same identity, which gets the roles."
    )
    vault_id: VaultId | None = Field(
        default=None, description="ARM id of the vault that holds `snowflake.secretName`."
    )
    adopt: list[AdoptedName] = Field(
        default=[],
        description="Names of existing schedules (`import_<name>`) and connections that the stack takes over "
        "from another stack or from a person: it changes them, and `pulumi destroy` deletes them.",
    )

    @model_validator(mode="after")
    def _imports_go_somewhere(self) -> Self:
        if self.datastore is None and self.container_id is None:
            raise contradiction(
                ["datastore"], "required if containerId is absent: imports write to one of them"
            )
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
