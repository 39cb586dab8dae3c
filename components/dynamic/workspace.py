"""The Azure ML workspace that a managed resource belongs to."""

from typing import TYPE_CHECKING, Annotated, NamedTuple, TypedDict

import pulumi
from pydantic import BaseModel, ConfigDict, StringConstraints

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

_Name = Annotated[str, StringConstraints(min_length=1)]

_CONNECT_SECONDS = 10
_READ_SECONDS = 60


class WorkspaceRefArgs(TypedDict):
    """The workspace, as a program names it."""

    subscription_id: pulumi.Input[str]
    resource_group: pulumi.Input[str]
    name: pulumi.Input[str]


class WorkspaceRef(BaseModel):
    """The workspace, by the parts of its ARM id."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subscription_id: _Name
    resource_group: _Name
    name: _Name

    def client(self, *, show_progress: bool = False) -> "MLClient":
        """Return a client of this workspace, which signs in with the identity of the environment."""
        # Importing it takes 1.4 s, and a preview without changes needs no client.
        from azure.ai.ml import MLClient
        from azure.identity import DefaultAzureCredential

        from components.dynamic.retry import ArmRetryPolicy

        return MLClient(
            DefaultAzureCredential(),
            self.subscription_id,
            self.resource_group,
            self.name,
            retry_policy=ArmRetryPolicy(),
            connection_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            enable_telemetry=False,
            show_progress=show_progress,
        )


class ChildId(NamedTuple):
    """The ARM id of a child of a workspace, such as a schedule, which is in the `collection` schedules."""

    workspace: WorkspaceRef
    collection: str
    name: str

    def __str__(self) -> str:
        """Return the id as ARM writes it."""
        workspace = self.workspace
        return (
            f"/subscriptions/{workspace.subscription_id}/resourceGroups/{workspace.resource_group}/providers"
            f"/Microsoft.MachineLearningServices/workspaces/{workspace.name}/{self.collection}/{self.name}"
        )

    @property
    def subject(self) -> str:
        """The resource, as messages name it."""
        return f"{self.collection}/{self.name} in workspace {self.workspace.name}"

    @classmethod
    def parse(cls, arm_id: str) -> "ChildId":
        """Return the id from its text, as `str()` returns it."""
        from azure.mgmt.core.tools import parse_resource_id

        parts = {key: str(value) for key, value in parse_resource_id(arm_id).items()}
        workspace = WorkspaceRef(
            subscription_id=parts["subscription"], resource_group=parts["resource_group"], name=parts["name"]
        )
        return cls(workspace, parts["child_type_1"], parts["child_name_1"])
