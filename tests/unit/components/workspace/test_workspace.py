"""The workspace against Pulumi's mocks: who reaches it, what its jobs reach, what is only for new ones."""

import functools
from typing import Any

import pulumi
import pytest

from components.component import PrivateLinkArgs
from components.identity.identity import Role
from components.network.outbound import OutboundServiceArgs
from components.network.private_link import Zone
from components.storage.encryption import EncryptionKeyArgs
from components.workspace.workspace import ComputeClusterArgs, Workspace, WorkspaceArgs
from tests.unit.components.nested_args import in_service
from tools.declared import RESOURCES, SUBSCRIPTION, Declared, declare

WORKSPACE = "azure-native:machinelearningservices:Workspace"
COMPUTE = "azure-native:machinelearningservices:Compute"
ACCOUNT = "azure-native:storage:StorageAccount"
VAULT = "azure-native:keyvault:Vault"
ENDPOINT = "azure-native:network:PrivateEndpoint"
WAIT = "pulumi-python:dynamic/identity:RolesInEffect"
ASSIGNMENT = "azure-native:authorization:RoleAssignment"

LINK = PrivateLinkArgs(subnet_id="subnet", zone_ids={zone: f"zone-{zone}" for zone in Zone})
KEY = EncryptionKeyArgs(
    vault_id="key-vault",
    vault_uri="https://keys/",
    key_name="key",
    key_uri="https://keys/keys/key",
    key_version_uri="https://keys/keys/key/1",
    identity_id="key-identity",
    identity_client_id="key-client",
)
CLUSTER: dict[str, Any] = {
    "vm_size": "Standard_D4ds_v5",
    "max_nodes": 4,
    "idle_seconds": 900,
    "identity_id": "importer",
}
SUBNET = {"managed_network": False, "compute_subnet_id": "jobs"}


def workspace_args(**changes: Any) -> WorkspaceArgs:
    settings = {
        "resource_group": "rg-test",
        "location": "westeurope",
        "log_analytics_id": "logs",
        "application_insights_id": f"{RESOURCES}/insights",
        "tenant_id": "7e4a",
        "registry_id": f"{RESOURCES}/registry",
        "job_identity_ids": [f"{RESOURCES}/importer"],
        **changes,
    }
    return WorkspaceArgs(**in_service(**settings))


def declare_workspace(**changes: Any) -> Declared:
    return declare(lambda: Workspace("mlw", workspace_args(**changes)))


def declared_inputs(**changes: Any) -> dict[str, Any]:
    return declare_workspace(**changes).one(WORKSPACE)


def declare_cluster(changes: dict[str, Any] | None = None, **cluster: Any) -> Declared:
    def program() -> None:
        workspace = Workspace("mlw", workspace_args(**(changes or {})))
        workspace.add_compute_cluster("cpu", ComputeClusterArgs(**{**CLUSTER, **cluster}))

    return declare(program)


def options_of(type_: str, **changes: Any) -> pulumi.ResourceOptions:
    """Return the options, which mocks do not see, of the only child of a type."""
    found: list[pulumi.ResourceOptions] = []

    def record(args: pulumi.ResourceTransformationArgs) -> None:
        if args.type_ == type_:
            found.append(args.opts)

    def program() -> None:
        workspace = Workspace(
            "mlw", workspace_args(**changes), pulumi.ResourceOptions(transformations=[record])
        )
        workspace.add_compute_cluster("cpu", ComputeClusterArgs(**CLUSTER))

    declare(program)
    (options,) = found
    return options


def names_before(type_: str, **changes: Any) -> set[str]:
    """Return the names of what the only child of a type waits for."""
    waits_for = options_of(type_, **changes).depends_on
    assert isinstance(waits_for, list)
    return {item.pulumi_resource_name for item in waits_for}


def roles(declared: Declared) -> set[tuple[str, str]]:
    """Return the roles that were assigned, each with the last part of its name, which says on what."""
    return {
        (a.inputs["roleDefinitionId"].rsplit("/", 1)[1], a.name.rsplit("-", 1)[1])
        for a in declared.all(ASSIGNMENT)
    }


def test_private_workspace_is_reached_by_its_endpoint_alone() -> None:
    declared = declare_workspace(private_link=LINK)
    assert declared.one(WORKSPACE)["publicNetworkAccess"] == "Disabled"
    endpoint = declared.one(ENDPOINT, "mlw-amlworkspace-endpoint")
    assert endpoint["privateLinkServiceConnections"][0]["groupIds"] == ["amlworkspace"]
    zones = declared.one("azure-native:network:PrivateDnsZoneGroup", "mlw-amlworkspace-endpoint-zones")
    assert {zone["privateDnsZoneId"] for zone in zones["privateDnsZoneConfigs"]} == {
        "zone-privatelink.api.azureml.ms",
        "zone-privatelink.notebooks.azure.net",
    }


