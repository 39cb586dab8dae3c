"""The example of `docs/alone.md`, in a workspace that another stack made: the houses arrive by it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from localcloud.arm import ArmStore, Document
from tests.local_cloud import REPOSITORY, new_cloud
from tests.local_stack import UP, LocalStack

ALONE = ("--stack", "alone", "--non-interactive", "--color", "never")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A local cloud with the stack `local`, and with no import of that stack's."""
    cloud = new_cloud(tmp_path_factory.mktemp("alone"))
    stack = LocalStack(cloud)
    try:
        stack.start()
        document = yaml.safe_load((REPOSITORY / "Pulumi.local.yaml").read_text())
        document["config"]["ai-platform:imports"] = []
        file = cloud.home.path / "Pulumi.local.yaml"
        file.write_text(yaml.safe_dump(document))
        stack.succeed(*UP, "--config-file", str(file))
        yield stack
    finally:
        cloud.run("stop")


def resource(stack: LocalStack, type_: str, name: str) -> Document:
    """Return what the local Azure has of a type whose name starts so."""
    found = [
        document
        for document in ArmStore(stack.cloud.home.arm_db).descendants("")
        if document["type"] == type_ and document["name"].startswith(name)
    ]
    assert len(found) == 1, type_
    return found[0]


def example(stack: LocalStack) -> dict[str, Any]:
    """Return the configuration of the page, with the ids that there are here, and the local sign-in."""
    page = (REPOSITORY / "docs" / "alone.md").read_text()
    block = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert block
    config: dict[str, Any] = yaml.safe_load(block[1])["config"]
    local = yaml.safe_load((REPOSITORY / "Pulumi.local.yaml").read_text())
    identity = resource(stack, "Microsoft.ManagedIdentity/userAssignedIdentities", "globolocal-workflows")
    config["ai-platform:endpoints"] = "local"
    config["ai-platform:snowflake"] = local["config"]["ai-platform:snowflake"]
    config["ai-platform:existing"] |= {
        "workspaceId": resource(stack, "Microsoft.MachineLearningServices/workspaces", "globolocal")["id"],
        "containerId": resource(
            stack, "Microsoft.Storage/storageAccounts/blobServices/containers", "rawdata"
        )["id"],
        "identityClientId": identity["properties"]["clientId"],
        "identityPrincipalId": identity["properties"]["principalId"],
        "vaultId": resource(stack, "Microsoft.KeyVault/vaults", "globolocal-kv")["id"],
    }
    return {"encryptionsalt": local["encryptionsalt"], "config": config}


def test_the_example_in_the_docs_imports_into_an_existing_workspace(stack: LocalStack) -> None:
    # a new stack's file is written beside Pulumi.yaml: in a copy of the project's
    project = stack.cloud.home.path / "project"
    project.mkdir()
    (project / "Pulumi.yaml").write_text((REPOSITORY / "Pulumi.yaml").read_text())
    created = stack.run("pulumi", "stack", "init", "alone", "--no-select", "--cwd", str(project))
    assert created.returncode == 0, created.stderr
    file = project / "Pulumi.alone.yaml"
    file.write_text(yaml.safe_dump(example(stack)))
    done = stack.run("pulumi", *UP, "--config-file", str(file), *ALONE)
    assert done.returncode == 0, done.stdout + done.stderr

    (arrived,) = stack.imports()
    assert (arrived["name"], arrived["rows"]) == ("house_sales", 2930)
    state = json.loads(stack.run("pulumi", "stack", "export", *ALONE[:2]).stdout)
    made = {r["type"] for r in state["deployment"]["resources"] if r["type"].startswith("azure-native:")}
    assert made == {
        "azure-native:authorization:RoleAssignment",
        "azure-native:authorization:RoleDefinition",
    }
