"""The stand-in of azure-native: the life of resources, and what it refuses."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from pulumi.runtime.proto import provider_pb2 as pb

from localcloud.certificate import ensure_certificate
from localcloud.home import BLOB_KEY
from localcloud.providers.properties import UNKNOWN, from_struct, to_struct
from tests.engine.localcloud.provider_stack import Providers, Stack
from tests.local_cloud import REPOSITORY, wait_for_port

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
GROUP = {"resourceGroupName": UNKNOWN}
READER = (
    f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
)


@pytest.fixture(scope="module")
def blobs(providers: Providers) -> Iterator[BlobServiceClient]:
    """The local Blob service, for the account `lake`."""
    home = providers.home
    ensure_certificate(home)
    (home.path / "blob").mkdir()
    port = home.ports["blob"]
    arguments = {"--location": home.path / "blob", "--cert": home.certificate, "--key": home.certificate_key}
    command = ["node", "localcloud/azurite.js", "--blobPort", str(port), "--oauth", "basic", "--silent"]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    command += [str(part) for pair in arguments.items() for part in pair]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as process:
        wait_for_port(port)
        credential = {"account_name": "lakeaccount", "account_key": BLOB_KEY}
        with BlobServiceClient(
            f"{home.blob_url}/lakeaccount", credential=credential, connection_verify=str(home.ca_bundle)
        ) as client:
            yield client
        process.terminate()


PLATFORM = f"""
from pulumi_azure_native import authorization, keyvault, managedidentity, resources, storage
group = resources.ResourceGroup("group", location="West Europe", tags={{"team": TEAM}})
lake = storage.StorageAccount("lake", resource_group_name=group.name, kind="StorageV2",
    sku={{"name": "Standard_LRS"}}, identity={{"type": "SystemAssigned"}}, tags={{"team": TEAM}})
vault = keyvault.Vault("vault", resource_group_name=group.name,
    properties={{"tenant_id": "00000000-0000-0000-0000-0000000000aa",
        "sku": {{"family": "A", "name": "standard"}}}})
reader = managedidentity.UserAssignedIdentity("reader", resource_group_name=group.name)
authorization.RoleAssignment("role", scope=lake.id, principal_id=reader.principal_id,
    principal_type="ServicePrincipal", role_definition_id="{READER}")
exports = {{"id": lake.id, "vault": vault.id, "blob": lake.primary_endpoints.blob, "location": lake.location,
    "vaultUri": vault.properties.vault_uri, "principal": lake.identity.principal_id}}
for name, value in exports.items():
    pulumi.export(name, value)
"""


def test_resources_are_created_updated_replaced_and_destroyed(providers: Providers, stack: Stack) -> None:
    data = "TEAM = 'data'\n" + PLATFORM
    outputs = stack.up(data)
    document = providers.store.get(outputs["id"])
    account = outputs["id"].rsplit("/", 1)[1]
    assert document
    assert (document["type"], document["properties"]["provisioningState"]) == (
        "Microsoft.Storage/storageAccounts",
        "Succeeded",
    )
    assert account.startswith("lake")
    assert len(account) == len("lake") + 8
    assert outputs["blob"] == f"{providers.home.blob_url}/{account}/"
    assert outputs["location"] == "West Europe"
    assert outputs["vaultUri"].startswith(f"{providers.home.azure_url}/vaults/vault")
    assert len(outputs["principal"]) == 36

    again = stack.run(data, "preview", "--expect-no-changes", "--refresh")
    assert again.returncode == 0, again.stdout

    # tags change in place, and only those
    changed = stack.run(data.replace("'data'", "'ml'"), "preview", "--diff")
    assert '~ team: "data" => "ml"' in changed.stdout
    assert "~ 2 to update" in changed.stdout
    assert stack.up(data.replace("'data'", "'ml'"))["id"] == outputs["id"]
    document = providers.store.get(outputs["id"])
    assert document
    assert document["tags"] == {"team": "ml"}

    # the location is fixed: all but the group's name, which Azure made, is replaced
    moved = stack.run(data.replace("West Europe", "North Europe"), "preview", "--diff")
    assert "+-azure-native:resources:ResourceGroup" in moved.stdout

    gone = stack.run(data, "destroy", "--yes", "--skip-preview")
    assert gone.returncode == 0, gone.stdout
    assert outputs["id"].split("/")[4] not in json.dumps(providers.store.descendants(SUBSCRIPTION))
    assert providers.store.soft_deleted("Microsoft.KeyVault/vaults/" + outputs["vault"].rsplit("/", 1)[1])


def test_refresh_shows_resources_deleted_and_tags_added_outside_pulumi(
    providers: Providers, stack: Stack
) -> None:
    program = """