def test_private_workspace_has_private_storage_and_vault() -> None:
    declared = declare_workspace(private_link=LINK)
    groups = {
        group
        for endpoint in declared.all(ENDPOINT)
        for connection in endpoint.inputs["privateLinkServiceConnections"]
        for group in connection["groupIds"]
    }
    assert groups == {"amlworkspace", "blob", "file", "queue", "table", "vault"}
    assert declared.one(ACCOUNT)["publicNetworkAccess"] == "Disabled"


def test_public_workspace_lets_only_the_ranges_to_its_storage_and_vault() -> None:
    declared = declare_workspace(allowed_address_ranges=["203.0.113.0/24"])
    assert declared.one(WORKSPACE)["publicNetworkAccess"] == "Enabled"
    assert declared.all(ENDPOINT) == []
    storage_rules = declared.one(ACCOUNT)["networkRuleSet"]
    assert storage_rules["defaultAction"] == "Deny"
    assert [rule["iPAddressOrRange"] for rule in storage_rules["ipRules"]] == ["203.0.113.0/24"]
    vault_rules = declared.one(VAULT)["properties"]["networkAcls"]
    assert vault_rules["defaultAction"] == "Deny"
    assert [rule["value"] for rule in vault_rules["ipRules"]] == ["203.0.113.0/24"]


def test_own_storage_is_as_redundant_as_wanted_and_flat() -> None:
    account = declare_workspace(storage_sku="Standard_LRS").one(ACCOUNT)
    assert account["sku"] == {"name": "Standard_LRS"}
    assert "isHnsEnabled" not in account


@pytest.mark.parametrize("keep", [False, True])
def test_kept_workspace_is_protected_and_has_no_lock_that_would_cover_private_endpoints(keep: bool) -> None:
    assert declare_workspace(keep=keep).all("azure-native:authorization:ManagementLockByScope") == []
    assert options_of(WORKSPACE, keep=keep).protect is keep
    assert not options_of(COMPUTE, keep=keep).protect


def test_workspace_acts_by_its_own_identity_and_keeps_no_key() -> None:
    workspace = declared_inputs()
    assert workspace["primaryUserAssignedIdentity"] == f"{RESOURCES}/mlw-identity"
    assert workspace["identity"]["userAssignedIdentities"] == [
        f"{RESOURCES}/mlw-identity",
        f"{RESOURCES}/importer",
    ]
    assert workspace["systemDatastoresAuthMode"] == "Identity"
    assert workspace["storageAccount"] == f"{RESOURCES}/mlw"
    assert workspace["keyVault"] == f"{RESOURCES}/mlwkv"


def test_datastore_holds_no_credential() -> None:
    def program() -> None:
        Workspace("mlw", workspace_args()).add_datastore("rawdata", "lake", "core.windows.net", "raw")

    datastore = declare(program).one("azure-native:machinelearningservices:Datastore", "mlw-rawdata")
    properties = datastore["properties"]
    assert properties["credentials"] == {"credentialsType": "None"}
    assert (properties["accountName"], properties["containerName"]) == ("lake", "raw")


def test_identity_has_the_roles_that_azure_ml_asks_for() -> None:
    assert roles(declare_workspace(managed_network=False)) == {
        (Role.CONTRIBUTOR, "storage"),
        (Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "storage"),
        (Role.CONTRIBUTOR, "vault"),
        (Role.KEY_VAULT_ADMINISTRATOR, "vault"),
        (Role.CONTRIBUTOR, "registry"),
        (Role.CONTRIBUTOR, "insights"),
        (Role.CONTRIBUTOR, "workspace"),
    }


def test_identity_approves_the_managed_networks_endpoints_in_the_group() -> None:
    group = f"{SUBSCRIPTION}/resourceGroups/rg-test"
    declared = declare(
        lambda: Workspace("mlw", workspace_args()),
        lambda resource: f"{group}/providers/Microsoft.Test/tests/{resource.name}",
    )
    assert (Role.AI_NETWORK_CONNECTION_APPROVER, "group") in roles(declared)
    approve = declared.one(ASSIGNMENT, "mlw-identity-ai-network-connection-approver-on-group")
    assert approve["scope"] == group


