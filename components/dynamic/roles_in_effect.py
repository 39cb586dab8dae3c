"""The wait until roles work: Azure applies a new role assignment or role definition only after minutes."""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi import dynamic
from pulumi.dynamic.dynamic import PROVIDER_KEY
from pydantic import BaseModel, ConfigDict, ValidationError

from components.dynamic.cluster_access import check_sign_in, why_refused
from components.dynamic.provider import Properties, ResourceError, silence_libraries

if TYPE_CHECKING:
    from pulumi_azure_native.authorization import RoleAssignment, RoleDefinition

#: Azure Resource Manager's caches delay a role assignment by up to 10 minutes
#: (https://learn.microsoft.com/azure/role-based-access-control/troubleshooting, "Role assignment changes").
#: That page states several hours for a managed identity's membership in a group, and for data actions at a
#: management group. The program relies on neither.
ASSIGNMENT_SECONDS = 10 * 60

#: A new custom role appears everywhere after a few minutes, with no number stated
#: (https://learn.microsoft.com/azure/role-based-access-control/custom-roles-portal).
DEFINITION_SECONDS = 5 * 60

#: How long the cluster is asked beyond the time that Azure states, and how often.
_GRACE_SECONDS = 5 * 60
_ASK_SECONDS = 10

#: Set by the local cloud: how many seconds its roles take. It has no API server that could be asked.
SECONDS_VARIABLE = "AI_PLATFORM_ROLE_SECONDS"

#: The id that Pulumi records: the resource exists in its state only.
_ID = "roles"


class Role(BaseModel):
    """A role assignment or a role definition."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    created_on: str | None = None

    def age(self, now: datetime) -> float:
        """Return the seconds since it was created; 0 if Azure has not reported when."""
        try:
            created = datetime.fromisoformat(self.created_on or "")
        except ValueError:
            return 0
        if created.tzinfo is None:
            created = created.replace(tzinfo=UTC)
        return max(0.0, (now - created).total_seconds())


class RolesInEffectInputs(BaseModel):
    """The properties that a program declares."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    roles: tuple[Role, ...]
    seconds: int
    kubeconfig: str | None = None


class RolesInEffectProvider(dynamic.ResourceProvider):
    """Waits when it is created, and for each role that is added; reads, deletes and previews do nothing.

    Pulumi pickles it into the stack's state, as `ManagedProvider` says.
    """

    serialize_as_secret_always = False

    def configure(self, _req: dynamic.ConfigureRequest) -> None:
        """Silence the libraries in Pulumi's plugin process."""
        silence_libraries()

    def diff(self, _id: str, olds: Properties, news: Properties) -> dynamic.DiffResult:
        """Return a change if the roles are others: the rest says how to wait, and is no difference."""
        return dynamic.DiffResult(changes=_ids(olds) != _ids(news))

    def create(self, props: Properties) -> dynamic.CreateResult:
        """Wait until every role is in effect."""
        inputs = _parse(props)
        _wait(inputs, inputs.roles)
        return dynamic.CreateResult(_ID, inputs.model_dump(mode="json", exclude_none=True))

    def update(self, _id: str, olds: Properties, news: Properties) -> dynamic.UpdateResult:
        """Wait until the roles that were added are in effect."""
        inputs, known = _parse(news), _ids(olds)
        _wait(inputs, [role for role in inputs.roles if role.id not in known])
        return dynamic.UpdateResult(inputs.model_dump(mode="json", exclude_none=True))


def _parse(props: Properties) -> RolesInEffectInputs:
    given = {key: value for key, value in props.items() if key != PROVIDER_KEY and value is not None}
    try:
        return RolesInEffectInputs.model_validate(given)
    except ValidationError as error:
        paths = [".".join(map(str, failure["loc"])) for failure in error.errors()]
        raise ResourceError(f"roles in effect: invalid {', '.join(paths)}") from None


def _ids(props: Properties) -> set[Any]:
    """Return the ids of the roles; one that a preview does not know is in no other set."""
    roles = props.get("roles")
    if not isinstance(roles, list):  # unknown as a whole
        return {roles}
    return {role.get("id") if isinstance(role, dict) else role for role in roles}


def _wait(inputs: RolesInEffectInputs, roles: Sequence[Role]) -> None:
    """Return when `roles` are in effect, by their age, or earlier if the cluster confirms it."""
    local = os.environ.get(SECONDS_VARIABLE)
    seconds = inputs.seconds if local is None else float(local)
    now = datetime.now(UTC)
    pause = max((seconds - role.age(now) for role in roles), default=0.0)
    if pause <= 0:
        return
    if inputs.kubeconfig is not None and local is None:
        _ask(inputs.kubeconfig, pause + _GRACE_SECONDS)
        return
    if local is None:
        say = f"waits {pause / 60:.0f} min until Azure applies {len(roles)} new role assignments"
        print(say, file=sys.stderr)  # noqa: T201 - Pulumi shows it beside the resource
    time.sleep(pause)


def _ask(kubeconfig: str, seconds: float) -> None:
    """Ask the cluster until the deployer may create namespaces; a ResourceError after `seconds`."""
    if problem := check_sign_in(kubeconfig):
        raise ResourceError(problem)
    deadline = time.monotonic() + seconds
    while refusal := why_refused(kubeconfig):
        if time.monotonic() >= deadline:
            raise ResourceError(
                f"the cluster does not let the deployer create namespaces: {refusal}. Set "
                "cluster.administrators to a group with the deployer in it, or deploy as the first deployer"
            )
        time.sleep(_ASK_SECONDS)


@dataclass(kw_only=True)
class RolesInEffectArgs:
    """Which roles to wait for, and how."""

    roles: "Sequence[RoleAssignment | RoleDefinition]"
    seconds: int = ASSIGNMENT_SECONDS
    """The age at which Azure has applied a role."""
    kubeconfig: pulumi.Input[str] | None = None
    """The cluster to ask, if the roles let the deployer administer it."""


class RolesInEffect(dynamic.Resource, module="identity", name="RolesInEffect"):
    """A wait between roles and their first use: resources that use the roles depend on it.

    It waits until each role is as old as Azure may take to apply it, so a role that exists for that long
    costs no wait. Azure offers no way to ask whether another identity's role works. Roles of the deployer on
    a cluster can be asked for, with `kubeconfig`: then it waits only until the cluster agrees. Later updates
    wait only for roles that were added.
    """

    def __init__(
        self, name: str, args: RolesInEffectArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        properties: dict[str, Any] = {
            "roles": [{"id": role.id, "created_on": role.created_on} for role in args.roles],
            "seconds": args.seconds,
            "kubeconfig": args.kubeconfig,
        }
        super().__init__(RolesInEffectProvider(), name, properties, opts)
