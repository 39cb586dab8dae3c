"""Every combination of the settings that matter to security, held against the rules of `security`."""

import copy
import itertools
from typing import Any

import pytest

from stacks.settings.load import load
from tests.unit.stacks import security
from tests.unit.stacks.declared_stacks import declare_platform
from tests.unit.stacks.security import Case, violations
from tests.unit.stacks.stack_config import (
    EXISTING_NETWORK,
    OFFICE,
    PRINCIPAL,
    SUBNET,
    config,
    imports,
    refusal,
    snowflake,
)
from tools.declared import SUBSCRIPTION

FLAGS = ("isolation", "keep", "customer_managed_key", "existing_network", "cluster", "mode")
COMBINATIONS = list(
    itertools.product(
        ["private", "public"],
        [False, True],
        [False, True],
        [False, True],
        [True, False],
        ["stream", "unload"],
    )
)


def settings_case(
    isolation: str, keep: bool, customer_managed_key: bool, existing_network: bool, cluster: bool, mode: str
) -> dict[str, Any]:
    """Return the settings of one combination, in addition to those of every stack."""
    network: dict[str, Any] = dict(EXISTING_NETWORK) if existing_network else {}
    if isolation == "public":
        network["allowedAddressRanges"] = OFFICE
        if existing_network:
            network["egressAddressRanges"] = ["198.51.100.7/32"]
    return {
        "isolation": isolation,
        "keep": keep,
        "customerManagedKey": customer_managed_key,
        "network": network,
        "cluster": {"enabled": cluster},
        "imports": imports(mode=mode),
        "snowflake": snowflake(unload={"subnetIds": [f"{SUBNET}/snowflake"]}),
    }


def declared_case(*flags: Any) -> Case:
    changes = settings_case(*flags)
    return Case(load(config(**changes)), declare_platform(**changes))


@pytest.mark.matrix
@pytest.mark.parametrize("flags", COMBINATIONS, ids=lambda flags: "-".join(map(str, flags)))
def test_no_combination_of_settings_breaks_a_rule(flags: tuple[str, bool, bool, bool, bool, str]) -> None:
    assert violations(declared_case(*flags)) == []


PRIVATE = ("private", True, True, False, True, "unload")
PUBLIC = ("public", False, False, False, True, "stream")


