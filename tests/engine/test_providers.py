"""The stand-in providers under the real engine: small programs, a file backend, a temporary directory."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
import yaml
from azure.storage.blob import BlobServiceClient
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from localcloud.arm import ArmStore
from localcloud.certificate import ensure_certificate
from localcloud.home import BLOB_KEY, Home
from localcloud.providers.properties import UNKNOWN, from_struct, to_struct
from tests.local_cloud import new_cloud, wait_for_port

ROOT = Path(__file__).resolve().parents[2]
SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
GROUP = {"resourceGroupName": UNKNOWN}
READER = (
    f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
)


@dataclass
class Cloud:
    """A running pair of providers."""

    home: Home
    addresses: str

    @property
    def store(self) -> ArmStore:
        return ArmStore(self.home.arm_db)

    def stub(self, provider: str) -> ResourceProviderStub:
        port = dict(address.split(":") for address in self.addresses.split(","))[provider]
        return ResourceProviderStub(
            grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])
        )


@dataclass
class Stack:
    """A Pulumi project of one file, with a stack of its own."""

    directory: Path
    environment: dict[str, str]

    def run(self, program: str, *command: str) -> subprocess.CompletedProcess[str]:
        (self.directory / "__main__.py").write_text("import pulumi\n" + program)
        return self.pulumi(*command)

    def pulumi(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *command, "--non-interactive", "--color=never"],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self, program: str) -> dict[str, Any]:
        done = self.run(program, "up", "--yes", "--skip-preview")
        assert done.returncode == 0, done.stdout + done.stderr
        outputs: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json").stdout)
        return outputs

    def refused(self, program: str, command: str = "preview") -> str:
        arguments = ("--yes", "--skip-preview") if command == "up" else ()
        done = self.run(program, command, *arguments)
        assert done.returncode != 0
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    home = new_cloud(tmp_path_factory.mktemp("localcloud")).home.path
    command = [sys.executable, "-m", "localcloud.providers", "--home", str(home), "--ports", "0,0"]
    with (
        (home / "providers.log").open("w") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout
        yield Cloud(Home.open(home), process.stdout.readline().strip())
        process.terminate()
        assert process.wait() == 0


@pytest.fixture
def stack(cloud: Cloud, tmp_path: Path) -> Stack:
    for name in ("project", "state", "pulumi"):
        (tmp_path / name).mkdir()
    (tmp_path / "project" / "Pulumi.yaml").write_text("{name: providers, runtime: python}")
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PULUMI_HOME": str(tmp_path / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "test",
        "PULUMI_DEBUG_PROVIDERS": cloud.addresses,
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    stack = Stack(tmp_path / "project", environment)
    created = stack.pulumi("stack", "init", "test")
    assert created.returncode == 0, created.stderr
    return stack


@pytest.fixture(scope="module")
def blobs(cloud: Cloud) -> Iterator[BlobServiceClient]:
    """The local Blob service, for the account `lake`."""
    home = cloud.home
    ensure_certificate(home)
    (home.path / "blob").mkdir()
    port = home.ports["blob"]
    arguments = {"--location": home.path / "blob", "--cert": home.certificate, "--key": home.certificate_key}
    command = ["node", "localcloud/azurite.js", "--blobPort", str(port), "--oauth", "basic", "--silent"]
    command += ["--skipApiVersionCheck", "--disableTelemetry"]
    command += [str(part) for pair in arguments.items() for part in pair]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
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


def test_the_life_of_resources(cloud: Cloud, stack: Stack) -> None:
    data = "TEAM = 'data'\n" + PLATFORM
    outputs = stack.up(data)
    document = cloud.store.get(outputs["id"])
    account = outputs["id"].rsplit("/", 1)[1]
    assert document
    assert (document["type"], document["properties"]["provisioningState"]) == (
        "Microsoft.Storage/storageAccounts",
        "Succeeded",
    )
    assert account.startswith("lake")
    assert len(account) == len("lake") + 8
    assert outputs["blob"] == f"{cloud.home.blob_url}/{account}/"
    assert outputs["location"] == "West Europe"
    assert outputs["vaultUri"].startswith(f"{cloud.home.azure_url}/vaults/vault")
    assert len(outputs["principal"]) == 36

    again = stack.run(data, "preview", "--expect-no-changes", "--refresh")
    assert again.returncode == 0, again.stdout

    # tags change in place, and only those
    changed = stack.run(data.replace("'data'", "'ml'"), "preview", "--diff")
    assert '~ team: "data" => "ml"' in changed.stdout
    assert "~ 2 to update" in changed.stdout
    assert stack.up(data.replace("'data'", "'ml'"))["id"] == outputs["id"]
    document = cloud.store.get(outputs["id"])
    assert document
    assert document["tags"] == {"team": "ml"}

    # the location is fixed: all but the group's name, which Azure made, is replaced
    moved = stack.run(data.replace("West Europe", "North Europe"), "preview", "--diff")
    assert "+-azure-native:resources:ResourceGroup" in moved.stdout

    gone = stack.run(data, "destroy", "--yes", "--skip-preview")
    assert gone.returncode == 0, gone.stdout
    assert outputs["id"].split("/")[4] not in json.dumps(cloud.store.descendants(SUBSCRIPTION))
    assert cloud.store.soft_deleted("Microsoft.KeyVault/vaults/" + outputs["vault"].rsplit("/", 1)[1])


def test_refresh_sees_what_happened_behind_its_back(cloud: Cloud, stack: Stack) -> None:
    program = """