def test_roles_and_endpoints_come_before_the_workspace() -> None:
    assert names_before(WORKSPACE, private_link=LINK) >= {
        "mlwkv",
        "mlw-blob-endpoint-zones",
        "mlw-file-endpoint-zones",
        "mlw-identity-roles",
    }


def test_workspace_waits_for_every_role_of_its_identity_but_the_one_on_itself() -> None:
    declared = declare_workspace(private_link=LINK, studio_container_ids={"raw": f"{RESOURCES}/raw"})
    waited_for = {role["id"] for role in declared.one(WAIT, "mlw-identity-roles")["roles"]}
    names = {role.name for role in declared.all(ASSIGNMENT)} - {"mlw-identity-contributor-on-workspace"}
    assert waited_for == {f"{RESOURCES}/{name}" for name in names}
    assert "mlw-identity-storage-blob-data-reader-on-raw" in names


def test_jobs_reach_only_what_is_approved() -> None:
    workspace = declared_inputs(
        outbound_hosts=["acme.snowflakecomputing.com", "*.s3.eu-west-1.amazonaws.com"],
        outbound_service_tags=["Storage"],
        outbound_services={"lake-blob": OutboundServiceArgs(resource_id="lake", group="blob")},
        firewall_sku="Basic",
    )
    network = workspace["managedNetwork"]
    assert network["isolationMode"] == "AllowOnlyApprovedOutbound"
    assert network["firewallSku"] == "Basic"
    assert workspace["provisionNetworkNow"] is True

    def to_host(host: str) -> dict[str, Any]:
        return {"type": "FQDN", "category": "UserDefined", "destination": host}

    assert network["outboundRules"] == {
        "lake-blob": {
            "type": "PrivateEndpoint",
            "category": "UserDefined",
            "destination": {"serviceResourceId": "lake", "subresourceTarget": "blob"},
        },
        "acme-snowflakecomputing-com": to_host("acme.snowflakecomputing.com"),
        "any-s3-eu-west-1-amazonaws-com": to_host("*.s3.eu-west-1.amazonaws.com"),
        "tag-storage": {
            "type": "ServiceTag",
            "category": "UserDefined",
            "destination": {"serviceTag": "Storage", "protocol": "TCP", "portRanges": "443"},
        },
    }


def test_workspace_without_a_managed_network_says_nothing_about_it() -> None:
    workspace = declared_inputs(managed_network=False)
    assert {"managedNetwork", "provisionNetworkNow", "serverlessComputeSettings"}.isdisjoint(workspace)
    assert Role.AI_NETWORK_CONNECTION_APPROVER not in {
        role for role, _ in roles(declare_workspace(managed_network=False))
    }


@pytest.mark.parametrize("link", [None, LINK])
def test_serverless_jobs_run_in_the_given_subnet(link: PrivateLinkArgs | None) -> None:
    workspace = declared_inputs(**SUBNET, private_link=link)
    assert workspace["serverlessComputeSettings"] == {
        "serverlessComputeCustomSubnet": "jobs",
        "serverlessComputeNoPublicIP": link is not None,
    }


def test_subnet_beside_a_managed_network_is_refused() -> None:
    with pytest.raises(ValueError, match="mlw: Azure ML takes no subnet"):
        declare_workspace(compute_subnet_id="jobs")


def test_what_only_a_new_workspace_takes_is_left_out_where_it_is_off() -> None:
    assert {"encryption", "hbiWorkspace"}.isdisjoint(declared_inputs())
    assert declared_inputs(hbi=True)["hbiWorkspace"] is True
    assert options_of(WORKSPACE).replace_on_changes == ["hbiWorkspace", "encryption"]


def test_metadata_and_storage_are_encrypted_with_the_key_that_is_given() -> None:
    declared = declare_workspace(encryption_key=KEY)
    workspace = declared.one(WORKSPACE)
    assert workspace["encryption"] == {
        "status": "Enabled",
        "identity": {"userAssignedIdentity": "key-identity"},
        "keyVaultProperties": {"keyVaultArmId": "key-vault", "keyIdentifier": "https://keys/keys/key/1"},
    }
    assert "key-identity" in workspace["identity"]["userAssignedIdentities"]
    assert workspace["enableServiceSideCMKEncryption"] is True
    assert declared.one(ACCOUNT)["encryption"]["keyVaultProperties"]["keyName"] == "key"


