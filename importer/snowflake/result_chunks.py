"""A query's result in chunks, as Snowflake stores it: fetched in parallel, returned in order.

The connector can download chunks too, but it holds three copies of a chunk in memory, retries an expired URL
for minutes, and decodes one chunk at a time. Here a chunk is decompressed and decoded while it is downloaded.
"""

import threading
from base64 import b64decode
from collections import deque
from collections.abc import Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from http import HTTPStatus
from io import BufferedIOBase, BytesIO

import pyarrow as pa
from isal.igzip import IGzipFile
from isal.igzip_lib import IsalError
from snowflake.connector import SnowflakeConnection
from snowflake.connector.cursor import SnowflakeCursor
from snowflake.connector.errors import Error
from snowflake.connector.result_batch import ArrowResultBatch
from snowflake.connector.vendored.requests.exceptions import RequestException
from snowflake.connector.vendored.urllib3.exceptions import HTTPError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from importer.errors import ImporterError
from importer.snowflake.chunk_decoder import decode
from importer.snowflake.session import error_text

#: Downloads in parallel: more than there are cores, as most of a download is waiting.
_DOWNLOADS = 4

#: Timeouts in seconds: of the connection, and of each read.
_TIMEOUTS = (10, 60)

_PIECE_BYTES = 2**20


class _ChunkError(Exception):
    """A chunk could not be downloaded or read; a retry may help."""


class _ExpiredError(_ChunkError):
    """The chunk's URL has expired."""


#: The tries of one chunk: about half a minute in all.
CHUNK_RETRIES = Retrying(
    retry=retry_if_exception_type(_ChunkError),
    stop=stop_after_attempt(6),
    wait=wait_random_exponential(max=10),
    reraise=True,
)


def arrow_batches(
    cursor: SnowflakeCursor, ahead_bytes: int, *, nanoseconds: bool = False
) -> Generator[pa.Table, None, None]:
    """Yield the rows of a query in the result's order, and fetch the next chunks meanwhile.

    Times have microseconds, or with `nanoseconds` up to nanoseconds.

    The chunks that are fetched ahead have at most `ahead_bytes` uncompressed, or there is one of them. An
    ImporterError names a chunk that cannot be read.
    """
    result = _Result(cursor, nanoseconds)
    chunks = deque(enumerate(result.sizes))
    fetched: deque[tuple[Future[pa.Table], int]] = deque()
    with ThreadPoolExecutor(_DOWNLOADS, "fetch") as pool:
        try:
            while chunks or fetched:
                while chunks and (not fetched or sum(s for _, s in fetched) + chunks[0][1] <= ahead_bytes):
                    number, size = chunks.popleft()
                    fetched.append((pool.submit(result.fetch, number), size))
                # it counts as fetched until the reader takes it; no reference to it stays here
                wait([fetched[0][0]])
                yield fetched.popleft()[0].result()
        finally:
            pool.shutdown(cancel_futures=True)


