"""One attempt at a version: a folder that one run writes, which readers see only if it is committed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow.parquet as pq

from importer.lake.asset_blobs import AssetBlobs
from importer.lake.blob_file import open_parquet
from importer.lake.manifest import MANIFEST_NAME, MLTABLE_NAME, Manifest, Part, mltable, part_path


class Attempt:
    """The folder `<asset>/<version>/<name>/`; parts are named relative to it."""

    def __init__(self, blobs: AssetBlobs, version: str, name: str) -> None:
        self.blobs = blobs
        self.version = version
        self.name = name
        self.folder = blobs.attempt_folder(version, name)
        self._manifest: Manifest | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the manifest is written."""
        return self._manifest is not None

    @property
    def manifest(self) -> Manifest:
        """The manifest of the attempt, which must be complete."""
        if self._manifest is None:
            raise RuntimeError(f"{self.folder} is not complete: call complete() first")
        return self._manifest

    def delete(self, name: str) -> None:
        """Delete a file of the attempt, if it exists."""
        self.blobs.delete(self.folder + name)

    @contextmanager
    def open_part(self, part: Part) -> Iterator[pq.ParquetFile]:
        """Open a part of this attempt or of an earlier version; only the ranges that are read are fetched."""
        with open_parquet(self.blobs, part_path(self.folder, part), part.bytes) as file:
            yield file

    def complete(self, manifest: Manifest) -> None:
        """Write the MLTable file, and at last the manifest, which makes the attempt complete."""
        self.blobs.write(self.folder + MLTABLE_NAME, mltable(manifest.files, self.blobs.earlier_address))
        self.blobs.write(self.folder + MANIFEST_NAME, manifest.model_dump_json(indent=2))
        self._manifest = manifest