from pulumi_azure_native import operationalinsights, resources
group = resources.ResourceGroup("drift", location="westeurope")
logs = [operationalinsights.Workspace(name, resource_group_name=group.name, tags={"a": "1"})
    for name in ("kept", "lost")]
pulumi.export("ids", [log.id for log in logs])
"""
    kept, lost = stack.up(program)["ids"]
    cloud.store.delete(lost)
    document = cloud.store.get(kept)
    assert document
    cloud.store.put(kept, document | {"tags": {"a": "1", "portal": "yes"}})

    refreshed = stack.pulumi("refresh", "--yes", "--skip-preview")
    assert "- 1 deleted" in refreshed.stdout
    assert "~ 1 updated" in refreshed.stdout
    repaired = stack.run(program, "preview", "--diff")
    assert '- portal: "yes"' in repaired.stdout
    assert "+ 1 to create" in repaired.stdout
    stack.up(program)
    document = cloud.store.get(kept)
    assert document
    assert document["tags"] == {"a": "1"}


BLOB = """
from pulumi_azure_native import resources, storage
group = resources.ResourceGroup("blobs", location="westeurope")
lake = storage.StorageAccount("lake", account_name="lakeaccount", resource_group_name=group.name,
    kind="StorageV2", sku={"name": "Standard_LRS"})
"""


def test_a_blob_container_is_a_real_one(blobs: BlobServiceClient, stack: Stack) -> None:
    raw = 'storage.BlobContainer("rawdata", account_name=lake.name, resource_group_name=group.name)\n'
    stack.up(BLOB + raw)
    assert [container.name for container in blobs.list_containers()] == ["rawdata"]
    stack.up(BLOB)
    assert list(blobs.list_containers()) == []
    stack.up(BLOB + raw)
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert list(blobs.list_containers()) == []


def test_names_that_are_taken(stack: Stack) -> None:
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
def test_what_azure_would_refuse_is_refused_in_one_line(stack: Stack, declaration: str, message: str) -> None:
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
def test_check_names_the_property(
    cloud: Cloud, token: str, inputs: dict[str, Any], path: str, reason: str
) -> None:
    answer = cloud.stub("azure-native").Check(
        pb.CheckRequest(type=f"azure-native:{token}", name="x", news=to_struct(inputs), randomSeed=b"seed")
    )
    assert [failure.property for failure in answer.failures] == [path]
    assert reason in answer.failures[0].reason


def test_values_that_are_not_known_yet_pass(cloud: Cloud) -> None:
    inputs = GROUP | {"kind": UNKNOWN, "sku": UNKNOWN, "accountName": UNKNOWN}
    answer = cloud.stub("azure-native").Check(
        pb.CheckRequest(type="azure-native:storage:StorageAccount", name="x", news=to_struct(inputs))
    )
    assert not answer.failures
    assert from_struct(answer.inputs)["location"] == UNKNOWN


def test_a_preview_writes_nothing_and_knows_only_the_inputs(cloud: Cloud) -> None:
    inputs = {
        "resourceGroupName": "previewed",
        "location": "westeurope",
        "vaultName": "kv",
        "properties": {"sku": {}},
    }
    answer = cloud.stub("azure-native").Create(
        pb.CreateRequest(type="azure-native:keyvault:Vault", properties=to_struct(inputs), preview=True)
    )
    outputs = from_struct(answer.properties)
    assert answer.id == ""
    assert outputs["location"] == "westeurope"
    assert (outputs["name"], outputs["properties"]["vaultUri"]) == (UNKNOWN, UNKNOWN)
    assert not [found for found in cloud.store.descendants("") if "previewed" in found["id"]]


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
def test_diff_says_what_changes_and_what_replaces(
    cloud: Cloud, old: dict[str, Any], new: dict[str, Any], kinds: dict[str, str], delete_first: bool
) -> None:
    answer = cloud.stub("azure-native").Diff(
        pb.DiffRequest(
            type="azure-native:storage:StorageAccount", old_inputs=to_struct(old), news=to_struct(new)
        )
    )
    assert {p: pb.PropertyDiff.Kind.Name(diff.kind) for p, diff in answer.detailedDiff.items()} == kinds
    assert answer.deleteBeforeReplace == delete_first


def test_each_provider_of_a_program_keeps_its_own_configuration(cloud: Cloud) -> None:
    stubs = {region: cloud.stub("azure-native") for region in ("westeurope", "northeurope")}
    for region, stub in stubs.items():
        stub.Configure(pb.ConfigureRequest(args=to_struct({"location": region})))
    request = pb.CheckRequest(type="azure-native:resources:ResourceGroup", name="group", randomSeed=b"seed")
    for region, stub in stubs.items():
        assert from_struct(stub.Check(request).inputs)["location"] == region


CLUSTER = """
import base64
import pulumi_kubernetes as kubernetes
from pulumi_azure_native import authorization, containerservice, resources
group = resources.ResourceGroup("aks", location="westeurope")
cluster = containerservice.ManagedCluster("cluster", resource_group_name=group.name, dns_prefix="aks",
    identity={"type": "SystemAssigned"}, oidc_issuer_profile={"enabled": True})
