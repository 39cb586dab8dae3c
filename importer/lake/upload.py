"""A file of the lake that is uploaded while it is written, block by block."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager

from importer.lake.asset_blobs import AssetBlobs

#: The size of a block of the blob, in bytes. Azure takes blocks over 4 MiB at a higher rate
#: (https://learn.microsoft.com/azure/storage/blobs/scalability-targets).
BLOCK_BYTES = 5 * 2**20

#: How many blocks are sent at the same time, while the writer fills another.
_SENT_AT_ONCE = 2


class Upload:
    """A file object for pyarrow to write to: each full block is sent in the background."""

    closed = False

    def __init__(self, blobs: AssetBlobs, path: str, pool: Executor) -> None:
        self.size = 0
        self.error: Exception | None = None
        self._blobs = blobs
        self._path = path
        self._pool = pool
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._blocks: list[str] = []
        self._sent: deque[Future[None]] = deque()

    def write(self, data: bytes) -> int:
        """Take bytes; raise the error of a block that could not be sent."""
        if self.error is not None:
            raise self.error
        size = len(data)
        self.size += size
        while len(data) >= (room := BLOCK_BYTES - self._waiting):
            self._pieces.append(data[:room])
            self._send()
            data = data[room:]
        self._pieces.append(data)
        self._waiting += len(data)
        return size

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.size

    def flush(self) -> None:
        """Do nothing: a block is sent when it is full."""

    def close(self) -> None:
        """Do nothing: `uploading` completes the file, if all of it was written."""

    def complete(self) -> None:
        """Send the last block, and make the file of all blocks."""
        if self._waiting:
            self._send()
        self._wait(down_to=0)
        self._blobs.commit_blocks(self._path, self._blocks)

    def _send(self) -> None:
        self._wait(down_to=_SENT_AT_ONCE - 1)
        block = f"{len(self._blocks):05d}"
        self._blocks.append(block)
        content = b"".join(self._pieces)
        self._pieces, self._waiting = [], 0
        self._sent.append(self._pool.submit(self._blobs.send_block, self._path, block, content))

    def _wait(self, down_to: int) -> None:
        while len(self._sent) > down_to:
            try:
                self._sent.popleft().result()
            except Exception as error:
                self.error = error
                raise


@contextmanager
def uploading(blobs: AssetBlobs, path: str) -> Iterator[Upload]:
    """Open a file that is uploaded while the block writes it; it exists once the block ends without error."""
    with ThreadPoolExecutor(_SENT_AT_ONCE, "upload") as pool:
        file = Upload(blobs, path, pool)
        try:
            yield file
            file.complete()
        except BaseException:
            # closing the writer of a failed file fails too, and that error does not say why
            if file.error is not None:
                raise file.error from None
            raise
