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
    """Which workspace, as a program gives it."""

    subscription_id: pulumi.Input[str]
    resource_group: pulumi.Input[str]
    name: pulumi.Input[str]


class WorkspaceRef(BaseModel):
    """Which workspace: what an ARM id names it by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subscription_id: _Name
    resource_group: _Name
    name: _Name

    def client(self, *, show_progress: bool = False) -> "MLClient":
        """Return a client of this workspace, signed in with whatever identity the environment has."""
        # The import takes 1.4 s: only what calls the service pays for it, so that a preview stays fast.
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
    """The ARM id of what a workspace holds; `collection` is such as `schedules`."""

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

    @classmethod
    def parse(cls, arm_id: str) -> "ChildId":
        """Return what `str()` of a ChildId made an id of."""
        _, _, subscription, _, group, _, _, _, workspace, collection, name = arm_id.split("/")
        ref = WorkspaceRef(subscription_id=subscription, resource_group=group, name=workspace)
        return cls(ref, collection, name)
