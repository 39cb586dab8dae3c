"""Registers a snapshot of the importer's source in the workspace, for imports without an image."""

import re
import tempfile
from collections.abc import Collection
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, assert_never

import pulumi
from azure.core.exceptions import AzureError, ResourceNotFoundError
from pulumi import contains_unknowns, dynamic
from pydantic import StringConstraints

from components.dynamic.importer_snapshot import Environment, Snapshot, read_environment, read_snapshot
from components.dynamic.ownership import MARK, mark_of, stack_of
from components.dynamic.provider import ManagedInputs, ManagedProvider, Outputs, Properties
from components.dynamic.scheduled_jobs import scheduled_jobs
from components.dynamic.workspace import ChildId, WorkspaceRef, WorkspaceRefArgs
from importer.errors import ImporterError
from importer.spec.scheduled_job import CODE_VARIABLE, ENVIRONMENT_VARIABLE

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

#: The name of the code and of the environment in the workspace.
NAME = "importer"

#: What a snapshot is registered as.
_Kind = Literal["code", "environment"]

_Version = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class ImporterCodeInputs(ManagedInputs):
    """The declared versions of the code and of the environment, which are hashes of their content."""

    identity = frozenset({"workspace"})

    code_version: _Version
    environment_version: _Version
    #: The mark of this resource: it says which schedules are the same stack's.
    managed_by_stack: str | None = None

    @property
    def arm_id(self) -> ChildId:
        """The ARM id of the code; each version of it is one snapshot."""
        return ChildId(self.workspace, "codes", NAME)


class ImporterCodeProvider(ManagedProvider[ImporterCodeInputs]):
    """A version of the code and a version of the environment; a change registers new versions.

    Versions that are no longer declared are archived, not deleted, because earlier and running jobs refer to
    them (https://learn.microsoft.com/azure/machine-learning/how-to-manage-environments-v2#archive). Stacks
    with the same importer share a version: it is archived once no other stack's schedule uses it.
    """

    inputs = ImporterCodeInputs
    foreseen = frozenset({"code", "environment"})

    def check(self, olds: Properties, news: Properties) -> dynamic.CheckResult:
        """Validate, and add the ids of the declared versions, so that a preview knows them."""
        result = super().check(olds, news)
        if not result.failures and not contains_unknowns(result.inputs):
            declared = self.inputs.model_validate(result.inputs)
            result.inputs |= _registered(declared.workspace, _versions(result.inputs))
        return result

    def bring_about(self, inputs: ImporterCodeInputs, state: Properties) -> Outputs:
        """Register the files unless their version is registered already, and archive the previous versions.

        A file may have changed since the program declared its version, because a new workspace takes up to an
        hour. The outputs have the versions that were registered.
        """
        snapshot = read_snapshot()
        environment = read_environment(snapshot)
        _register_environment(inputs.workspace.client(), environment)
        _register_code(inputs.workspace, snapshot)
        now: dict[_Kind, str] = {"code": snapshot.version, "environment": environment.version}
        old = {kind: version for kind, version in _versions(state).items() if version != now[kind]}
        _archive(inputs.workspace, old, marks=(inputs.managed_by_stack, state.get(MARK)))
        return _registered(inputs.workspace, now)

    def observe(self, arm_id: ChildId, state: Properties) -> Outputs | None:
        """Return the recorded versions that are registered, also archived ones, which jobs can still use."""
        client = arm_id.workspace.client()
        found = {kind: version for kind, version in _versions(state).items() if _find(client, kind, version)}
        if not found:
            return None
        return {
            **{key: state[key] for key in (MARK,) if key in state},
            "workspace": arm_id.workspace.model_dump(mode="json"),
            **_registered(arm_id.workspace, found),
        }

    def remove(self, arm_id: ChildId, state: Properties) -> None:
        """Archive the code and the environment, unless another stack uses them."""
        _archive(arm_id.workspace, _versions(state), marks=(state.get(MARK),))


def _versions(properties: Properties) -> dict[_Kind, str]:
    """Return the versions of `code` and `environment` that the properties have."""
    names: dict[_Kind, str] = {"code": "code_version", "environment": "environment_version"}
    return {kind: str(properties[name]) for kind, name in names.items() if name in properties}


def _registered(workspace: WorkspaceRef, versions: dict[_Kind, str]) -> Outputs:
    """Return the properties of registered versions: each version and its ARM id."""
    ids = {kind: _id(workspace, kind, version) for kind, version in versions.items()}
    return {f"{kind}_version": version for kind, version in versions.items()} | ids


def _id(workspace: WorkspaceRef, kind: _Kind, version: str) -> str:
    return str(ChildId(workspace, f"{kind}s", f"{NAME}/versions/{version}"))


