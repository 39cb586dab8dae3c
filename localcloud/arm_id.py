"""What a path of Azure Resource Manager names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ArmId:
    """A path below `/subscriptions/S`: a resource, a collection of them, or an action on one."""

    path: str

    @property
    def segments(self) -> list[str]:
        """The parts of the path, as written."""
        return self.path.strip("/").split("/")

    @property
    def is_resource(self) -> bool:
        """Whether the path names one resource; types and names take turns, so that one has an even number."""
        return len(self.segments) % 2 == 0

    @property
    def name(self) -> str:
        """The last segment."""
        return self.segments[-1]

    @property
    def parent(self) -> "ArmId":
        """What this resource is in: the asset of a version, the workspace of a datastore, its group."""
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
        """What a workspace calls it: `schedules`, `data/versions`; empty outside of a workspace."""
        provider, workspaces, kind = self.type.lower().partition("/workspaces/")
        return kind if workspaces and provider == "microsoft.machinelearningservices" else ""
