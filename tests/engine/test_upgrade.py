"""A stack that an earlier version of the program made, brought to this one's.

`upgrade/<version>.json` is what `pulumi stack export` gave for the stack `local` then, without times and
source positions, and with names in place of the local cloud's ports.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderStub

from localcloud.home import Home
from localcloud.providers.properties import to_struct
from tests.local_cloud import new_cloud
from tests.local_stack import LocalStack

STATES = sorted((Path(__file__).parent / "upgrade").glob("*.json"))

#: What holds data, or the names that data is found by.
HOLDS_DATA = {
    "azure-native:containerregistry:Registry",
    "azure-native:keyvault:Vault",
    "azure-native:machinelearningservices:Datastore",
    "azure-native:machinelearningservices:Workspace",
    "azure-native:operationalinsights:Workspace",
    "azure-native:resources:ResourceGroup",
    "azure-native:storage:BlobContainer",
    "azure-native:storage:StorageAccount",
    "pulumi-python:dynamic/azureml:ImportSchedule",
    "pulumi-python:dynamic/azureml:SnowflakeConnection",
}


@pytest.fixture(scope="module", params=STATES, ids=lambda path: path.stem)
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The stack `local` as the earlier version left it: in Pulumi's state, in Azure and on the cluster."""
    cloud = new_cloud(tmp_path_factory.mktemp("upgrade"))
    stack = LocalStack(cloud)
    try:
        stack.start()
        text = request.param.read_text()
        for name, port in cloud.home.ports.items():
            text = text.replace(f"127.0.0.1:{{{name}}}", f"127.0.0.1:{port}")
        make_resources(cloud.home, json.loads(text)["deployment"]["resources"])
        file = cloud.home.path / "state.json"
        file.write_text(text)
        stack.succeed("stack", "import", "--file", str(file))
        yield stack
    finally:
        cloud.run("stop")


def make_resources(home: Home, resources: list[dict[str, Any]]) -> None:
    """Make the resources of the two stand-in providers again, as the earlier program asked for them."""
    for resource in resources:
        package = resource["type"].split(":")[0]
        if package not in ("azure-native", "kubernetes"):
            continue
        with grpc.insecure_channel(f"127.0.0.1:{home.ports[package]}") as channel:
            created = ResourceProviderStub(channel).Create(
                pb.CreateRequest(
                    urn=resource["urn"], type=resource["type"], properties=to_struct(resource["inputs"])
                )
            )
        assert created.id == resource["id"]


def operations(stack: LocalStack) -> dict[str, set[str]]:
    """Return what an update would do to the resources of each type that it would not leave alone."""
    done = stack.pulumi("preview", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, set[str]] = {}
    for step in json.loads(done.stdout)["steps"]:
        type_ = step["urn"].split("::")[2].rsplit("$", 1)[-1]
        found.setdefault(type_, set()).add(step["op"])
    return found


def test_upgrade_replaces_nothing_that_holds_data_and_a_second_preview_is_empty(
    stack: LocalStack,
) -> None:
    planned = operations(stack)
    assert planned["azure-native:storage:StorageAccount"] == {"update"}
    for type_ in HOLDS_DATA:
        assert planned.get(type_, set()) <= {"update", "create"}, type_
    stack.succeed("up", "--yes", "--skip-preview")
    stack.succeed("preview", "--expect-no-changes")
