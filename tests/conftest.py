"""The session's local cloud, for the tests that call it with real clients."""

from collections.abc import Iterator

import pytest

from tests.local_cloud import Cloud, new_cloud


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
