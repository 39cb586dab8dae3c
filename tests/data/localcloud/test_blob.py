"""The local cloud's Azurite, called by azure-storage-blob."""

import base64
import os
import signal
from collections.abc import Iterator

import certifi
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.storage.blob import BlobBlock, BlobServiceClient, ContainerClient

from localcloud.home import BLOB_KEY
from localcloud.identity import create_token
from tests.local_cloud import Cloud, new_cloud


@pytest.fixture(scope="module")
def blob(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = new_cloud(tmp_path_factory.mktemp("blob"))
    cloud.start("blob")
    yield cloud
    cloud.run("stop")


def service(cloud: Cloud, account: str, credential: object = BLOB_KEY) -> BlobServiceClient:
    return BlobServiceClient(
        f"{cloud.home.blob_url}/{account}",
        credential=credential,  # type: ignore[arg-type]
        connection_verify=str(cloud.home.ca_bundle),
        retry_total=0,
    )


def container(cloud: Cloud, account: str) -> ContainerClient:
    return service(cloud, account).create_container("rawdata")


class LocalToken:
    """A credential with the token that the local identity endpoint issues for `resource`."""

    def __init__(self, resource: str) -> None:
        self._token = AccessToken(*create_token(resource, "client", "object"))

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        return self._token


def kill_and_start(cloud: Cloud) -> None:
    os.kill(cloud.pid("blob"), signal.SIGKILL)
    cloud.start("blob")


def test_two_accounts_have_their_own_blobs_and_the_same_key(blob: Cloud) -> None:
    container(blob, "lakeone").upload_blob("part", b"one")
    container(blob, "laketwo").upload_blob("part", b"two")
    read = service(blob, "lakeone").get_blob_client("rawdata", "part").download_blob().readall()
    assert read == b"one"


def test_wrong_key_is_refused(blob: Cloud) -> None:
    wrong = base64.b64encode(b"k" * 64).decode()
    with pytest.raises(ClientAuthenticationError):
        service(blob, "lakeone", wrong).create_container("other")


def test_token_for_storage_signs_in(blob: Cloud) -> None:
    made = service(blob, "laketoken", LocalToken("https://storage.azure.com")).create_container("rawdata")
    assert made.exists()


def test_token_for_another_service_is_refused(blob: Cloud) -> None:
    with pytest.raises(ClientAuthenticationError):
        service(blob, "laketoken", LocalToken("https://vault.azure.net")).create_container("vault")


def test_client_without_the_local_authority_refuses_the_certificate(blob: Cloud) -> None:
    account = f"{blob.home.blob_url}/lakeone"
    public = BlobServiceClient(account, BLOB_KEY, retry_total=0, connection_verify=certifi.where())
    with pytest.raises(ServiceRequestError, match="CERTIFICATE_VERIFY_FAILED"):
        public.get_service_properties()


def test_acknowledged_write_survives_a_kill(blob: Cloud) -> None:
    rawdata = container(blob, "lakekill")
    rawdata.upload_blob("before", b"x")
    kill_and_start(blob)  # the next writes come from a process that has loaded a database
    rawdata.upload_blob("whole", b"w" * 100_000)
    blocks = rawdata.get_blob_client("blocks")
    blocks.stage_block("MDAx", b"b" * 1000)
    kill_and_start(blob)
    assert rawdata.download_blob("whole").readall() == b"w" * 100_000
    blocks.commit_block_list([BlobBlock("MDAx")])
    rawdata.delete_blob("before")
    kill_and_start(blob)
    assert sorted(item.name for item in rawdata.list_blobs()) == ["blocks", "whole"]
    assert blocks.download_blob().readall() == b"b" * 1000


def test_large_upload_is_read_back(blob: Cloud) -> None:
    content = os.urandom(80 * 2**20)  # above the size that the client sends in one request
    rawdata = container(blob, "lakelarge")
    rawdata.upload_blob("large", content, max_concurrency=4)
    assert rawdata.download_blob("large", max_concurrency=2).readall() == content