def _find(client: "MLClient", kind: _Kind, version: str) -> bool:
    """Return whether the version is registered."""
    try:
        _operations(client, kind).get(NAME, version)
    except ResourceNotFoundError:
        return False
    return True


def _operations(client: "MLClient", kind: _Kind) -> Any:
    match kind:
        case "code":
            return client._code  # no public attribute has the operations for code
        case "environment":
            return client.environments
        case _:
            assert_never(kind)


def _archive(workspace: WorkspaceRef, versions: dict[_Kind, str], marks: Collection[str | None]) -> None:
    """Archive the versions that exist, except those that schedules of other stacks use.

    `marks` are those of the stack: the declared one, and the recorded one, which is None in a stack that is
    older than the marks.
    """
    if not versions:
        return
    client = workspace.client()
    used = _ids_in_use(client, {stack_of(mark) for mark in marks})
    for kind, version in versions.items():
        if _id(workspace, kind, version).lower() in used or not _find(client, kind, version):
            continue
        match kind:
            case "code":
                _set_code_archived(client, workspace, version, is_archived=True)
            case "environment":
                client.environments.archive(NAME, version)
            case _:
                assert_never(kind)


def _ids_in_use(client: "MLClient", own_stacks: Collection[str | None]) -> set[str]:
    """Return the ids, in lower case, of the code and environments that schedules of other stacks use."""
    return {
        job.variables[variable].lower()
        for job in scheduled_jobs(client)
        for variable in (CODE_VARIABLE, ENVIRONMENT_VARIABLE)
        if variable in job.variables and stack_of(job.mark) not in own_stacks
    }


def _register_environment(client: "MLClient", environment: Environment) -> None:
    from azure.ai.ml import entities

    if _find(client, "environment", environment.version):
        client.environments.restore(NAME, environment.version)
        return
    client.environments.create_or_update(
        entities.Environment(
            name=NAME,
            version=environment.version,
            description="The importer's Python environment.",
            image=environment.image,
            conda_file=environment.conda,
        )
    )


def _register_code(workspace: WorkspaceRef, snapshot: Snapshot) -> None:
    """Upload the snapshot, then register it, so that a registered version is complete."""
    from azure.ai.ml.entities._assets import Code

    # without progress, azure-ai-ml waits forever for a file that it could not upload
    client = workspace.client(show_progress=True)
    if _find(client, "code", snapshot.version):
        _set_code_archived(client, workspace, snapshot.version, is_archived=False)
        return
    with tempfile.TemporaryDirectory() as directory, redirect_stderr(StringIO()):
        root = Path(directory, f"{NAME}-code")
        snapshot.write(root)
        try:
            client._code.create_or_update(Code(name=NAME, version=snapshot.version, path=root))
        except AzureError as error:
            raise ImporterError(f"cannot upload the importer's code: {_without_signature(error)}") from None


def _without_signature(error: AzureError) -> str:
    """Return the error's text without the query parts of URLs, which may contain a signature."""
    from importer.lake.azure import error_text

    return re.sub(r"\?[^\s'\")]*", "", error_text(error))


def _set_code_archived(
    client: "MLClient", workspace: WorkspaceRef, version: str, *, is_archived: bool
) -> None:
    """Archive or restore code: azure-ai-ml can do so for other assets only, but the service for all."""
    operations = client._code._version_operation
    where = {"resource_group_name": workspace.resource_group, "workspace_name": workspace.name}
    code = operations.get(name=NAME, version=version, **where)
    if bool(code.properties.is_archived) != is_archived:
        code.properties.is_archived = is_archived
        operations.create_or_update(name=NAME, version=version, body=code, **where)


@dataclass(kw_only=True)
class ImporterCodeArgs:
    """Where the code is registered; the code itself is the importer beside the program."""

    workspace: pulumi.Input[WorkspaceRefArgs]


class ImporterCode(dynamic.Resource, module="azureml", name="ImporterCode"):
    """The importer beside this program, registered as code and environment of a workspace.

    Both are versioned by content, so that a preview shows a changed importer or package, and nothing else.
    Stacks with the same importer share them. The upload goes to the workspace's own storage account, with a
    signature from the workspace: the deployer needs network access to the account, but no role on it. Azure
    ML builds the environment's image for the first job.
    """

    code: pulumi.Output[str]
    """The ARM id of the code's version."""
    environment: pulumi.Output[str]
    """The ARM id of the environment's version."""

    def __init__(self, name: str, args: ImporterCodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        snapshot = read_snapshot()
        properties = {
            "workspace": args.workspace,
            "code_version": snapshot.version,
            "environment_version": read_environment(snapshot).version,
            "code": None,
            "environment": None,
            MARK: mark_of(name),
        }
        super().__init__(ImporterCodeProvider(), name, properties, opts)