def changed(inputs: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return the inputs with another value at a dotted path; None takes it away."""
    inputs = copy.deepcopy(inputs)
    *parents, last = path.split(".")
    inner: Any = inputs
    for key in parents:
        inner = inner[int(key)] if isinstance(inner, list) else inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return inputs


DIAGNOSTICS = "azure-native:monitor:DiagnosticSetting"
ENDPOINT = "azure-native:network:PrivateEndpoint"
LOCK = "azure-native:authorization:ManagementLockByScope"


@pytest.mark.parametrize(
    ("flags", "type_", "path", "value", "rule"),
    [
        (PRIVATE, security.VAULT, "properties.publicNetworkAccess", "Enabled", "public_endpoints"),
        (PRIVATE, security.VAULT, "properties.networkAcls.defaultAction", "Allow", "public_endpoints"),
        (PRIVATE, security.REGISTRY, "publicNetworkAccess", None, "public_endpoints"),
        (PUBLIC, security.STORAGE, "networkRuleSet.ipRules", [], "public_endpoints"),
        (PUBLIC, security.REGISTRY, "networkRuleSet.defaultAction", "Allow", "public_endpoints"),
        (PUBLIC, security.STORAGE, "networkRuleSet.virtualNetworkRules", [{"id": "x"}], "snowflake_reaches"),
        (PRIVATE, security.WORKSPACE, "publicNetworkAccess", "Enabled", "other_endpoints"),
        (PRIVATE, security.LOGS, "publicNetworkAccessForQuery", None, "other_endpoints"),
        (PRIVATE, security.INSIGHTS, "publicNetworkAccessForIngestion", "Enabled", "other_endpoints"),
        (PRIVATE, security.COLLECTION, "networkAcls.publicNetworkAccess", "Enabled", "other_endpoints"),
        (PRIVATE, security.METRICS, "publicNetworkAccess", "Enabled", "other_endpoints"),
        (PRIVATE, ENDPOINT, "subnet.id", "elsewhere", "private_services"),
        (
            PUBLIC,
            ENDPOINT,
            "privateLinkServiceConnections.0.privateLinkServiceId",
            "elsewhere",
            "private_services",
        ),
        (PUBLIC, security.STORAGE, "allowSharedKeyAccess", True, "no_key"),
        (PUBLIC, security.STORAGE, "allowBlobPublicAccess", None, "no_key"),
        (PUBLIC, security.REGISTRY, "adminUserEnabled", True, "no_key"),
        (PUBLIC, security.VAULT, "properties.enableRbacAuthorization", False, "no_key"),
        (PUBLIC, security.LOGS, "features.disableLocalAuth", False, "no_key"),
        (PUBLIC, security.CLUSTER, "disableLocalAccounts", False, "no_key"),
        (PUBLIC, security.WORKSPACE, "systemDatastoresAuthMode", "AccessKey", "no_key"),
        (PUBLIC, security.STORAGE, "minimumTlsVersion", "TLS1_0", "traffic"),
        (PRIVATE, security.STORAGE, "encryption.keySource", "Microsoft.Storage", "data_is_encrypted"),
        (PRIVATE, security.WORKSPACE, "encryption", None, "data_is_encrypted"),
        (PRIVATE, security.CLUSTER, "diskEncryptionSetID", None, "data_is_encrypted"),
        (
            PRIVATE,
            "azure-native:compute:DiskEncryptionSet",
            "rotationToLatestKeyVersionEnabled",
            True,
            "no_rotation",
        ),
        (PRIVATE, security.WORKSPACE, "enableServiceSideCMKEncryption", None, "metadata"),
        (
            PRIVATE,
            security.WORKSPACE,
            "managedNetwork.isolationMode",
            "AllowInternetOutbound",
            "jobs_get_out",
        ),
        (PRIVATE, security.CLUSTER, "apiServerAccessProfile.enablePrivateCluster", False, "api_server"),
        (PRIVATE, security.CLUSTER, "apiServerAccessProfile.privateDNSZone", "system", ""),
        (PUBLIC, security.CLUSTER, "apiServerAccessProfile.authorizedIPRanges", [], "api_server"),
        (PUBLIC, security.CLUSTER, "apiServerAccessProfile.disableRunCommand", False, "api_server"),
        (
            PUBLIC,
            "azure-native:network:NetworkSecurityGroup",
            "securityRules.0.sourceAddressPrefix",
            "Internet",
            "nothing_comes_in",
        ),
        (
            PUBLIC,
            "azure-native:network:VirtualNetwork",
            "subnets.0.networkSecurityGroup",
            None,
            "nothing_comes_in",
        ),
        (PUBLIC, DIAGNOSTICS, "resourceUri", "elsewhere", "everything_that_has_logs"),
        (PRIVATE, LOCK, "scope", "elsewhere", "what_holds_data"),
        (PRIVATE, security.VAULT, "properties.enablePurgeProtection", None, "what_holds_data"),
        (PUBLIC, security.VAULT, "properties.enableSoftDelete", False, "what_holds_data"),
        (
            PUBLIC,
            "azure-native:storage:BlobServiceProperties",
            "deleteRetentionPolicy.enabled",
            False,
            "deleted_data",
        ),
        (
            PUBLIC,
            "azure-native:authorization:RoleAssignment",
            "scope",
            SUBSCRIPTION,
            "nobody_is_granted",
        ),
    ],
)
def test_each_rule_finds_what_breaks_it(
    flags: tuple[str, bool, bool, bool, bool, str], type_: str, path: str, value: Any, rule: str
) -> None:
    case = declared_case(*flags)
    broken = copy.copy(case.declared)
    broken.resources = [copy.copy(resource) for resource in case.declared.resources]
    resource = next(
        resource
        for resource in broken.resources
        if resource.typ == type_ and not resource.name.endswith("-cmk")
    )
    resource.inputs = changed(resource.inputs, path, value)
    found = violations(Case(case.settings, broken))
    assert found
    assert all(line.startswith(rule) for line in found)


def test_a_resource_without_deletion_protection_is_found() -> None:
    case = declared_case(*PRIVATE)
    broken = copy.copy(case.declared)
    broken.protected = case.declared.protected - {"globodevlake"}
    assert violations(Case(case.settings, broken)) == [
        "what_holds_data_is_kept_where_it_should_be: globodevlake protect"
    ]


def test_a_zone_that_no_endpoint_uses_is_found() -> None:
    case = declared_case(*PRIVATE)
    broken = copy.copy(case.declared)
    broken.resources = [r for r in broken.resources if r.name != "globodevregistry-registry-endpoint-zones"]
    found = violations(Case(case.settings, broken))
    assert "every_zone_is_used_by_an_endpoint: globodev-dns-privatelink.azurecr.io" in found


@pytest.mark.parametrize("imported", [True, False], ids=["imports", "no-imports"])
def test_people_whose_jobs_could_act_as_other_identities_are_refused_in_every_combination(
    imported: bool,
) -> None:
    for flags in COMBINATIONS:
        changes = settings_case(*flags) | ({} if imported else {"imports": []})
        people = refusal(**changes, workspace={"dataScientists": PRINCIPAL})
        assert people.startswith("ai-platform:workspace.dataScientists: their jobs could act as")
        assert ("the importer's" in people) is imported
        assert ("encryption key" in people) is flags[2]


def test_refusal_of_people_names_the_identities_of_compute_clusters() -> None:
    clusters = {"computeClusters": [{"name": "cpu", "vmSize": "Standard_D4ds_v5"}]}
    people = {"dataScientists": PRINCIPAL}
    assert "compute clusters" not in refusal(workspace=people)
    assert "compute clusters" in refusal(workspace=people | clusters)
    assert "compute clusters" in refusal(workspace=people, importerImage=None)


def test_people_are_accepted_beside_the_setting_that_names_what_their_jobs_can_do() -> None:
    accepted = {"dataScientists": PRINCIPAL, "dataScientistsActAsWorkspaceIdentities": True}
    settings = load(config(workspace=accepted))
    assert settings.workspace.data_scientists == PRINCIPAL


def test_people_who_gain_the_roles_of_a_workspaces_identities_are_found() -> None:
    case = declared_case(*PRIVATE)
    workspace = case.settings.workspace.model_copy(update={"data_scientists": PRINCIPAL})
    settings = case.settings.model_copy(update={"workspace": workspace})
    rule = "people_have_every_role_that_their_jobs_can_act_with: globodevmlw: its jobs can act as"
    assert violations(Case(settings, case.declared)) == [
        f"{rule} globodevmlw-identity",
        f"{rule} globodev-importer",
        f"{rule} globodev-cmk-identity",
    ]