class _Result:
    """The chunks of one result; a failed chunk is retried, with a new URL if the old one has expired."""

    def __init__(self, cursor: SnowflakeCursor, nanoseconds: bool) -> None:
        self._connection: SnowflakeConnection = cursor.connection
        self._nanoseconds = nanoseconds
        self._query_id = cursor.sfqid or ""
        self._chunks = _arrow_chunks(cursor)
        self._renewing = threading.Lock()

    @property
    def sizes(self) -> list[int]:
        """The uncompressed size of each chunk; the first chunk came with the response."""
        return [chunk.uncompressed_size or 0 for chunk in self._chunks]

    def fetch(self, number: int) -> pa.Table:
        """Return the rows of a chunk; an ImporterError says why it cannot be read."""
        try:
            return CHUNK_RETRIES.copy()(self._read, number)
        except _ChunkError as error:
            raise ImporterError(
                f"reading the result of query {self._query_id} from Snowflake failed: chunk {number + 1} of "
                f"{len(self._chunks)}: {error}; import again"
            ) from None

    def _read(self, number: int) -> pa.Table:
        """Return the rows of a chunk; a _ChunkError says what is wrong with it."""
        chunk = self._chunks[number]
        if (remote := chunk._remote_chunk_info) is None:  # it came with the response
            encoded = _read_stream(BytesIO(b64decode(str(chunk._data))))
        else:
            try:
                encoded = _download(remote.url, chunk._chunk_headers or {}, self._connection)
            except _ExpiredError:  # the next try has the new URL
                self._renew(number, chunk)
                raise
        if encoded.num_rows != chunk.rowcount:
            raise _ChunkError(f"it has {encoded.num_rows} rows instead of {chunk.rowcount}")
        return decode(encoded, nanoseconds=self._nanoseconds)

    def _renew(self, number: int, refused: ArrowResultBatch) -> None:
        """Get new URLs for the same chunks: URLs expire after about 6 hours, results after 24.

        https://docs.snowflake.com/en/user-guide/querying-persisted-results
        """
        with self._renewing:
            if self._chunks[number] is not refused:  # another thread has
                return
            chunks = self._ask_again()
            if [c.rowcount for c in chunks] != [c.rowcount for c in self._chunks]:
                raise ImporterError(
                    f"the chunks of query {self._query_id}'s result have changed in Snowflake: import again"
                )
            self._chunks = chunks

    def _ask_again(self) -> list[ArrowResultBatch]:
        try:
            return _arrow_chunks(self._connection.cursor().query_result(self._query_id))
        # the connector raises a TypeError for a response without data
        except (Error, TypeError) as error:
            raise ImporterError(
                f"Snowflake has lost the result of query {self._query_id}: {error_text(error)}; import again"
            ) from None


def _arrow_chunks(cursor: SnowflakeCursor) -> list[ArrowResultBatch]:
    """Return the chunks that have rows: the connector cannot read an empty stream."""
    chunks = cursor.get_result_batches() or []
    return [chunk for chunk in chunks if isinstance(chunk, ArrowResultBatch) and chunk.rowcount]


def _download(url: str, headers: Mapping[str, str], connection: SnowflakeConnection) -> pa.Table:
    """Return the rows of a chunk as Snowflake encodes them, decompressed as they come."""
    try:
        with (
            connection.rest.use_requests_session(url) as session,  # type: ignore[union-attr] # it is open
            session.get(url, headers=headers, stream=True, timeout=_TIMEOUTS) as response,
        ):
            if response.status_code == HTTPStatus.FORBIDDEN:
                raise _ExpiredError("its URL has expired")
            if response.status_code != HTTPStatus.OK:
                raise _ChunkError(f"storage responds with {response.status_code}")
            with IGzipFile(fileobj=response.raw) as content:  # type: ignore[no-untyped-call]
                return _read_stream(content)
    # without their messages, which contain the URL with its signature
    except (RequestException, HTTPError) as error:
        raise _ChunkError(f"the download ended with {type(error).__name__}") from None


class _ArrowMemory:
    """A file for pyarrow whose content is decompressed directly into Arrow's memory."""

    closed = False

    def __init__(self, content: BufferedIOBase) -> None:
        self._content = content

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, or fewer at the end."""
        return self._content.read(size)

    def read_buffer(self, size: int) -> pa.Buffer:
        """Return the next `size` bytes, or fewer at the end."""
        buffer = pa.allocate_buffer(size)
        with memoryview(buffer).cast("B") as memory:
            filled = 0
            while filled < size and (piece := self._content.read(min(size - filled, _PIECE_BYTES))):
                memory[filled : filled + len(piece)] = piece
                filled += len(piece)
        return buffer.slice(0, filled)


def _read_stream(content: BufferedIOBase) -> pa.Table:
    """Return the rows of an Arrow stream; a _ChunkError if it is incomplete."""
    try:
        table = pa.ipc.open_stream(pa.PythonFile(_ArrowMemory(content), mode="r")).read_all()
        content.read()  # gzip's checksum comes after the last row
    # isal declares its exception as an instance
    except (pa.ArrowException, MemoryError, OSError, EOFError, IsalError) as error:  # type: ignore[misc]
        raise _ChunkError(f"the Arrow stream is incomplete or damaged: {type(error).__name__}") from None
    return table
