"""What a check is, what it is given, and what it says."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from stacks.settings.stack import Settings
from tools.preflight.arm import Arm, Document


@dataclass(frozen=True)
class Problem:
    """Something that does not fit the settings, and the command or setting that mends it."""

    text: str
    mend: str
    #: whether `pulumi up` would fail
    blocks: bool = True


@dataclass(frozen=True)
class Context:
    """The stack that is checked, and the subscription that it is for."""

    stack: str
    settings: Settings
    arm: Arm

    @property
    def group_path(self) -> str:
        """The ARM id of the resource group: the platform's, or that of the existing workspace."""
        if self.settings.existing is not None:
            return self.settings.existing.resource_group_id
        return f"{self.arm.subscription}/resourceGroups/rg-{self.settings.name}"

    @cached_property
    def clusters(self) -> list[Document]:
        """The clusters in the resource group."""
        path = f"{self.group_path}/providers/Microsoft.ContainerService/managedClusters"
        return list(self.arm.items(path, "2024-09-01"))

    @cached_property
    def sizes(self) -> dict[str, Document]:
        """The sizes of virtual machines in the region, by name in lower case.

        https://learn.microsoft.com/rest/api/compute/resource-skus/list
        """
        items = self.arm.items(
            f"{self.arm.subscription}/providers/Microsoft.Compute/skus",
            "2021-07-01",
            **{"$filter": f"location eq '{self.settings.location}'"},
        )
        return {item["name"].lower(): item for item in items if item["resourceType"] == "virtualMachines"}


@dataclass(frozen=True)
class Check:
    """A question to Azure, Snowflake or this machine."""

    title: str
    #: whether the stack needs the answer
    applies: Callable[[Settings], bool]
    problems: Callable[[Context], Iterator[Problem]]


def makes_platform(settings: Settings) -> bool:
    """Return whether the stack is a whole platform, and not only imports in an existing workspace."""
    return settings.existing is None


def makes_cluster(settings: Settings) -> bool:
    """Return whether the stack has an AKS cluster."""
    return makes_platform(settings) and settings.cluster.enabled
