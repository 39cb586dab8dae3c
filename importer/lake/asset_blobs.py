"""The blobs of one asset, below `<asset>/` in a container: their paths, and how to read and write them."""

from collections.abc import Collection
from contextlib import suppress

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, BlobProperties

from importer.lake.azure import calling
from importer.lake.datastore import Datastore


class AssetBlobs:
    """The blobs of one asset. Every failed call raises an ImporterError that names the container."""

    def __init__(self, datastore: Datastore, asset: str) -> None:
        self.datastore = datastore
        self.asset = asset
        self.service = f"container {datastore.container} of {datastore.account_url}"
        self.container = datastore.open_account().get_container_client(datastore.container)

    @property
    def folder(self) -> str:
        """The folder of all versions, with a slash at its end."""
        return f"{self.asset}/"

    def version_folder(self, version: str) -> str:
        """Return the folder of a version, with a slash at its end."""
        return f"{self.folder}{version}/"

    def attempt_folder(self, version: str, attempt: str) -> str:
        """Return the folder of an attempt at a version, with a slash at its end."""
        return f"{self.version_folder(version)}{attempt}/"

    @property
    def earlier_address(self) -> str:
        """The address in an MLTable that stands for the `../../` of a part of an earlier version.

        Azure ML rejects a table with `..` in a path
        (https://learn.microsoft.com/python/api/mltable/mltable.mltable.mltable, "save"),
        and a mounted table cannot follow it.
        """
        uri = self.datastore.uri
        return f"{uri}{self.folder}" if uri else "../../"

    def list_blobs(self, folder: str) -> list[BlobProperties]:
        """Return the blobs in a folder, sorted by name."""
        with calling(self.service):
            return list(self.container.list_blobs(name_starts_with=folder))

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size of each blob in a folder, by its name relative to the folder."""
        return {blob.name.removeprefix(folder): blob.size for blob in self.list_blobs(folder)}

    def exists(self, path: str) -> bool:
        """Return whether there is a blob at the path."""
        with calling(self.service):
            return bool(self.container.get_blob_client(path).exists())

    def read(self, path: str) -> bytes:
        """Return the content of a blob."""
        with calling(f"{path} in {self.service}"):
            return self.container.download_blob(path).readall()

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return the bytes of a blob from `start` up to, but without, `end`."""
        with calling(f"{path} in {self.service}"):
            return self.container.download_blob(path, offset=start, length=end - start).readall()

    def write(self, path: str, content: str) -> None:
        """Write a blob, or replace it."""
        with calling(self.service):
            self.container.upload_blob(path, content, overwrite=True)

    def send_block(self, path: str, block: str, content: bytes) -> None:
        """Store a block for the blob at the path; all blocks of a blob have names of the same length."""
        with calling(self.service):
            self.container.get_blob_client(path).stage_block(block, content)

    def commit_blocks(self, path: str, blocks: list[str]) -> None:
        """Write a blob, or replace it, with the content of the blocks in this order."""
        with calling(self.service):
            self.container.get_blob_client(path).commit_block_list([BlobBlock(block) for block in blocks])

    def create(self, path: str, content: str) -> None:
        """Write a blob, unless there is one at the path: then leave it as it is."""
        with calling(self.service), suppress(ResourceExistsError):
            self.container.upload_blob(path, content)

    def delete(self, path: str) -> None:
        """Delete a blob, if it exists."""
        with calling(self.service), suppress(ResourceNotFoundError):
            self.container.delete_blob(path)

    def delete_folder(self, folder: str, last: Collection[str] = ()) -> None:
        """Delete all blobs in a folder, those with the paths in `last` after the others."""
        # in reverse, so that the directories of a hierarchical account are empty before they are deleted
        paths = [blob.name for blob in reversed(self.list_blobs(folder))]
        for path in sorted(paths, key=lambda path: path in last):
            self.delete(path)
        self.delete(folder.rstrip("/"))
