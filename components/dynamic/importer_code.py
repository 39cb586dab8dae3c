"""Where the importer's code comes from that has no image: a snapshot of it, registered in the workspace."""

import re
import tempfile
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pulumi
from azure.core.exceptions import AzureError, ResourceNotFoundError
from pulumi import dynamic
from pydantic import StringConstraints

from components.dynamic.importer_snapshot import Environment, Snapshot, read_environment, read_snapshot
from components.dynamic.provider import ManagedInputs, ManagedProvider, Outputs, Properties
from components.dynamic.workspace import ChildId, WorkspaceRef, WorkspaceRefArgs
from importer.errors import ImporterError

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

#: What the code and the environment are called in the workspace.
NAME = "importer"

_Version = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class ImporterCodeInputs(ManagedInputs):
    """What a program declares: which files, and which environment, by what is in them."""

    identity = frozenset({"workspace"})

    code_version: _Version
    environment_version: _Version

    @property
    def arm_id(self) -> ChildId:
        """The ARM id of the code, of which each version is one snapshot."""
        return ChildId(self.workspace, "codes", NAME)


class ImporterCodeProvider(ManagedProvider[ImporterCodeInputs]):
    """A version of the code and one of the environment, which are never changed, only followed by others.

    What is no longer declared is archived, not deleted: jobs that ran it, and those that run now, name it
    (https://learn.microsoft.com/azure/machine-learning/how-to-manage-environments-v2#archive).
    """

    inputs = ImporterCodeInputs

    def bring_about(self, inputs: ImporterCodeInputs, state: Properties) -> Outputs:
        """Register the files as they are, unless they are there, and archive what there was before.

        A file may have changed while the workspace came up, which takes up to an hour: the state says what
        was registered.
        """
        snapshot = read_snapshot()
        environment = read_environment(snapshot)
        _register_environment(inputs.workspace.client(), environment)
        _register_code(inputs.workspace, snapshot)
        now = {"code": snapshot.version, "environment": environment.version}
        _archive(inputs.workspace, {kind: old for kind, old in _versions(state).items() if old != now[kind]})
        return _registered(inputs.workspace, now)

    def observe(self, arm_id: ChildId, state: Properties) -> Outputs | None:
        """Return the recorded versions that are registered; one that is archived is, and jobs can use it."""
        client = arm_id.workspace.client()
        found = {kind: version for kind, version in _versions(state).items() if _find(client, kind, version)}
        if not found:
            return None
        return {
            "workspace": arm_id.workspace.model_dump(mode="json"),
            **_registered(arm_id.workspace, found),
        }

    def remove(self, arm_id: ChildId, state: Properties) -> None:
        """Archive the code and the environment."""
        _archive(arm_id.workspace, _versions(state))


def _versions(properties: Properties) -> dict[str, str]:
    """Return the versions of `code` and `environment`, as far as the properties have them."""
    names = {"code": "code_version", "environment": "environment_version"}
    return {kind: str(properties[name]) for kind, name in names.items() if name in properties}


def _registered(workspace: WorkspaceRef, versions: dict[str, str]) -> Outputs:
    """Return the versions as properties, and their ARM ids."""
    ids = {
        kind: str(ChildId(workspace, f"{kind}s", f"{NAME}/versions/{version}"))
        for kind, version in versions.items()
    }
    return {f"{kind}_version": version for kind, version in versions.items()} | ids


def _find(client: "MLClient", kind: str, version: str) -> bool:
    """Return whether the version is registered.

    A client offers no code, though its operations are like those of everything else.
    """
    operations = client._code if kind == "code" else client.environments
    try:
        operations.get(NAME, version)
    except ResourceNotFoundError:
        return False
    return True


def _archive(workspace: WorkspaceRef, versions: dict[str, str]) -> None:
    """Archive versions; those that are gone already are no error."""
    client = workspace.client()
    for kind, version in versions.items():
        if not _find(client, kind, version):
            continue
        if kind == "code":
            _set_code_archived(client, workspace, version, is_archived=True)
        else:
            client.environments.archive(NAME, version)


def _register_environment(client: "MLClient", environment: Environment) -> None:
    from azure.ai.ml import entities

    if _find(client, "environment", environment.version):
        client.environments.restore(NAME, environment.version)
        return
    client.environments.create_or_update(
        entities.Environment(
            name=NAME,
            version=environment.version,
            description="What the importer runs in.",
            image=environment.image,
            conda_file=environment.conda,
        )
    )


def _register_code(workspace: WorkspaceRef, snapshot: Snapshot) -> None:
    """Upload the snapshot and register it: last, so that a version that is registered is whole."""
    from azure.ai.ml.entities._assets import Code

    # without progress, azure-ai-ml waits for good for a file that it could not upload
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
            raise ImporterError(f"upload of the importer's code: {_without_signature(error)}") from None


def _without_signature(error: AzureError) -> str:
    """Return the error's text without the query of an address, which may hold a signature."""
    from importer.lake.azure import error_text

    return re.sub(r"\?[^\s'\")]*", "", error_text(error))


def _set_code_archived(
    client: "MLClient", workspace: WorkspaceRef, version: str, *, is_archived: bool
) -> None:
    """Archive code, or take it back; what azure-ai-ml does for other assets, and the service for all."""
    operations = client._code._version_operation
    where = {"resource_group_name": workspace.resource_group, "workspace_name": workspace.name}
    code = operations.get(name=NAME, version=version, **where)
    if bool(code.properties.is_archived) != is_archived:
        code.properties.is_archived = is_archived
        operations.create_or_update(name=NAME, version=version, body=code, **where)


@dataclass(kw_only=True)
class ImporterCodeArgs:
    """Where the code is registered; which code it is follows from the files beside the program."""

    workspace: pulumi.Input[WorkspaceRefArgs]


class ImporterCode(dynamic.Resource, module="azureml", name="ImporterCode"):
    """The importer that lies beside this program, as code and environment of a workspace.

    Each is versioned by its content, so that a preview shows a changed importer or package, and only that.
    Uploads the code to the workspace's own storage account, with a signature that the workspace gives: who
    deploys needs no role there, but a way to it. Azure ML builds the environment's image at the first job.
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
        }
        super().__init__(ImporterCodeProvider(), name, properties, opts)
