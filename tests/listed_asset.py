"""An asset as its readers find it: the versions that are listed, and what they hold."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from importer.lake.manifest import Manifest
from importer.spec.import_spec import ImportSpec
from localcloud.arm import ArmStore, Document
from localcloud.home import Home
from localcloud.houses import TABLE, house_sales
from tests.data_cloud import WORKSPACE, attempts, blob_names, container

ROWS = house_sales().num_rows
#: All rows, of as many columns as make a result of several chunks, and no more: it is for hundreds of runs.
QUERY = f"SELECT {', '.join(house_sales().column_names[:24])}, LATITUDE FROM {TABLE}"  # noqa: S608 - constants


def write_several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have so few rows be written in several files, and each of them in several blocks."""
    monkeypatch.setattr("importer.lake.parquet.PART_BYTES", 45_000)
    monkeypatch.setattr("importer.lake.parquet._CONVERTED_BYTES", 100_000)
    monkeypatch.setattr("importer.job.stream.STREAM_FIXED_MB", 399)
    monkeypatch.setattr("importer.lake.upload.BLOCK_BYTES", 25_000)
    monkeypatch.setattr("importer.job.unload.MAX_FILE_BYTES", 1000)


class ListedAsset:
    """All house sales as one asset, in several files."""

    def __init__(self, home: Home, spec: ImportSpec) -> None:
        self._home = home
        self._name = spec.name
        self._container = container(home)

    def active(self) -> list[Document]:
        """Return the versions that are listed."""
        found = ArmStore(self._home.arm_db).children(f"{WORKSPACE}/data/{self._name}/versions")
        return [version for version in found if not version["properties"].get("isArchived")]

    def check_readers(self) -> None:
        """Load every version that is listed, and compare what it holds with what it says."""
        for version in self.active():
            folder = version["properties"]["dataUri"].partition("/paths/")[2]
            listed = [path["file"] for path in yaml.safe_load(self._read(folder + "MLTable"))["paths"]]
            files = [self._read(folder + name.removeprefix("./")) for name in listed]
            rows = [pq.read_table(pa.BufferReader(file)).num_rows for file in files]
            manifest = Manifest.model_validate_json(self._read(folder + "_manifest.json"))
            told = [(f"./{part.name}", part.rows, part.bytes) for part in manifest.files]
            assert told == [(n, r, len(f)) for n, r, f in zip(listed, rows, files, strict=True)]
            assert len(files) > 1
            assert sum(rows) == manifest.rows == int(version["properties"]["tags"]["rows"]) == ROWS

    def _read(self, path: str) -> bytes:
        return self._container.download_blob(path).readall()

    def versions(self) -> list[str]:
        """Return the versions that are listed, by their names."""
        return [str(found["name"]) for found in self.active()]

    def check(self, version: str) -> None:
        """Check that `version` is the one that is listed, whole, and that no attempt is left beside it."""
        self.check_readers()
        assert self.versions() == [version]
        assert len(attempts(self._home, self._name, version)) == 1

    def check_alone(self, version: str) -> None:
        """Check `version`, and that nothing is left of any other."""
        self.check(version)
        folder = f"{self._name}/{version}/"
        assert [name for name in blob_names(self._home, self._name) if not name.startswith(folder)] == []