from pulumi_azure_native import operationalinsights, resources
group = resources.ResourceGroup("drift", location="westeurope")
logs = [operationalinsights.Workspace(name, resource_group_name=group.name, tags={"a": "1"})
    for name in ("kept", "lost")]
pulumi.export("ids", [log.id for log in logs])
"""
    kept, lost = stack.up(program)["ids"]
    providers.store.delete(lost)
    document = providers.store.get(kept)
    assert document
    providers.store.put(kept, document | {"tags": {"a": "1", "portal": "yes"}})

    refreshed = stack.pulumi("refresh", "--yes", "--skip-preview")
    assert "- 1 deleted" in refreshed.stdout
    assert "~ 1 updated" in refreshed.stdout
    repaired = stack.run(program, "preview", "--diff")
    assert '- portal: "yes"' in repaired.stdout
    assert "+ 1 to create" in repaired.stdout
    stack.up(program)
    document = providers.store.get(kept)
    assert document
    assert document["tags"] == {"a": "1"}


BLOB = """
from pulumi_azure_native import resources, storage
group = resources.ResourceGroup("blobs", location="westeurope")
lake = storage.StorageAccount("lake", account_name="lakeaccount", resource_group_name=group.name,
    kind="StorageV2", sku={"name": "Standard_LRS"})
"""


def test_a_declared_container_exists_in_blob_storage_until_it_is_destroyed(
    blobs: BlobServiceClient, stack: Stack
) -> None:
    raw = 'storage.BlobContainer("rawdata", account_name=lake.name, resource_group_name=group.name)\n'
    stack.up(BLOB + raw)
    assert [container.name for container in blobs.list_containers()] == ["rawdata"]
    stack.up(BLOB)
    assert list(blobs.list_containers()) == []
    stack.up(BLOB + raw)
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert list(blobs.list_containers()) == []


def test_a_vault_name_is_refused_while_another_or_a_soft_deleted_vault_has_it(stack: Stack) -> None:
    vault = """
from pulumi_azure_native import keyvault, resources
group = resources.ResourceGroup("vaults", location="westeurope")
keyvault.Vault("one", vault_name="vault-by-name", resource_group_name=group.name,
    properties={"tenant_id": "00000000-0000-0000-0000-0000000000aa",
        "sku": {"family": "A", "name": "standard"}})
