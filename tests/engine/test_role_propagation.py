"""The first `up` of prod's settings on a local cloud whose roles take seconds, as Azure's take minutes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcloud.arm import ArmStore
from localcloud.environment import ROLE_SECONDS_VARIABLE
from localcloud.home import Home
from tests.local_cloud import REPOSITORY, Cloud, new_cloud
from tests.local_stack import UP, LocalStack

#: The settings of prod that only a real Azure, Snowflake and registry can have.
_OF_THE_CLOUD = ("endpoints", "snowflake")


def prod_settings() -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((REPOSITORY / "Pulumi.prod.yaml").read_text())
    return settings


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[int], LocalStack]]:
    """A function that starts a local cloud whose roles take some seconds, and returns its stack.

    The registry of the importer's image, which the program does not make, is there.
    """
    cloud = new_cloud(tmp_path / "cloud")

    def start(role_seconds: int) -> LocalStack:
        file = cloud.home.path / "localcloud.json"
        file.write_text(json.dumps({"ports": cloud.home.ports, "roleSeconds": role_seconds}))
        stack = LocalStack(Cloud(Home.open(cloud.home.path)))
        stack.start()
        registry_id = prod_settings()["config"]["ai-platform:importerRegistryId"]
        kind = {"type": "Microsoft.ContainerRegistry/registries", "properties": {}}
        ArmStore(stack.cloud.home.arm_db).put(registry_id, {"id": registry_id, "name": "shared", **kind})
        return stack

    yield start
    cloud.run("stop")


@pytest.fixture
def settings(tmp_path: Path) -> str:
    """The path of prod's settings, with the local cloud's endpoints and Snowflake, and its salt."""
    local = yaml.safe_load((REPOSITORY / "Pulumi.local.yaml").read_text())
    prod = prod_settings()
    prod["encryptionsalt"] = local["encryptionsalt"]
    for name in _OF_THE_CLOUD:
        prod["config"][f"ai-platform:{name}"] = local["config"][f"ai-platform:{name}"]
    path = tmp_path / "Pulumi.local.yaml"
    path.write_text(yaml.safe_dump(prod))
    return str(path)


def test_up_of_prod_succeeds_in_one_go_and_its_first_import_runs(
    start: Callable[[int], LocalStack], settings: str
) -> None:
    stack = start(5)
    stack.succeed(*UP, "--config-file", settings)
    assert stack.cloud.run("env").returncode == 0
    assert stack.imports()[0]["rows"] == 2930
    stack.succeed("preview", "--expect-no-changes", "--config-file", settings)


def test_up_that_does_not_wait_is_refused(start: Callable[[int], LocalStack], settings: str) -> None:
    stack = start(600)
    done = stack.pulumi(*UP, "--config-file", settings, **{ROLE_SECONDS_VARIABLE: "0"})
    assert done.returncode != 0
    assert "is not in effect yet: wait until it is" in done.stdout
