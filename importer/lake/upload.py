"""A file that one thread uploads while another thread writes it, a few blocks at a time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Queue

#: The size of a block of the blob, in bytes. Azure takes blocks over 4 MiB at a higher rate
#: (https://learn.microsoft.com/azure/storage/blobs/scalability-targets).
BLOCK_BYTES = 5 * 2**20

#: Writes a file, given its name and its blocks. If the blocks raise an error, it raises that error and leaves
#: no file.
Upload = Callable[[str, Iterable[bytes]], None]


class Sink:
    """A file object for pyarrow to write to. At most one block waits for the upload."""

    closed = False

    def __init__(self, upload: Upload, name: str, pool: Executor) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._waiting = 0
        self._queue: Queue[bytes | None] = Queue(maxsize=1)
        self._is_complete = False
        self.error: BaseException | None = None
        self._uploaded = pool.submit(self._upload, upload, name)

    def write(self, data: bytes) -> int:
        """Take bytes; raise the error of the upload, if it has failed."""
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
        """Return the number of bytes written."""
        return self.size

    def flush(self) -> None:
        """Do nothing: a block is handed over when it is full."""

    def close(self) -> None:
        """Do nothing: `uploading` ends the file, and knows whether it is complete."""

    def end(self, *, is_complete: bool) -> None:
        """Wait for the upload to end; raise its error, if the file is complete."""
        self._hand_over()
        self._is_complete = is_complete
        self._queue.put(None)
        with suppress(*([] if is_complete else [Exception])):
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
            # takes the blocks that are left: otherwise the writer would wait for ever
            with suppress(InterruptedError):
                for _ in blocks:
                    pass

    def _blocks(self) -> Iterator[bytes]:
        while (block := self._queue.get()) is not None:
            yield block
        if not self._is_complete:
            raise InterruptedError


@contextmanager
def uploading(upload: Upload, name: str) -> Iterator[Sink]:
    """Open a file that is uploaded while the block writes it; it exists once the block ends without error."""
    with ThreadPoolExecutor(1, "upload") as pool:
        sink = Sink(upload, name, pool)
        try:
            yield sink
        except BaseException:
            # pyarrow's error does not tell why the sink failed
            failed = sink.error
            sink.end(is_complete=False)
            if failed is not None:
                raise failed from None
            raise
        sink.end(is_complete=True)
