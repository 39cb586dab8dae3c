"""What a stack declares: the platform, or its imports alone in an existing workspace."""

import functools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from components.identity.identity import Role
from stacks.imports_alone import ImportsAlone
from stacks.platform import Platform
from stacks.settings.load import load
from tests.unit.stacks.stack_config import PRINCIPAL, config
from tools.declared import RESOURCES, Declared, declare

#: The containers of the workspace's own storage that jobs use, as `grants` writes them.
LOGS_CONTAINER = "mlw/blobServices/default/containers/azureml"
CODE_CONTAINER = f"{LOGS_CONTAINER}-blobstore-GUID"

#: When the stacks are deployed.
NOW = datetime(2026, 11, 24, 5, tzinfo=UTC)

SCHEDULE = "pulumi-python:dynamic/azureml:ImportSchedule"
CONNECTION = "pulumi-python:dynamic/azureml:SnowflakeConnection"

MACHINE_LEARNING_GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/ml"
_PROVIDERS = f"{MACHINE_LEARNING_GROUP}/providers"
WORKSPACE_ID = f"{_PROVIDERS}/Microsoft.MachineLearningServices/workspaces/mlw"
CONTAINER_ID = f"{_PROVIDERS}/Microsoft.Storage/storageAccounts/lake/blobServices/default/containers/raw"
VAULT_ID = f"{_PROVIDERS}/Microsoft.KeyVault/vaults/kv"
#: The settings of an existing workspace.
EXISTING_WORKSPACE: dict[str, Any] = {
    "workspaceId": WORKSPACE_ID,
    "datastore": "raw",
    "containerId": CONTAINER_ID,
    "identityClientId": PRINCIPAL,
    "identityPrincipalId": PRINCIPAL.replace("5ab0", "7e4a"),
}


def declare_platform(**changes: Any) -> Declared:
    """Return the platform of a config with `changes`; the same changes are rendered once in a process."""
    return _declare_platform(json.dumps(changes))


@functools.cache
def _declare_platform(changes: str) -> Declared:
    settings = load(config(**json.loads(changes)))
    return declare(lambda: Platform(settings, "test", NOW))


def declare_imports_alone(existing: dict[str, Any], **changes: Any) -> Declared:
    """Return the imports of a stack in an existing workspace; the same ones are rendered once."""
    return _declare_imports_alone(json.dumps({"existing": existing, **changes}))


@functools.cache
def _declare_imports_alone(changes: str) -> Declared:
    settings = load(config(**json.loads(changes)))
    existing = settings.existing
    assert existing is not None
    return declare(lambda: ImportsAlone(settings, existing, "test", NOW))


def grants(declared: Declared) -> Iterator[tuple[str, str, str]]:
    """Yield each role assignment as principal, role and scope, without the platform's name."""
    builtin = {role.value: role.name for role in Role}
    for assignment in declared.all("azure-native:authorization:RoleAssignment"):
        inputs = assignment.inputs
        principal = inputs["principalId"].removeprefix("principal-globodev").removeprefix("-")
        role = inputs["roleDefinitionId"].rsplit("/", 1)[1]
        scope = inputs["scope"].removeprefix(f"{RESOURCES}/globodev").removeprefix("-")
        yield principal, builtin.get(role, role.removeprefix("globodev-")), scope
