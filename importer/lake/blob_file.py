"""A blob as a file that Parquet readers open: only the ranges that they read are fetched."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs

#: How much of a file's end is fetched at once: more than most Parquet footers take.
_FOOTER_BYTES = 64 * 2**10


class BlobFile(io.RawIOBase):
    """A blob to read from. Its end, where Parquet keeps the footer, is fetched when it is opened."""

    def __init__(self, blobs: AssetBlobs, path: str, size: int) -> None:
        self._blobs, self._path, self._size = blobs, path, size
        self._end_start = max(0, size - _FOOTER_BYTES)
        self._end = blobs.read_range(path, self._end_start, size)
        self._position = 0

    def readable(self) -> bool:
        """Return True: the blob can be read."""
        return True

    def seekable(self) -> bool:
        """Return True: it can be read at any position."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, or all that follow."""
        start = self._position
        end = self._size if size < 0 else min(self._size, start + size)
        self._position = end
        if start >= self._end_start:
            return self._end[start - self._end_start : end - self._end_start]
        return self._blobs.read_range(self._path, start, end)


@contextmanager
def open_parquet(blobs: AssetBlobs, path: str, size: int) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file in place; an ImporterError names the file that cannot be read."""
    with reading_parquet(path):
        end = BlobFile(blobs, path, size)
        with pa.PythonFile(end, mode="r") as source, pq.ParquetFile(source, pre_buffer=True) as file:
            yield file


@contextmanager
def reading_parquet(path: str) -> Iterator[None]:
    """Turn the failure to read a Parquet file into an ImporterError that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise ImporterError(f"{path} cannot be read as Parquet: {error}") from None
