"""The Parquet files of a version, one at a time on disk."""

import io
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from importer.errors import ImporterError
from importer.lake.blob import AssetBlobs
from importer.lake.manifest import Manifest, Part, part_path

#: Parts of a version up to this size stay on disk between passes; larger ones are fetched again.
KEPT_BYTES = 2 * 2**30
_BLOCK_BYTES = 4 * 2**20

#: As much of a file's end is fetched for its footer: more than one mostly has.
_FOOTER_BYTES = 64 * 2**10
_PROBED_ROWS = 1024


class VersionParts:
    """The parts of a version; at most KEPT_BYTES or one of them are in `folder` at a time."""

    def __init__(self, blobs: AssetBlobs, manifest: Manifest, folder: Path) -> None:
        self._blobs = blobs
        self._attempt = blobs.attempt_path(manifest.version, manifest.attempt)
        self._folder = folder
        self.parts = manifest.files
        self._are_kept = sum(part.bytes for part in self.parts) <= KEPT_BYTES

    @contextmanager
    def open(self, part: Part) -> Iterator[pq.ParquetFile]:
        """Open a part, which is fetched if it is not here; an ImporterError says that it cannot be read."""
        path = self._folder / f"{self.parts.index(part)}.parquet"
        if not path.is_file():
            self._fetch(part, path)
        with self._reading(part), pq.ParquetFile(path) as file:
            yield file
        if not self._are_kept:
            path.unlink()

    def tables(self, schema: pa.Schema, size: int) -> Iterator[tuple[int, pa.Table]]:
        """Yield the rows in the schema, in tables of about `size` bytes, each with its first row's number."""
        first = 0
        for part in self.parts:
            with self.open(part) as file:
                for batch in _batches(file, size):
                    table = _conform(pa.Table.from_batches([batch]), schema)
                    yield first, table
                    first += table.num_rows
                    pa.default_memory_pool().release_unused()

    def schema(self) -> pa.Schema:
        """Return the schema that every part can be read in: the parts of one attempt have the same.

        Those of earlier versions may lack a column, or have one of a narrower type.
        """
        one_of_each = {posixpath.dirname(part.name): part for part in self.parts}
        schemas = [self._part_schema(part) for part in one_of_each.values()]
        try:
            found = pa.unify_schemas(schemas, promote_options="permissive")
            return pa.schema([pa.field(field.name, field.type) for field in found])
        except pa.ArrowException as error:
            raise ImporterError(
                f"the parts of {self._attempt} have different columns: {error}; import all of it again"
            ) from None

    def _part_schema(self, part: Part) -> pa.Schema:
        with self._reading(part):
            end = BlobFile(self._blobs, self._path(part), part.bytes)
            return pq.read_schema(pa.PythonFile(end, mode="r"))

    def _path(self, part: Part) -> str:
        return part_path(self._attempt, part)

    def _fetch(self, part: Part, path: Path) -> None:
        with path.open("wb") as file:
            for start in range(0, part.bytes, _BLOCK_BYTES):
                end = min(part.bytes, start + _BLOCK_BYTES)
                file.write(self._blobs.read_range(self._path(part), start, end))

    @contextmanager
    def _reading(self, part: Part) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise ImporterError(f"{self._path(part)} cannot be read: {error}") from None


def _batches(file: pq.ParquetFile, size: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in batches of about `size` bytes, judging by a row group's first ones.

    A row group at a time: of those that it is asked for pyarrow fetches all, and keeps them. Several threads
    would take more memory, and no less time for so few rows.
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


class BlobFile(io.RawIOBase):
    """A blob to read from, whose end, where Parquet keeps the footer, is fetched at once."""

    def __init__(self, blobs: AssetBlobs, path: str, size: int) -> None:
        self._blobs, self._path, self._size = blobs, path, size
        self._start = max(0, size - _FOOTER_BYTES)
        self._end = blobs.read_range(path, self._start, size)
        self._at = 0

    def readable(self) -> bool:
        """Return that it can be."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read at any place."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, or the rest."""
        start, end = self._at, self._size if size < 0 else min(self._size, self._at + size)
        self._at = end
        if start >= self._start:
            return self._end[start - self._start : end - self._start]
        return self._blobs.read_range(self._path, start, end)
