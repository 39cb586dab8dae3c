"""The versions of an asset in its blobs."""

import pytest
from azure.storage.blob import BlobProperties

from importer.lake.asset_blobs import AssetBlobs
from importer.lake.datastore import Datastore
from importer.lake.stored_versions import StoredVersions

LAKE = Datastore("rawdata", "lake", "rawdata", "https", "core.windows.net")
VERSION = "20261123T060000Z"


class Blobs(AssetBlobs):
    """The blobs of an asset; `deleted` has the names of those that were deleted, in order."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(LAKE, "houses")
        self._names = sorted(names)
        self.deleted: list[str] = []

    def list_blobs(self, folder: str) -> list[BlobProperties]:
        return [BlobProperties(name=name) for name in self._names if name.startswith(folder)]

    def delete(self, path: str) -> None:
        self.deleted.append(path)


@pytest.mark.parametrize("attempt", ["0123456789ab", "fedcba987654"])
def test_marks_of_a_version_are_deleted_after_its_files(attempt: str) -> None:
    folder = f"houses/{VERSION}/"
    files = [f"{attempt}/{name}" for name in ("MLTable", "_manifest.json", "data/part-00000.parquet")]
    marks = ["_committed.json", "_retired.json"]
    blobs = Blobs([folder + name for name in (*files, *marks)])
    StoredVersions(blobs).delete(VERSION)
    deleted = [path.removeprefix(folder) for path in blobs.deleted]
    assert sorted(deleted[:3]) == files
    assert deleted[3:5] == ["_retired.json", "_committed.json"]
    assert blobs.deleted[5:] == [folder.rstrip("/")]