"""
    stack.up(vault)
    twice = stack.refused(vault + vault.replace('"vaults"', '"others"').replace('"one"', '"two"'), "up")
    assert "the name vault-by-name is taken" in twice
    stack.up(vault.split("keyvault.Vault")[0])
    assert "a deleted Microsoft.KeyVault/vaults still holds the name vault-by-name" in stack.refused(
        vault, "up"
    )


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        (
            '"azure-native:storage:BlobContainer", "raw", {"resourceGroupName": "no", "accountName": "a"}',
            "/resourceGroups/no/providers/Microsoft.Storage/storageAccounts/a does not exist (404 Parent",
        ),
        (
            '"azure-native:managedidentity:UserAssignedIdentity", "i", {"resourceGroupName": "nowhere"}',
            "/resourceGroups/nowhere does not exist (404 ResourceGroupNotFound)",
        ),
        (
            f'"azure-native:authorization:RoleAssignment", "r", {{"scope": "{SUBSCRIPTION}",'
            f' "principalId": "someone", "roleDefinitionId": "{READER}"}}',
            "principalId 'someone' is not the object id of a principal",
        ),
        (
            f'"azure-native:monitor:DiagnosticSetting", "d", {{"resourceUri": "{SUBSCRIPTION}",'
            f' "storageAccountId": "{SUBSCRIPTION}/resourceGroups/g"}}',
            "which does not exist (404 ResourceNotFound)",
        ),
        (
            '"kubernetes:core/v1:ConfigMap", "c", {"metadata": {"namespace": "nowhere"}, "data": {"a": "b"}}',
            'namespaces "nowhere" not found',
        ),
        (
            '"azure-native:storage:StorageAccount", "s", {"resourceGroupName": "g", "kind": "StorageV3",'
            ' "sku": {"name": "Standard_LRS"}}',
            "kind must be one of Storage, StorageV2",
        ),
        ('"azure-native:batch:Pool", "p", {}', "the local cloud has no azure-native:batch:Pool"),
    ],
)
def test_a_request_that_azure_refuses_fails_in_one_line(stack: Stack, declaration: str, message: str) -> None:
    program = f"kind, name, props = {declaration}\npulumi.CustomResource(kind, name, props)\n"
    assert message in stack.refused(program, "up")


@pytest.mark.parametrize(
    ("token", "inputs", "path", "reason"),
    [
        ("storage:StorageAccount", GROUP | {"kind": "StorageV2"}, "sku", "missing required property sku"),
        (
            "storage/v20240101:BlobContainer",
            GROUP | {"accountName": "a", "publicAcces": "None"},
            "publicAcces",
            "unknown property publicAcces; did you mean publicAccess?",
        ),
        (
            "resources:ResourceGroup",
            {"tags": {"a": 1}},
            "tags.a",
            "tags.a must be a string; it is a whole number",
        ),
        (
            "containerregistry:Registry",
            GROUP | {"sku": {"name": "Premium"}, "registryName": "with-hyphen"},
            "registryName",
            "registryName 'with-hyphen' is not a name for Microsoft.ContainerRegistry/registries",
        ),
        (
            "machinelearningservices:Datastore",
            GROUP
            | {
                "workspaceName": "w",
                "properties": {
                    "datastoreType": "AzureBlob",
                    "credentials": {"credentialsType": "None"},
                    "serviceDataAccessAuthIdentity": "Me",
                },
            },
            "properties.serviceDataAccessAuthIdentity",
            "must be one of None, WorkspaceSystemAssignedIdentity",
        ),
        (
            "network:VirtualNetwork",
            GROUP | {"subnets": [{"name": "s", "addressPrefix": 10}]},
            "subnets[0].addressPrefix",
            "must be a string",
        ),
        (
            "privatedns:PrivateZone",
            GROUP | {"privateZoneName": "privatelink.blob.core.windows.net", "location": "westeurope"},
            "location",
            "must be 'global'",
        ),
    ],
)
def test_check_names_the_property_that_breaks_a_rule(
    providers: Providers, token: str, inputs: dict[str, Any], path: str, reason: str
) -> None:
    answer = providers.stub("azure-native").Check(
        pb.CheckRequest(type=f"azure-native:{token}", name="x", news=to_struct(inputs), randomSeed=b"seed")
    )
    assert [failure.property for failure in answer.failures] == [path]
    assert reason in answer.failures[0].reason


def test_check_accepts_unknown_values(providers: Providers) -> None:
    inputs = GROUP | {"kind": UNKNOWN, "sku": UNKNOWN, "accountName": UNKNOWN}
    answer = providers.stub("azure-native").Check(
        pb.CheckRequest(type="azure-native:storage:StorageAccount", name="x", news=to_struct(inputs))
    )
    assert not answer.failures
    assert from_struct(answer.inputs)["location"] == UNKNOWN


def test_a_preview_stores_nothing_and_returns_the_inputs_and_unknown_outputs(providers: Providers) -> None:
    inputs = {
        "resourceGroupName": "previewed",
        "location": "westeurope",
        "vaultName": "kv",
        "properties": {"sku": {}},
    }
    answer = providers.stub("azure-native").Create(
        pb.CreateRequest(type="azure-native:keyvault:Vault", properties=to_struct(inputs), preview=True)
    )
    outputs = from_struct(answer.properties)
    assert answer.id == ""
    assert outputs["location"] == "westeurope"
    assert (outputs["name"], outputs["properties"]["vaultUri"]) == (UNKNOWN, UNKNOWN)
    assert not [found for found in providers.store.descendants("") if "previewed" in found["id"]]


@pytest.mark.parametrize(
    ("old", "new", "kinds", "delete_first"),
    [
        ({"tags": {"a": "1"}}, {"tags": {"a": "1", "b.c": "2"}}, {'tags["b.c"]': "ADD"}, False),
        ({"location": "West Europe"}, {"location": "westeurope"}, {}, False),
        ({"accountName": "one"}, {"accountName": "two"}, {"accountName": "UPDATE_REPLACE"}, True),
        (
            {"isHnsEnabled": True, "accountName": "a1", "__createBeforeDelete": True},
            {"accountName": "a1", "__createBeforeDelete": True},
            {"isHnsEnabled": "DELETE_REPLACE"},
            False,
        ),
    ],
)
def test_diff_lists_each_changed_property_and_whether_it_replaces(
    providers: Providers, old: dict[str, Any], new: dict[str, Any], kinds: dict[str, str], delete_first: bool
) -> None:
    answer = providers.stub("azure-native").Diff(
        pb.DiffRequest(
            type="azure-native:storage:StorageAccount", old_inputs=to_struct(old), news=to_struct(new)
        )
    )
    assert {p: pb.PropertyDiff.Kind.Name(diff.kind) for p, diff in answer.detailedDiff.items()} == kinds
    assert answer.deleteBeforeReplace == delete_first


def test_two_providers_of_one_program_keep_their_own_locations(providers: Providers) -> None:
    stubs = {region: providers.stub("azure-native") for region in ("westeurope", "northeurope")}
    for region, stub in stubs.items():
        stub.Configure(pb.ConfigureRequest(args=to_struct({"location": region})))
    request = pb.CheckRequest(type="azure-native:resources:ResourceGroup", name="group", randomSeed=b"seed")
    for region, stub in stubs.items():
        assert from_struct(stub.Check(request).inputs)["location"] == region
