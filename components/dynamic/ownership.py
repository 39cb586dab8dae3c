"""Which stack a resource of a workspace belongs to: the mark that the resource carries.

Several stacks can use one workspace. Each adopts, changes and deletes only the resources with its own mark.
"""

import sys
from collections.abc import Mapping

import pulumi

from components.dynamic.provider import ManagedInputs, Outputs, Properties
from components.dynamic.workspace import ChildId
from importer.errors import ImporterError

#: The tag or metadata key with the mark, which is also the name of the property in Pulumi.
MARK = "managed_by_stack"


class OwnedInputs(ManagedInputs):
    """The properties of a resource that belongs to one stack."""

    #: The mark, as `mark_of` returns it.
    managed_by_stack: str | None = None
    #: Whether the stack takes over an existing resource that does not have its mark.
    adopt: bool = False

    @property
    def mark(self) -> dict[str, str]:
        """The tag or the metadata that marks the resource."""
        return {MARK: self.managed_by_stack} if self.managed_by_stack else {}


def mark_of(resource_name: str) -> str:
    """Return the mark of a resource of the running program: `project/stack/resource`."""
    return f"{pulumi.get_project()}/{pulumi.get_stack()}/{resource_name}"


def stack_of(mark: str | None) -> str | None:
    """Return `project/stack` of a mark."""
    return "/".join(mark.split("/")[:2]) if mark else None


def claim(inputs: OwnedInputs, live: Mapping[str, str], state: Properties) -> None:
    """Raise an ImporterError if an existing resource, with the tags or metadata `live`, is not ours.

    Without `state` Pulumi does not know the resource: the declared mark says that an earlier attempt, which
    timed out, has created it. With `state` it is ours, also without a mark, unless another stack has taken it
    over. The recorded mark may be an older one, because stacks and resources can be renamed.
    """
    owner = live.get(MARK)
    ours = {inputs.managed_by_stack, state.get(MARK), None} if state else {inputs.managed_by_stack}
    if owner in ours or inputs.adopt:
        return
    belongs = f"belongs to {owner}" if owner else f"has no mark of a stack ({MARK})"
    raise ImporterError(
        f"it exists already and {belongs}: choose another name, delete it, or take it over with `adopt` "
        "(docs/alone.md)"
    )


def observed_mark(live: Mapping[str, str], state: Properties) -> Outputs:
    """Return the mark as a refresh records it: nothing if it is lost or another stack's.

    So a diff shows that the mark changes, and `claim` still refuses another stack's.
    """
    owner = live.get(MARK)
    return {MARK: owner} if owner and owner == state.get(MARK) else {}


def why_not_ours(live: Mapping[str, str], state: Properties) -> str | None:
    """Return why a stack with `state` must not delete a resource with the tags or metadata `live`."""
    owner = live.get(MARK)
    if owner == state.get(MARK):  # both are absent if the stack is older than the marks
        return None
    return f"it belongs to {owner}" if owner else f"it has lost its mark {state[MARK]}"


def say_kept(arm_id: ChildId, why: str) -> None:
    """Tell the user that a resource is not deleted: Pulumi shows what a provider prints to standard error."""
    print(f"{arm_id.subject} is not deleted: {why}", file=sys.stderr)  # noqa: T201
