"""The roles of the local cloud: to which scopes they apply, when, and what services ask of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from localcloud.arm import ArmStore, Document
from localcloud.home import Home
from localcloud.providers.azure_roles import NEEDS, AzureRoles
from localcloud.providers.grpc_provider import ProviderError
from localcloud.roles import ASSIGNMENT, DEFINITION, TITLES, Roles

GROUP = "/subscriptions/s/resourceGroups/g"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/key"
CRYPTO = next(role for role, title in TITLES.items() if title.startswith("Key Vault Crypto"))
STORAGE = "Microsoft.Storage/storageAccounts"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, {}, role_seconds=60)


@pytest.fixture
def store(home: Home) -> ArmStore:
    store = ArmStore(home.arm_db)
    put(store, IDENTITY, "Microsoft.ManagedIdentity/userAssignedIdentities", principalId="p", clientId="c")
    put(store, VAULT, "Microsoft.KeyVault/vaults")
    return store


def put(store: ArmStore, arm_id: str, type_: str, **properties: Any) -> None:
    store.put(
        arm_id, {"id": arm_id, "name": arm_id.rsplit("/", 1)[1], "type": type_, "properties": properties}
    )


def assign(store: ArmStore, scope: str, age: float | None, role: str = CRYPTO) -> None:
    """Assign the role at the scope, some seconds ago; None: at a time that is not recorded."""
    created = {} if age is None else {"createdOn": (datetime.now(UTC) - timedelta(seconds=age)).isoformat()}
    put(
        store,
        f"{scope}/providers/{ASSIGNMENT}/a",
        ASSIGNMENT,
        principalId="p",
        roleDefinitionId=f"/subscriptions/s/providers/{DEFINITION}/{role}",
        **created,
    )


def encrypted_account() -> Document:
    encryption = {
        "encryptionIdentity": {"encryptionUserAssignedIdentity": IDENTITY},
        "keyVaultProperties": {"keyVaultUri": "https://127.0.0.1:1/vaults/kv/"},
    }
    return {"id": f"{GROUP}/lake", "name": "lake", "type": STORAGE, "properties": {"encryption": encryption}}


@pytest.mark.parametrize(
    ("scope", "age", "why"),
    [
        (VAULT, 61, None),
        (VAULT, None, None),
        (GROUP, 61, None),
        (VAULT.upper(), 61, None),
        (VAULT, 1, "is not in effect yet"),
        (f"{VAULT}/keys/k", 61, "no such role assignment"),
        (f"{VAULT}2", 61, "no such role assignment"),
    ],
    ids=["on-it", "unrecorded-time", "above", "other-case", "too-new", "below", "other-vault"],
)
def test_role_works_at_its_scope_and_below_once_it_is_old_enough(
    home: Home, store: ArmStore, scope: str, age: float | None, why: str | None
) -> None:
    assign(store, scope, age)
    lacking = Roles(home, store).why_lacking("p", TITLES[CRYPTO], VAULT)
    assert lacking is None if why is None else why in str(lacking)


def test_storage_account_needs_its_identitys_role_on_the_vault_of_its_key(
    home: Home, store: ArmStore
) -> None:
    roles = AzureRoles(home, store)
    with pytest.raises(ProviderError, match=r"Key Vault Crypto .*\(403 KeyVaultAuth.*assign the role"):
        roles.check(encrypted_account())
    assign(store, VAULT, 61, role=next(role for role in TITLES if role != CRYPTO))
    with pytest.raises(ProviderError, match="no such role assignment"):
        roles.check(encrypted_account())
    assign(store, VAULT, 61)
    roles.check(encrypted_account())
    roles.check({**encrypted_account(), "properties": {"encryption": {"keySource": "Microsoft.Storage"}}})


def test_custom_role_is_assigned_only_when_it_is_known(home: Home, store: ArmStore) -> None:
    definition = f"{GROUP}/providers/{DEFINITION}/custom"
    body: Document = {"id": "a", "type": ASSIGNMENT, "properties": {"roleDefinitionId": definition}}
    new: Document = {"type": DEFINITION, "properties": {}}
    AzureRoles(home, store).date(new, None, datetime.now(UTC))
    put(store, definition, DEFINITION, **new["properties"])
    with pytest.raises(ProviderError, match="404 RoleDefinitionDoesNotExist"):
        AzureRoles(home, store).check_definition(body)
    AzureRoles(Home(home.path, {}), store).check_definition(body)


def test_update_of_an_assignment_keeps_the_time_of_its_creation(home: Home, store: ArmStore) -> None:
    stored: Document = {"properties": {"createdOn": "2026-01-01T00:00:00+00:00"}}
    body: Document = {"type": ASSIGNMENT, "properties": {}}
    AzureRoles(home, store).date(body, stored, datetime.now(UTC))
    assert body["properties"]["createdOn"] == "2026-01-01T00:00:00+00:00"


def test_every_role_of_the_table_has_an_id() -> None:
    assert {need.role for needs in NEEDS.values() for need in needs} <= set(TITLES.values())
