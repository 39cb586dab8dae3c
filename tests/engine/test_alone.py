"""The example of `docs/alone.md` beside the stack `local`: two stacks import into one workspace."""

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.ai.ml import MLClient
from azure.identity import DefaultAzureCredential

from importer.spec.schedule import parse_tick, version_of
from localcloud.arm import ArmStore, Document
from tests.local_cloud import REPOSITORY, new_cloud
from tests.local_stack import UP, LocalStack

ALONE = ("--stack", "alone", "--non-interactive", "--color", "never")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A local cloud with the stack `local`, whose one import makes no clean asset."""
    cloud = new_cloud(tmp_path_factory.mktemp("alone"))
    stack = LocalStack(cloud)
    try:
        stack.start()
        document = yaml.safe_load((REPOSITORY / "Pulumi.local.yaml").read_text())
        del document["config"]["ai-platform:imports"][0]["curate"]
        file = cloud.home.path / "Pulumi.local.yaml"
        file.write_text(yaml.safe_dump(document))
        stack.succeed(*UP, "--config-file", str(file))
        # a new stack's file is written beside Pulumi.yaml: in a copy of the project's
        project = cloud.home.path / "project"
        project.mkdir()
        (project / "Pulumi.yaml").write_text((REPOSITORY / "Pulumi.yaml").read_text())
        created = stack.run("pulumi", "stack", "init", "alone", "--no-select", "--cwd", str(project))
        assert created.returncode == 0, created.stderr
        yield stack
    finally:
        cloud.run("stop")


@pytest.fixture
def config_file(stack: LocalStack) -> Path:
    """The configuration of the second stack."""
    return stack.cloud.home.path / "project" / "Pulumi.alone.yaml"


def resource(stack: LocalStack, type_: str, name: str) -> Document:
    """Return the resource of a type in the local Azure whose name starts with `name`."""
    found = [
        document
        for document in ArmStore(stack.cloud.home.arm_db).descendants("")
        if document["type"] == type_ and document["name"].startswith(name)
    ]
    assert len(found) == 1, type_
    return found[0]


def workspace_id(stack: LocalStack) -> str:
    arm_id: str = resource(stack, "Microsoft.MachineLearningServices/workspaces", "globolocal")["id"]
    return arm_id


def children(stack: LocalStack, path: str) -> dict[str, dict[str, Any]]:
    """Return the properties of each resource in a collection of the workspace, by name."""
    found = ArmStore(stack.cloud.home.arm_db).children(f"{workspace_id(stack)}/{path}")
    return {document["name"]: document["properties"] for document in found}


def example(stack: LocalStack) -> dict[str, Any]:
    """Return the configuration of the page, with the local ids and the local sign-in."""
    page = (REPOSITORY / "docs" / "alone.md").read_text()
    block = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert block
    config: dict[str, Any] = yaml.safe_load(block[1])["config"]
    local = yaml.safe_load((REPOSITORY / "Pulumi.local.yaml").read_text())
    identity = resource(stack, "Microsoft.ManagedIdentity/userAssignedIdentities", "globolocal-workflows")
    config["ai-platform:endpoints"] = "local"
    config["ai-platform:snowflake"] = local["config"]["ai-platform:snowflake"]
    config["ai-platform:existing"] |= {
        "workspaceId": workspace_id(stack),
        "containerId": resource(
            stack, "Microsoft.Storage/storageAccounts/blobServices/containers", "rawdata"
        )["id"],
        "identityClientId": identity["properties"]["clientId"],
        "identityPrincipalId": identity["properties"]["principalId"],
        "vaultId": resource(stack, "Microsoft.KeyVault/vaults", "globolocal-kv")["id"],
    }
    return {"encryptionsalt": local["encryptionsalt"], "config": config}


def attach_identity(stack: LocalStack) -> None:
    """Attach the identity of the example to the workspace, as the page asks of its owner."""
    identity = resource(stack, "Microsoft.ManagedIdentity/userAssignedIdentities", "globolocal-workflows")
    store = ArmStore(stack.cloud.home.arm_db)
    workspace = resource(stack, "Microsoft.MachineLearningServices/workspaces", "globolocal")
    ids = {name: identity["properties"][name] for name in ("clientId", "principalId")}
    workspace["identity"]["userAssignedIdentities"][identity["id"]] = ids
    store.put(workspace["id"], workspace)


def rows(stack: LocalStack) -> dict[str, int]:
    """Return the rows of each import's newest version."""
    return {arrived["name"]: arrived["rows"] for arrived in stack.imports()}


def test_the_example_in_the_docs_imports_into_the_workspace_of_another_stack(
    stack: LocalStack, config_file: Path
) -> None:
    attach_identity(stack)
    config_file.write_text(yaml.safe_dump(example(stack)))
    done = stack.run("pulumi", *UP, "--config-file", str(config_file), *ALONE)
    assert done.returncode == 0, done.stdout + done.stderr

    assert rows(stack) == {"house_sales": 2930, "raw_house_data": 2930}
    assert set(children(stack, "connections")) == {"snowflake", "snowflake_globoimport"}
    assert len(children(stack, "codes/importer/versions")) == 1
    state = json.loads(stack.run("pulumi", "stack", "export", *ALONE[:2]).stdout)
    made = {r["type"] for r in state["deployment"]["resources"] if r["type"].startswith("azure-native:")}
    assert made == {
        "azure-native:authorization:RoleAssignment",
        "azure-native:authorization:RoleDefinition",
    }


def test_import_name_of_another_stack_is_refused_in_one_line(
    stack: LocalStack, tmp_path: Path, config_file: Path
) -> None:
    config = yaml.safe_load(config_file.read_text())
    (item,) = config["config"]["ai-platform:imports"]
    config["config"]["ai-platform:imports"] = [item, {**item, "name": "raw_house_data"}]
    changed = tmp_path / "Pulumi.alone.yaml"
    changed.write_text(yaml.safe_dump(config))

    done = stack.run("pulumi", *UP, "--config-file", str(changed), *ALONE)

    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    workspace = workspace_id(stack).rpartition("/")[2]
    assert (
        f"schedules/import_raw_house_data in workspace {workspace}: it exists already and belongs to "
        "ai-platform/local/globolocal-raw_house_data-schedule: choose another name, delete it, or take it "
        "over with `adopt` (docs/alone.md)"
    ) in done.stdout


def test_destroy_of_one_stack_leaves_what_the_other_one_imports_with(
    stack: LocalStack, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = stack.run(
        "pulumi", "destroy", "--yes", "--skip-preview", "--config-file", str(config_file), *ALONE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is not deleted" not in done.stdout + done.stderr
    assert set(children(stack, "connections")) == {"snowflake"}
    assert set(children(stack, "schedules")) == {"import_raw_house_data"}
    for collection in ("codes", "environments"):
        (version,) = children(stack, f"{collection}/importer/versions").values()
        assert not version.get("isArchived")

    for name, value in stack.cloud.env.items():
        monkeypatch.setenv(name, value)
    (before,) = stack.imports()
    tick = parse_tick(before["version"]) + timedelta(hours=1)
    names = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE")
    client = MLClient(DefaultAzureCredential(), *(os.environ[name] for name in names))
    client.schedules.trigger("import_raw_house_data", schedule_time=tick.isoformat())
    (after,) = stack.imports()
    assert (after["version"], after["rows"]) == (version_of(tick), 2930)