credentials = containerservice.list_managed_cluster_user_credentials_output(
    resource_group_name=group.name, resource_name=cluster.name)
provider = kubernetes.Provider("aks", kubeconfig=credentials.apply(
    lambda result: base64.b64decode(result.kubeconfigs[0].value).decode()))
options = pulumi.ResourceOptions(provider=provider)
namespace = kubernetes.core.v1.Namespace("argo", metadata={"name": "argo"}, opts=options)
kubernetes.helm.v3.Release("workflows", name="workflows", chart="argo-workflows", version=VERSION,
    namespace=namespace.metadata.name, repository_opts={"repo": "https://argoproj.github.io/argo-helm"},
    values={"server": {"enabled": False}}, opts=options)
kubernetes.helm.v3.Release("secrets", chart="external-secrets", version="2.9.0", namespace="secrets",
    create_namespace=True, repository_opts={"repo": "https://charts.external-secrets.io"}, opts=options)
service = kubernetes.core.v1.ServiceAccount("runner", metadata={"namespace": namespace.metadata.name},
    opts=options)
pulumi.export("issuer", cluster.oidc_issuer_profile.apply(lambda profile: profile.issuer_url))
pulumi.export("kubelet", cluster.identity_profile.apply(lambda found: found["kubeletidentity"].client_id))
pulumi.export("service", service.metadata["name"])
pulumi.export("tenant", authorization.get_client_config_output().tenant_id)
"""


def test_a_cluster_takes_releases_and_objects(cloud: Cloud, stack: Stack) -> None:
    program = "VERSION = '1.0.18'\n" + CLUSTER
    preview = stack.run(program, "preview")
    assert preview.returncode == 0, preview.stdout
    outputs = stack.up(program)
    assert outputs["issuer"].startswith("https://westeurope.oic.prod-aks.azure.com/")
    assert len(outputs["kubelet"]) == 36
    assert outputs["tenant"] == "00000000-0000-0000-0000-0000000000aa"
    release = json.loads((cloud.home.path / "releases" / "workflows.json").read_text())
    assert release["chart"] == "argo-workflows"
    assert release["repo"] == "https://argoproj.github.io/argo-helm"
    assert release["values"] == {"server": {"enabled": False}}
    account = cloud.home.path / "kubernetes" / f"argo.ServiceAccount.{outputs['service']}.yaml"
    assert yaml.safe_load(account.read_text())["metadata"]["name"].startswith("runner-")
    again = stack.run(program, "preview", "--refresh", "--expect-no-changes")
    assert again.returncode == 0, again.stdout

    account.unlink()
    upgraded = stack.run(program.replace("1.0.18", "1.0.19"), "up", "--yes", "--refresh")
    assert "+ 1 created" in upgraded.stdout
    assert "~ 1 updated" in upgraded.stdout
    release = json.loads((cloud.home.path / "releases" / "workflows.json").read_text())
    assert (release["version"], release["revision"]) == ("1.0.19", 2)

    assert stack.pulumi("destroy", "--yes", "--skip-preview").returncode == 0
    assert not list((cloud.home.path / "releases").iterdir())
    assert not list((cloud.home.path / "kubernetes").iterdir())


@pytest.mark.parametrize(
    ("token", "inputs", "path", "reason"),
    [
        (
            "helm.sh/v3:Release",
            {"chart": "argo-events", "namespace": "argo"},
            "version",
            "missing required property version: pin the chart's version",
        ),
        (
            "core/v1:ConfigMap",
            {"data": {"a": 1}},
            "data.a",
            "data.a of ConfigMap must be of type string or null",
        ),
        (
            "apps/v1:Deployment",
            {"spec": {"replica": 1, "selector": {}, "template": {}}},
            "spec",
            "'replica' was unexpected",
        ),
        (
            "argoproj.io/v1alpha1:Sensor",
            {"metadata": {"name": "Upper"}},
            "metadata.name",
            "is not a name in Kubernetes",
        ),
    ],
)
def test_kubernetes_check_names_the_property(
    cloud: Cloud, token: str, inputs: dict[str, Any], path: str, reason: str
) -> None:
    answer = cloud.stub("kubernetes").Check(
        pb.CheckRequest(type=f"kubernetes:{token}", name="x", news=to_struct(inputs), randomSeed=b"seed")
    )
    assert [failure.property for failure in answer.failures] == [path]
    assert reason in answer.failures[0].reason


def test_a_kubeconfig_that_is_none_is_refused(stack: Stack) -> None:
    program = """
import pulumi_kubernetes
provider = pulumi_kubernetes.Provider("k", kubeconfig='{"clusters": []}')
"""
    assert "kubeconfig has no clusters, contexts, users, current-context" in stack.refused(program)
