"""The parts of a request's path in Azure Resource Manager.

`azure.mgmt.core.tools.parse_resource_id` reads ids of resources only; a request may also name a collection
(`…/datastores`) or an action (`…/schedules/s/trigger`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ArmId:
    """A path below `/subscriptions/S`: a resource, a collection or an action."""

    path: str

    @property
    def segments(self) -> list[str]:
        """The segments of the path, as written."""
        return self.path.strip("/").split("/")

    @property
    def is_resource(self) -> bool:
        """Whether the path names a resource: types and names alternate, so the number of segments is even."""
        return len(self.segments) % 2 == 0

    @property
    def name(self) -> str:
        """The last segment."""
        return self.segments[-1]

    @property
    def parent(self) -> "ArmId":
        """The parent of this resource: the asset of a version, the workspace of a datastore, the group."""
        above = self.segments[:-2]
        return ArmId("/" + "/".join(above[:-2] if above[-2].lower() == "providers" else above))

    @property
    def type(self) -> str:
        """The resource type, such as `Microsoft.KeyVault/vaults`."""
        parts = [segment.lower() for segment in self.segments]
        if "providers" not in parts:
            return "Microsoft.Resources/resourceGroups"
        namespace, *rest = self.segments[len(parts) - parts[::-1].index("providers") :]
        return "/".join([namespace, *rest[::2]])

    @property
    def kind(self) -> str:
        """The type below a workspace, such as `schedules` or `data/versions`; empty for other resources."""
        provider, workspaces, kind = self.type.lower().partition("/workspaces/")
        return kind if workspaces and provider == "microsoft.machinelearningservices" else ""
