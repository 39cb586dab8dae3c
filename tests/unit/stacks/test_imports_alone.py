"""Imports without the platform: what is made in a workspace that is there already, and nothing else."""

from typing import Any

import pytest

from components.identity.identity import Role
from stacks.imports_alone import ImportsAlone
from stacks.settings.stack import load
from tests.unit.stacks.settings.test_network import OBJECT
from tests.unit.stacks.settings.test_settings import config, refusal, snowflake
from tests.unit.stacks.test_platform import CONNECTION, SCHEDULE
from tools.declared import Declared, declare

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/ml"
PROVIDERS = f"{GROUP}/providers"
WORKSPACE = f"{PROVIDERS}/Microsoft.MachineLearningServices/workspaces/mlw"
CONTAINER = f"{PROVIDERS}/Microsoft.Storage/storageAccounts/lake/blobServices/default/containers/raw"
VAULT = f"{PROVIDERS}/Microsoft.KeyVault/vaults/kv"
EXISTING: dict[str, Any] = {
    "workspaceId": WORKSPACE,
    "datastore": "raw",
    "containerId": CONTAINER,
    "identityClientId": OBJECT,
    "identityPrincipalId": OBJECT.replace("5ab0", "7e4a"),
}
DATASTORE = "azure-native:machinelearningservices:Datastore"


def build(existing: dict[str, Any], **changes: Any) -> Declared:
    settings = load(config(existing=existing, **changes))
    assert settings.existing is not None
    alone = settings.existing
    return declare(lambda: ImportsAlone(settings, alone, "test"))


def roles(declared: Declared) -> set[tuple[str, str]]:
    assignments = [r.inputs for r in declared.all("azure-native:authorization:RoleAssignment")]
    assert {a["principalId"] for a in assignments} == {EXISTING["identityPrincipalId"]}
    return {(a["roleDefinitionId"].rsplit("/", 1)[1], a["scope"]) for a in assignments}


def test_only_connection_schedule_and_roles_are_made() -> None:
    declared = build(EXISTING)
    made = {r.typ for r in declared.resources if not r.typ.startswith(("ai-platform:", "pulumi:"))}
    assert made == {
        CONNECTION,
        SCHEDULE,
        "azure-native:authorization:RoleAssignment",
        "azure-native:authorization:RoleDefinition",
    }
    schedule = declared.one(SCHEDULE)
    assert schedule["workspace"]["name"] == "mlw"
    assert schedule["spec"]["datastore"] == "raw"
    assert schedule["identity_client_id"] == OBJECT
    assert roles(declared) == {
        ("globodev-data-registrar", WORKSPACE),
        (Role.STORAGE_BLOB_DATA_CONTRIBUTOR, CONTAINER),
    }


def test_a_datastore_of_ones_own_needs_no_container() -> None:
    declared = build({**EXISTING, "containerId": None})
    assert roles(declared) == {("globodev-data-registrar", WORKSPACE)}


def test_a_container_without_a_datastore_becomes_one() -> None:
    declared = build({key: value for key, value in EXISTING.items() if key != "datastore"})
    datastore = declared.one(DATASTORE)
    assert datastore["workspaceName"] == "mlw"
    assert (datastore["properties"]["accountName"], datastore["properties"]["containerName"]) == (
        "lake",
        "raw",
    )
    assert datastore["properties"]["endpoint"] == "core.windows.net"
    assert declared.one(SCHEDULE)["spec"]["datastore"] == "rawdata"


def test_the_secret_comes_from_the_given_vault() -> None:
    key = snowflake(signIn="key_pair", user="IMPORTER", secretName="key")
    declared = build({**EXISTING, "vaultId": VAULT}, snowflake=key)
    assert declared.one(CONNECTION)["secret_uri"] == "https://kv.vault.azure.net/secrets/key"
    assert (Role.KEY_VAULT_SECRETS_USER, f"{VAULT}/secrets/key") in roles(declared)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"workspaceId": "mlw"}, "existing.workspaceId: String should match pattern"),
        ({"datastore": None, "containerId": None}, "existing.datastore: required, or containerId"),
        ({"identityClientId": None}, "existing.identityClientId: "),
    ],
)
def test_what_is_missing_or_malformed_is_one_line(changes: dict[str, Any], line: str) -> None:
    said = refusal(existing={**EXISTING, **changes})
    assert said.startswith(f"ai-platform:{line}")
    assert "\n" not in said


def test_a_secret_without_its_vault_is_one_line() -> None:
    key = snowflake(signIn="key_pair", user="IMPORTER", secretName="key")
    assert refusal(existing=EXISTING, snowflake=key) == (
        "ai-platform:existing.vaultId: required where snowflake.secretName is set"
    )
