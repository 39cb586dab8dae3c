"""The session's local cloud, for the tests that call it with real clients."""

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local_cloud import REPOSITORY, Cloud, new_cloud
from tools.pulumi.install import CLI, VERSION, cache_directory

#: The order of the folders of tests: a file of `engine` takes minutes, one of `unit` seconds.
_LONG_FIRST = {"engine": 0, "data": 1, "unit": 2}

#: The file that takes longest: it stops a run at each of its requests.
_LONGEST = "test_exactly_once.py"


def pytest_configure() -> None:
    """Find the virtual environment and the Pulumi CLI that make has installed, however pytest is started."""
    found = [] if shutil.which(CLI) else [cache_directory() / f"pulumi-{VERSION}" / "bin"]
    # the tests start hundreds of processes, which would compile our modules again and again
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # a test makes many objects and little garbage: searching for it would take a third of a platform's time
    gc.set_threshold(100_000, 20, 20)
    os.environ["PATH"] = os.pathsep.join(map(str, [Path(sys.executable).parent, *found, os.environ["PATH"]]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long files first, so that all processes end at about the same time."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    if item.path.name == _LONGEST:
        return -1
    return _LONG_FIRST.get(item.path.relative_to(REPOSITORY / "tests").parts[0], 9)


def pytest_collection_finish() -> None:
    """Leave the modules out of garbage collection: searching them takes a third of the time of a test."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Collect the modules as usual when Python ends."""
    gc.unfreeze()


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
