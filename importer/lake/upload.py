"""Bytes on their way from the thread that makes a file to the one that uploads it, a few at a time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Queue

#: How much is handed over, and is a block of the blob. Azure takes blocks over 4 MiB at a higher rate
#: (https://learn.microsoft.com/azure/storage/blobs/scalability-targets).
BLOCK_BYTES = 5 * 2**20

#: Writes the file of a name from its blocks; where they raise, it raises that and leaves no file.
Upload = Callable[[str, Iterable[bytes]], None]


class Sink:
    """A file to write to, as pyarrow wants it, that is being uploaded; one block of it waits at most."""

    closed = False

    def __init__(self, upload: Upload, name: str, pool: Executor) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._queue: Queue[bytes | None] = Queue(maxsize=1)
        self._is_whole = False
        self.error: BaseException | None = None
        self._uploaded = pool.submit(self._upload, upload, name)

    def write(self, data: bytes) -> int:
        """Take bytes; raise what the upload has raised."""
        if self.error is not None:
            raise self.error
        size = len(data)
        self.size += size
        while len(data) >= (room := BLOCK_BYTES - self._waiting):
            self._pieces.append(data[:room])
            self._hand_over()
            data = data[room:]
        self._pieces.append(data)
        self._waiting += len(data)
        return size

    def tell(self) -> int:
        """Return how much is written."""
        return self.size

    def flush(self) -> None:
        """Do nothing: a block is handed over when it is full."""

    def close(self) -> None:
        """Do nothing: `uploading` knows whether the file is whole."""

    def end(self, *, is_whole: bool) -> None:
        """Wait for the upload; what it raises is raised, if the file is whole."""
        self._hand_over()
        self._is_whole = is_whole
        self._queue.put(None)
        with suppress(*([] if is_whole else [Exception])):
            self._uploaded.result()

    def _hand_over(self) -> None:
        self._queue.put(b"".join(self._pieces))
        self._pieces, self._waiting = [], 0

    def _upload(self, upload: Upload, name: str) -> None:
        blocks = self._blocks()
        try:
            upload(name, blocks)
        except BaseException as error:
            self.error = error
            raise
        finally:
            # who writes is not to wait for an upload that has ended
            with suppress(InterruptedError):
                for _ in blocks:
                    pass

    def _blocks(self) -> Iterator[bytes]:
        while (block := self._queue.get()) is not None:
            yield block
        if not self._is_whole:
            raise InterruptedError


@contextmanager
def uploading(upload: Upload, name: str) -> Iterator[Sink]:
    """Open a file that is uploaded as it is written; it is there once it is whole, at the end."""
    with ThreadPoolExecutor(1, "upload") as pool:
        sink = Sink(upload, name, pool)
        try:
            yield sink
        except BaseException:
            # what pyarrow says of a sink that fails is not why it fails
            failed = sink.error
            sink.end(is_whole=False)
            if failed is not None:
                raise failed from None
            raise
        sink.end(is_whole=True)
