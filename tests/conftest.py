"""The session's local cloud, for the tests that call it with real clients."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local_cloud import Cloud, new_cloud
from tools.pulumi.install import CLI, VERSION, cache_directory


def pytest_configure() -> None:
    """Find the virtual environment and the Pulumi CLI that make has installed, whoever runs pytest."""
    found = [] if shutil.which(CLI) else [cache_directory() / f"pulumi-{VERSION}" / "bin"]
    os.environ["PATH"] = os.pathsep.join(map(str, [Path(sys.executable).parent, *found, os.environ["PATH"]]))


@pytest.fixture(scope="session")
def idle_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The session's local cloud; a test, or a fixture for one service, starts what it needs."""
    cloud = new_cloud(tmp_path_factory.mktemp("localcloud"))
    yield cloud
    cloud.run("stop")


@pytest.fixture(scope="session")
def cloud(idle_cloud: Cloud) -> Cloud:
    """The session's local cloud, with all its services."""
    idle_cloud.start()
    return idle_cloud
