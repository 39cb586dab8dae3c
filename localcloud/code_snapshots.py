"""The code that is uploaded for jobs: its place in the local Blob service, and its copy for a job."""

import secrets
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobServiceClient, ContainerClient, generate_container_sas

from localcloud.arm import Document
from localcloud.errors import ServiceError
from localcloud.home import BLOB_KEY, Home

_LIFETIME = timedelta(hours=1)
#: The permissions of an upload in its container, as in Azure ML: read, add, create, write, list.
_PERMISSIONS = "racwl"


class CodeSnapshots:
    """The code snapshots of a local cloud, each in its own container."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def start_upload(self, workspace: Document) -> Document:
        """Return a new container for a snapshot, with a shared access signature, as the service does.

        https://learn.microsoft.com/rest/api/azureml/code-versions/create-or-get-start-pending-upload
        """
        account = str(workspace["properties"].get("storageAccount", workspace["name"])).rpartition("/")[2]
        container = f"{workspace['name'].lower()}-{secrets.token_hex(8)}"
        try:
            with self._account(account) as client:
                client.create_container(container)
        except AzureError as error:
            raise ServiceError(500, "InternalServerError", f"Blob storage: {error.message}") from None
        expiry = datetime.now(UTC) + _LIFETIME
        sas = generate_container_sas(
            account, container, account_key=BLOB_KEY, permission=_PERMISSIONS, expiry=expiry
        )
        uri = f"{self._home.blob_url}/{account}/{container}"
        return {
            "pendingUploadId": container,
            "pendingUploadType": "TemporaryBlobReference",
            "blobReferenceForConsumption": {
                "blobUri": uri,
                "storageAccountArmId": workspace["properties"].get("storageAccount"),
                "credential": {"credentialType": "SAS", "sasUri": f"{uri}?{sas}"},
            },
        }

    def copy(self, code_uri: str, target: Path) -> None:
        """Copy the snapshot at `code_uri` to `target`; it is downloaded only the first time."""
        kept = self._home.path / "code" / sha256(code_uri.encode()).hexdigest()
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as directory:
                self._download(code_uri, Path(directory, "code"))
                Path(directory, "code").rename(kept)
        shutil.copytree(kept, target)

    def _download(self, code_uri: str, target: Path) -> None:
        account, container, prefix = urlsplit(code_uri).path.strip("/").split("/", 2)
        with self._account(account) as client, client.get_container_client(container) as blobs:
            names = [blob.name for blob in blobs.list_blobs(name_starts_with=f"{prefix}/")]
            for name in names:
                _save(blobs, name, target / name.removeprefix(f"{prefix}/"))

    def _account(self, account: str) -> BlobServiceClient:
        return BlobServiceClient(
            f"{self._home.blob_url}/{account}",
            credential={"account_name": account, "account_key": BLOB_KEY},
            connection_verify=str(self._home.ca_bundle),
            retry_total=2,
        )


def _save(blobs: ContainerClient, name: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blobs.download_blob(name).readall())