def test_workspace_and_what_is_its_own_are_watched() -> None:
    declared = declare_workspace()
    settings = {
        setting.name: setting.inputs for setting in declared.all("azure-native:monitor:DiagnosticSetting")
    }
    assert {"mlw-diagnostics", "mlw-workspace-diagnostics", "mlwkv-diagnostics"} <= settings.keys()
    assert {inputs["workspaceId"] for inputs in settings.values()} == {"logs"}
    assert settings["mlw-workspace-diagnostics"]["logs"] == [{"categoryGroup": "allLogs", "enabled": True}]


def test_names_are_taken_once() -> None:
    declared = declare_cluster({"private_link": LINK, "keep": True})
    names = [(resource.typ, resource.name) for resource in declared.resources]
    assert len(names) == len(set(names))
    assert [name for _, name in names if not name.startswith("mlw")] == []


def test_cluster_costs_nothing_while_it_is_idle() -> None:
    cluster = declare_cluster(max_nodes=7, idle_seconds=300).one(COMPUTE)
    assert cluster["computeName"] == "cpu"
    assert cluster["properties"]["properties"]["scaleSettings"] == {
        "minNodeCount": 0,
        "maxNodeCount": 7,
        "nodeIdleTimeBeforeScaleDown": "PT300S",
    }


def test_nobody_signs_in_to_a_cluster_and_it_acts_as_its_identity() -> None:
    cluster = declare_cluster().one(COMPUTE)
    assert cluster["properties"]["disableLocalAuth"] is True
    assert cluster["properties"]["properties"]["remoteLoginPortPublicAccess"] == "Disabled"
    assert cluster["identity"] == {"type": "UserAssigned", "userAssignedIdentities": ["importer"]}


@pytest.mark.parametrize(
    ("changes", "is_public"),
    [({}, False), ({"private_link": LINK}, False), (SUBNET, True), ({**SUBNET, "private_link": LINK}, False)],
)
def test_nodes_have_a_public_address_only_in_a_public_workspaces_subnet(
    changes: dict[str, Any], is_public: bool
) -> None:
    properties = declare_cluster(changes).one(COMPUTE)["properties"]["properties"]
    assert properties["enableNodePublicIp"] is is_public
    assert ("subnet" in properties) is ("compute_subnet_id" in changes)


def test_nodes_are_in_the_given_subnet() -> None:
    properties = declare_cluster(SUBNET).one(COMPUTE)["properties"]["properties"]
    assert properties["subnet"] == {"id": "jobs"}


def test_cluster_waits_for_the_endpoint_and_the_role_on_the_workspace() -> None:
    assert names_before(COMPUTE, private_link=LINK) == {
        "mlw-amlworkspace-endpoint-zones",
        "mlw-workspace-roles",
    }


def test_cluster_is_replaced_by_what_azure_does_not_change() -> None:
    options = options_of(COMPUTE)
    assert options.delete_before_replace is True  # as its name is fixed
    assert {"properties.properties.vmSize", "properties.properties.subnet"} <= set(
        options.replace_on_changes or []
    )


def test_jobs_read_code_and_write_logs_in_containers_that_carry_the_workspaces_guid() -> None:
    found: dict[str, str] = {}

    def program() -> None:
        workspace = Workspace("mlw", workspace_args())
        for word, container_id in workspace.job_containers.items():
            container_id.apply(functools.partial(found.__setitem__, word))

    declare(program)
    containers = f"{RESOURCES}/mlw/blobServices/default/containers"
    assert found == {"code": f"{containers}/azureml-blobstore-GUID", "logs": f"{containers}/azureml"}


def test_images_are_built_on_the_cluster_that_is_named() -> None:
    assert declared_inputs(image_build_compute="builds")["imageBuildCompute"] == "builds"
    assert "imageBuildCompute" not in declared_inputs()


def test_private_endpoints_to_services_elsewhere_are_approved_by_a_role_on_each() -> None:
    registry = f"{SUBSCRIPTION}/resourceGroups/shared/registry"
    service = OutboundServiceArgs(resource_id=registry, group="registry", elsewhere=True)
    approver = Role.AI_NETWORK_CONNECTION_APPROVER
    scopes = {
        a.inputs["scope"]
        for a in declare_workspace(outbound_services={"importer-registry": service}).all(ASSIGNMENT)
        if a.inputs["roleDefinitionId"].endswith(approver)
    }
    assert registry in scopes


def test_only_the_status_of_rules_that_the_program_declares_is_ignored() -> None:
    ignored = options_of(WORKSPACE, outbound_hosts=["pypi.org"]).ignore_changes or []
    network = {path for path in ignored if path.startswith("managedNetwork")}
    assert network == {"managedNetwork.status", 'managedNetwork.outboundRules["pypi-org"].status'}
