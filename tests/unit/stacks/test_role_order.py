"""The roles of every identity precede its users, in settings that the matrix of `test_security` lacks."""

from typing import Any

import pytest

from tests.unit.stacks.declared_stacks import (
    EXISTING_WORKSPACE,
    SCHEDULE,
    VAULT_ID,
    declare_imports_alone,
    declare_platform,
)
from tests.unit.stacks.role_order import ASSIGNMENT, WAIT, late_roles
from tests.unit.stacks.stack_config import OFFICE, SUBNET, imports, snowflake
from tools.declared import Declared, short_id

CLUSTERS = [{"name": "cpu", "vmSize": "Standard_D4ds_v5"}]
SECRET = {"signIn": "key_pair", "user": "IMPORTER", "secretName": "snowflake"}
EVERYTHING: dict[str, Any] = {
    "isolation": "private",
    "customerManagedKey": True,
    "workspace": {"computeClusters": CLUSTERS},
    "imports": imports(mode="unload", curate={"asset": "clean"}),
    "snowflake": snowflake(**SECRET, unload={"subnetIds": [f"{SUBNET}/snowflake"]}),
}
PUBLIC: dict[str, Any] = {
    "isolation": "public",
    "network": {"allowedAddressRanges": OFFICE},
    "snowflake": snowflake(**SECRET),
}


@pytest.mark.parametrize(
    "changes",
    [EVERYTHING, PUBLIC, {**EVERYTHING, "importerImage": None}],
    ids=["everything", "public", "without-image"],
)
def test_every_role_precedes_the_users_of_its_identity(changes: dict[str, Any]) -> None:
    assert list(late_roles(declare_platform(**changes))) == []


def without(declared: Declared, wait: str) -> Declared:
    """Return the same resources, with nothing that depends on the resource named `wait`."""
    changed = Declared.__new__(Declared)
    changed.resources = declared.resources
    changed.dependencies = {
        urn: {other for other in others if other.rsplit("::", 1)[1] != wait}
        for urn, others in declared.dependencies.items()
    }
    return changed


@pytest.mark.parametrize(
    ("wait", "late"),
    [
        (
            "globodev-cmk-identity-roles",
            "globodevlake does not depend on globodev-cmk-identity-key-vault-crypto",
        ),
        (
            "globodevmlw-identity-roles",
            "globodevmlw does not depend on globodevmlw-identity-contributor-on-vault",
        ),
        (
            "globodev-aks-nodes-roles",
            "globodev-aks does not depend on globodev-aks-nodes-acr-pull-on-registry",
        ),
        ("globodev-importer-roles", "schedule does not depend on globodev-importer-custom-role-on-workspace"),
        ("globodev-workflows-roles", "workflows does not depend on globodev-workflows-storage-blob"),
        ("globodev-jobs-roles", "globodevmlw-cpu does not depend on globodev-jobs-acr-pull-on-registry"),
    ],
)
def test_a_user_that_does_not_wait_is_found(wait: str, late: str) -> None:
    assert any(late in found for found in late_roles(without(declare_platform(**EVERYTHING), wait)))


def test_the_first_run_of_imports_alone_waits_for_every_role() -> None:
    existing = {**EXISTING_WORKSPACE, "vaultId": VAULT_ID}
    declared = declare_imports_alone(existing, snowflake=snowflake(**SECRET))
    (wait,) = [wait for wait in declared.all(WAIT) if wait.name == "globodev-importer-roles"]
    assert {role["id"] for role in wait.inputs["roles"]} == set(map(short_id, declared.all(ASSIGNMENT)))
    (schedule,) = declared.all(SCHEDULE)
    (others,) = [found for urn, found in declared.dependencies.items() if urn.endswith(f"::{schedule.name}")]
    assert any(urn.endswith("::globodev-importer-roles") for urn in others)


def test_the_custom_role_is_known_before_it_is_assigned() -> None:
    declared = declare_platform()
    name = "globodev-importer-custom-role-on-workspace"
    (others,) = [found for urn, found in declared.dependencies.items() if urn.endswith(f"::{name}")]
    assert any(urn.endswith("::globodev-data-registrar-known") for urn in others)


def test_the_cluster_is_asked_before_the_first_object_on_it() -> None:
    declared = declare_platform()
    wait = declared.one(WAIT, "globodev-aks-administrators-roles")
    assert "kubelogin" in wait["kubeconfig"]
    (others,) = [
        found for urn, found in declared.dependencies.items() if urn.endswith("::globodev-aks-kubernetes")
    ]
    assert any(urn.endswith("::globodev-aks-administrators-roles") for urn in others)
