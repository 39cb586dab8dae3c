"""Imports in an existing workspace, without the platform."""

from typing import Any

import pytest

from components.identity.identity import Role
from tests.unit.stacks.declared_stacks import (
    CONNECTION,
    CONTAINER_ID,
    EXISTING_WORKSPACE,
    SCHEDULE,
    VAULT_ID,
    WORKSPACE_ID,
    declare_imports_alone,
)
from tests.unit.stacks.stack_config import PRINCIPAL, refusal, snowflake
from tools.declared import Declared

DATASTORE = "azure-native:machinelearningservices:Datastore"


def roles(declared: Declared) -> set[tuple[str, str]]:
    assignments = [r.inputs for r in declared.all("azure-native:authorization:RoleAssignment")]
    assert {a["principalId"] for a in assignments} == {EXISTING_WORKSPACE["identityPrincipalId"]}
    return {(a["roleDefinitionId"].rsplit("/", 1)[1], a["scope"]) for a in assignments}


def test_imports_alone_need_no_region() -> None:
    without, with_region = (
        declare_imports_alone(EXISTING_WORKSPACE, **changes) for changes in ({"location": None}, {})
    )
    assert {r.name: r.inputs for r in without.resources} == {r.name: r.inputs for r in with_region.resources}


def test_existing_workspace_gets_only_connection_schedule_and_roles() -> None:
    declared = declare_imports_alone(EXISTING_WORKSPACE)
    made = {r.typ for r in declared.resources if not r.typ.startswith(("ai-platform:", "pulumi:"))}
    assert made == {
        CONNECTION,
        SCHEDULE,
        "azure-native:authorization:RoleAssignment",
        "azure-native:authorization:RoleDefinition",
        "pulumi-python:dynamic/identity:RolesInEffect",
    }
    schedule = declared.one(SCHEDULE)
    assert schedule["workspace"]["name"] == "mlw"
    assert schedule["spec"]["datastore"] == "raw"
    assert schedule["identity_client_id"] == PRINCIPAL
    assert roles(declared) == {
        ("globodev-data-registrar", WORKSPACE_ID),
        (Role.STORAGE_BLOB_DATA_CONTRIBUTOR, CONTAINER_ID),
    }


def test_datastore_without_a_container_gets_no_role_on_one() -> None:
    declared = declare_imports_alone({**EXISTING_WORKSPACE, "containerId": None})
    assert roles(declared) == {("globodev-data-registrar", WORKSPACE_ID)}


def test_container_without_a_datastore_is_registered_as_one() -> None:
    declared = declare_imports_alone(
        {key: value for key, value in EXISTING_WORKSPACE.items() if key != "datastore"}
    )
    datastore = declared.one(DATASTORE)
    assert datastore["workspaceName"] == "mlw"
    assert (datastore["properties"]["accountName"], datastore["properties"]["containerName"]) == (
        "lake",
        "raw",
    )
    assert datastore["properties"]["endpoint"] == "core.windows.net"
    # its name has the stack's, as other stacks may use the workspace; earlier versions named it `rawdata`
    assert declared.one(SCHEDULE)["spec"]["datastore"] == "rawdata_globodev"
    assert declared.ignored["globodev-rawdata"] == ["name"]


def test_connection_is_named_after_the_stack_and_marked_as_its_own() -> None:
    connection = declare_imports_alone(EXISTING_WORKSPACE).one(CONNECTION)
    assert connection["connection_name"] == "snowflake_globodev"
    assert connection["managed_by_stack"] == "ai-platform/test/globodev-snowflake"


@pytest.mark.parametrize(
    ("names", "adopted"),
    [
        ([], (False, False)),
        (["import_raw_house_data"], (True, False)),
        (["snowflake_globodev", "import_other"], (False, True)),
    ],
)
def test_only_the_schedules_and_connections_in_adopt_are_taken_over(
    names: list[str], adopted: tuple[bool, bool]
) -> None:
    declared = declare_imports_alone({**EXISTING_WORKSPACE, "adopt": names})
    assert (declared.one(SCHEDULE)["adopt"], declared.one(CONNECTION)["adopt"]) == adopted


def test_secret_is_read_from_the_given_vault() -> None:
    key = snowflake(signIn="key_pair", user="IMPORTER", secretName="key")
    declared = declare_imports_alone({**EXISTING_WORKSPACE, "vaultId": VAULT_ID}, snowflake=key)
    assert declared.one(CONNECTION)["secret_uri"] == "https://kv.vault.azure.net/secrets/key"
    assert (Role.KEY_VAULT_SECRETS_USER, f"{VAULT_ID}/secrets/key") in roles(declared)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"workspaceId": "mlw"}, "existing.workspaceId: String should match pattern"),
        ({"datastore": None, "containerId": None}, "existing.datastore: required if containerId is absent"),
        ({"identityClientId": None}, "existing.identityClientId: "),
    ],
)
def test_missing_or_malformed_setting_is_one_line(changes: dict[str, Any], line: str) -> None:
    said = refusal(existing={**EXISTING_WORKSPACE, **changes})
    assert said.startswith(f"ai-platform:{line}")
    assert "\n" not in said


def test_secret_without_a_vault_is_one_line() -> None:
    key = snowflake(signIn="key_pair", user="IMPORTER", secretName="key")
    assert refusal(existing=EXISTING_WORKSPACE, snowflake=key) == (
        "ai-platform:existing.vaultId: required if snowflake.secretName is set"
    )
