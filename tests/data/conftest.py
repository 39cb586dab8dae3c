"""The local cloud of the tests that move data: its services start once, and each file finds them empty."""

from collections.abc import Iterator

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from importer.lake.azure import credential
from localcloud.arm import ArmStore
from localcloud.home import BLOB_KEY, Home
from tests.data_cloud import container, deploy
from tests.local_cloud import Cloud, new_cloud


@pytest.fixture(scope="session")
def data_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Blob Storage, Snowflake and the workspace service of one worker."""
    cloud = new_cloud(tmp_path_factory.mktemp("data"))
    deploy(cloud.home)
    cloud.start("blob", "snowflake", "azure")
    yield cloud
    cloud.run("stop")


@pytest.fixture(scope="module")
def home(data_services: Cloud) -> Iterator[Home]:
    """The local cloud with a workspace, as a deployment leaves it, in the environment of the tests.

    Tables that an earlier file has made in Snowflake stay: a test replaces the tables that it makes.
    """
    home = data_services.home
    with pytest.MonkeyPatch.context() as patch:
        for name, value in data_services.env.items():
            patch.setenv(name, value)
        empty(home)
        deploy(home)
        container(home).create_container()
        credential.cache_clear()
        yield home


def empty(home: Home) -> None:
    """Delete every resource, and every blob of the lake."""
    ArmStore(home.arm_db).delete("")
    lake = BlobServiceClient(f"{home.blob_url}/lake", credential=BLOB_KEY)
    for found in lake.list_containers():
        try:
            lake.delete_container(found.name)
        except ResourceNotFoundError:
            continue
