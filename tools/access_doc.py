"""Writes docs/access.md, the page of role assignments; with --check it fails if the page is out of date."""

import logging
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pulumi.runtime import MockResourceArgs

from components.identity.identity import Role
from stacks.platform import Platform
from stacks.settings.stack import Settings
from tools.declared import Declared, declare
from tools.page import write_or_check

ROOT = Path(__file__).resolve().parents[1]

HEAD = """# Role assignments

Each identity of the platform, and every role that the program assigns to it. Names are those of the
resources in `pulumi stack`, without the stack's name. This page is generated from the program, with the
settings of `Pulumi.prod.yaml` and then with those in the last column: `make docs`.

No other role is assigned. The deployer needs Owner on the subscription, or on the resource group if that
existed before and was adopted with `pulumi import`: role assignments, role definitions and locks require it.

| identity | role | scope | only if |
| --- | --- | --- | --- |
"""

_GROUP = "/subscriptions/s/resourceGroups/g"
_HUB = f"/subscriptions/{uuid.UUID(int=0)}/resourceGroups/hub/providers/Microsoft.Network"
_SUBNETS = f"{_HUB}/virtualNetworks/hub/subnets"
_ZONE = "privatelink.westeurope.azmk8s.io"

#: The settings that add roles, by their description on the page.
VARIATIONS: dict[str, dict[str, Any]] = {
    "`snowflake.secretName` is set": {
        "snowflake": {"signIn": "key_pair", "user": "IMPORTER", "secretName": "snowflake"}
    },
    "an import has `curate`": {"imports": {"curate": {"asset": "clean"}}},
    "an import has the mode `unload`": {
        "imports": {"mode": "unload"},
        "snowflake": {"unload": {"subnetIds": [f"{_SUBNETS}/snowflake"]}},
    },
    "`snowflake.unload.integrationPrincipal` is set": {
        "imports": {"mode": "unload"},
        "snowflake": {
            "unload": {
                "subnetIds": [f"{_SUBNETS}/snowflake"],
                "storageIntegration": "LAKE",
                "integrationPrincipal": str(uuid.UUID(int=0)),
            }
        },
    },
    "`importerImage` is absent": {"importerImage": None, "importerRegistryId": None},
    "`importerImage` is in the platform's registry": {
        "importerImage": f"globoprodregistry0a1b2c3d.azurecr.io/importer@sha256:{'0' * 64}",
        "importerRegistryId": None,
    },
    "`workspace.computeClusters` is not empty": {
        "workspace": {"computeClusters": [{"name": "cpu", "vmSize": "Standard_D4ds_v5"}]}
    },
    "`workspace.dataScientists` is set": {
        "workspace": {
            "dataScientists": str(uuid.UUID(int=1)),
            "dataScientistsActAsWorkspaceIdentities": True,
        }
    },
    "`workspace.cosmosDbPrincipal` is set": {"workspace": {"cosmosDbPrincipal": str(uuid.UUID(int=2))}},
    "`network.dnsZoneIds` has the zone of the API server": {
        "network": {
            "nodesSubnetId": f"{_SUBNETS}/nodes",
            "endpointsSubnetId": f"{_SUBNETS}/endpoints",
            "dnsZoneIds": {_ZONE: f"{_HUB}/privateDnsZones/{_ZONE}"},
        }
    },
}

#: Names of built-in roles that do not follow from the name in the enumeration.
TITLES = {
    Role.ACR_PULL: "AcrPull",
    Role.ACR_PUSH: "AcrPush",
    Role.AI_NETWORK_CONNECTION_APPROVER: "Azure AI Enterprise Network Connection Approver",
    Role.AKS_RBAC_CLUSTER_ADMIN: "Azure Kubernetes Service RBAC Cluster Admin",
    Role.AZUREML_DATA_SCIENTIST: "AzureML Data Scientist",
    Role.PRIVATE_DNS_ZONE_CONTRIBUTOR: "Private DNS Zone Contributor",
}


#: The types of existing resources.
_SINGULAR = {
    "privateDnsZones": "private DNS zone",
    "registries": "registry",
    "virtualNetworks": "network",
}

