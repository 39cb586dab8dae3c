"""The Parquet files of a version, downloaded one at a time."""

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.blob_file import BlobFile, reading_parquet
from importer.lake.manifest import Manifest, Part, part_path

#: Parts up to this size in total stay on disk between passes; those of larger versions are fetched again.
KEPT_BYTES = 2 * 2**30
_BLOCK_BYTES = 4 * 2**20

#: How many rows of a row group are read to estimate the size of a row.
_PROBED_ROWS = 1024


class VersionParts:
    """The parts of a version; `folder` holds all of them, or one at a time if they exceed KEPT_BYTES."""

    def __init__(self, blobs: AssetBlobs, manifest: Manifest, folder: Path) -> None:
        self._blobs = blobs
        self._attempt = blobs.attempt_folder(manifest.version, manifest.attempt)
        self._folder = folder
        self.parts = manifest.files
        self._are_kept = sum(part.bytes for part in self.parts) <= KEPT_BYTES

    @contextmanager
    def open(self, part: Part) -> Iterator[pq.ParquetFile]:
        """Open a part, after downloading it if necessary; an ImporterError if it cannot be read."""
        path = self._folder / f"{self.parts.index(part)}.parquet"
        if not path.is_file():
            self._fetch(part, path)
        with reading_parquet(self._path(part)), pq.ParquetFile(path) as file:
            yield file
        if not self._are_kept:
            path.unlink()

    def tables(self, schema: pa.Schema, size: int) -> Iterator[tuple[int, pa.Table]]:
        """Yield the rows in a schema, in tables of about `size` bytes, each with its first row's number."""
        first = 0
        for part in self.parts:
            with self.open(part) as file:
                for batch in _batches(file, size):
                    table = _conform(pa.Table.from_batches([batch]), schema)
                    yield first, table
                    first += table.num_rows
                    pa.default_memory_pool().release_unused()

    def schema(self) -> pa.Schema:
        """Return a schema in which every part can be read.

        Parts of earlier versions may lack a column, or have one of a narrower type. The parts of one attempt
        have the same schema, so one of them is looked at.
        """
        one_of_each = {posixpath.dirname(part.name): part for part in self.parts}
        schemas = [self._part_schema(part) for part in one_of_each.values()]
        try:
            found = pa.unify_schemas(schemas, promote_options="permissive")
            return pa.schema([pa.field(field.name, field.type) for field in found])
        except pa.ArrowException as error:
            raise ImporterError(
                f"the parts of {self._attempt} have incompatible columns: {error}; "
                "import all rows again with --full"
            ) from None

    def _part_schema(self, part: Part) -> pa.Schema:
        with reading_parquet(self._path(part)):
            end = BlobFile(self._blobs, self._path(part), part.bytes)
            return pq.read_schema(pa.PythonFile(end, mode="r"))

    def _path(self, part: Part) -> str:
        return part_path(self._attempt, part)

    def _fetch(self, part: Part, path: Path) -> None:
        with path.open("wb") as file:
            for start in range(0, part.bytes, _BLOCK_BYTES):
                end = min(part.bytes, start + _BLOCK_BYTES)
                file.write(self._blobs.read_range(self._path(part), start, end))


def _batches(file: pq.ParquetFile, size: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in batches of about `size` bytes, estimated from a row group's first rows.

    Pyarrow keeps all row groups that it is asked for in memory, so they are read one by one. Several threads
    would take more memory, and save no time on so few rows.
    """
    for number in range(file.num_row_groups):
        probed = next(file.iter_batches(_PROBED_ROWS, row_groups=[number], use_threads=False), None)
        if probed is not None and probed.num_rows:
            rows = max(1, size * probed.num_rows // max(1, probed.nbytes))
            yield from file.iter_batches(rows, row_groups=[number], use_threads=False)


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    names = set(table.column_names)
    missing = [field for field in schema if field.name not in names]
    for field in missing:
        table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema)