#: The principals that the program does not create.
PRINCIPALS = {
    "o": "the deployer",
    str(uuid.UUID(int=0)): "Snowflake's integration",
    str(uuid.UUID(int=1)): "`workspace.dataScientists`",
    str(uuid.UUID(int=2)): "Azure Cosmos DB",
}


def main() -> int:
    """Write or check the page; return the exit code."""
    logging.disable()  # the program warns that it has not checked the queries in Snowflake
    return write_or_check("access.md", HEAD + "".join(rows()), "the program")


def rows() -> Iterator[str]:
    """Yield a row for each assignment: those of the stack prod, then those of each variation."""
    settings = prod_settings()
    always = assignments(settings)
    for assignment in sorted(always):
        yield row(assignment, "")
    for condition, changes in VARIATIONS.items():
        for assignment in sorted(assignments(with_changes(settings, changes)) - always):
            yield row(assignment, condition)


def row(assignment: tuple[str, str, str], condition: str) -> str:
    """Return a row of the table."""
    identity, role, scope = assignment
    return f"| {identity} | {role} | {scope} | {condition} |\n"


def prod_settings() -> dict[str, Any]:
    """Return the settings of the stack prod, as in its YAML."""
    config = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]
    return {key.removeprefix("ai-platform:"): value for key, value in config.items()}


def with_changes(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with `changes` merged into their sections, or into the first import."""
    changed = dict(settings)
    for key, value in changes.items():
        if key == "imports":
            changed[key] = [{**settings[key][0], **value}]
        elif not isinstance(value, dict):
            changed[key] = value
        else:
            changed[key] = {**settings.get(key, {}), **value}
    return changed


def assignments(settings: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Return the role assignments: identity, role and scope."""
    stack = Settings.model_validate(settings)
    declared = declare(lambda: Platform(stack, "prod", datetime.now(UTC)), arm_id)
    found = declared.all("azure-native:authorization:RoleAssignment")
    return {
        (
            principal(assignment, stack.name),
            role_title(assignment.inputs["roleDefinitionId"], declared),
            scope_title(assignment.inputs["scope"], stack.name),
        )
        for assignment in found
    }


def arm_id(resource: MockResourceArgs) -> str:
    """Return an ARM id that contains a resource's type and Pulumi name."""
    if resource.typ == "azure-native:resources:ResourceGroup":
        return _GROUP
    type_ = resource.typ.removeprefix("azure-native:").replace(":", "/")
    return f"{_GROUP}/providers/{type_}/{resource.name}"


def principal(assignment: MockResourceArgs, name: str) -> str:
    """Return the name of an assignment's principal on the page."""
    principal_id = assignment.inputs["principalId"]
    if assignment.inputs["roleDefinitionId"].endswith(Role.AKS_RBAC_CLUSTER_ADMIN):
        return f"{PRINCIPALS[principal_id]}, or `cluster.administrators`"
    if principal_id.startswith("principal-"):
        return f"`{short(principal_id.removeprefix('principal-'), name)}`"
    return PRINCIPALS[principal_id]


def role_title(definition_id: str, declared: Declared) -> str:
    """Return the name of a built-in role, or of a role that the program defines."""
    last = definition_id.rsplit("/", 1)[1]
    if last not in set(Role):
        definition = declared.one("azure-native:authorization:RoleDefinition", last)
        # without the stack's name and the digest of the scope
        return f"*{definition['roleName'].split(' ', 1)[1].rsplit(' ', 1)[0]}*"
    role = Role(last)
    return TITLES.get(role, role.name.replace("_", " ").title())


def scope_title(scope: str, name: str) -> str:
    """Return the type and name of a scope on the page."""
    if scope == _GROUP:
        return "the resource group"
    namespace, *rest = scope.removeprefix(f"{_GROUP}/providers/").split("/")
    if not scope.startswith(f"{_GROUP}/providers/") or namespace.startswith("Microsoft"):
        return f"the existing {_SINGULAR[scope.rsplit('/', 2)[1]]}"
    kind, *names = rest
    return f"{kind} `{short('/'.join(names), name)}`"


def short(resource: str, name: str) -> str:
    """Return a resource's name without the stack's name."""
    return resource.removeprefix(name).removeprefix("-")


if __name__ == "__main__":
    sys.exit(main())
