"""A query's result as Snowflake keeps it: in chunks, fetched in parallel and read in their order.

The connector would download a chunk too, but keeps it in memory three times over, tries a URL that has
expired for minutes, and decodes one chunk at a time. Here a chunk is decompressed and decoded as it comes.
"""

import threading
from base64 import b64decode
from collections import deque
from collections.abc import Iterator, Mapping
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

#: Most of a download is waiting: more of them than cores.
_DOWNLOADS = 4

#: Seconds for a connection, and for each block after that.
_TIMEOUTS = (10, 60)

_PIECE_BYTES = 2**20


class _ChunkError(Exception):
    """A chunk is not as it should be; another try may help."""


class _ExpiredError(_ChunkError):
    """Storage refuses the chunk's URL."""


#: The tries of one chunk: about half a minute in all.
CHUNK_RETRIES = Retrying(
    retry=retry_if_exception_type(_ChunkError),
    stop=stop_after_attempt(6),
    wait=wait_random_exponential(max=10),
    reraise=True,
)


def arrow_batches(cursor: SnowflakeCursor, ahead_bytes: int) -> Iterator[pa.Table]:
    """Yield the rows of a query in the result's order, the next chunks being fetched meanwhile.

    Of these there are `ahead_bytes` uncompressed at most, and always one. An ImporterError says what is wrong
    with a chunk.
    """
    result = _Result(cursor)
    chunks = deque(enumerate(result.sizes))
    fetched: deque[tuple[Future[pa.Table], int]] = deque()
    with ThreadPoolExecutor(_DOWNLOADS, "fetch") as pool:
        try:
            while chunks or fetched:
                while chunks and (not fetched or sum(s for _, s in fetched) + chunks[0][1] <= ahead_bytes):
                    number, size = chunks.popleft()
                    fetched.append((pool.submit(result.fetch, number), size))
                # it counts as fetched until its reader takes it, and is not kept here after that
                wait([fetched[0][0]])
                yield fetched.popleft()[0].result()
        finally:
            pool.shutdown(cancel_futures=True)


class _Result:
    """The chunks of one result; one that fails is tried again, by a new URL where the old one has expired."""

    def __init__(self, cursor: SnowflakeCursor) -> None:
        self._connection: SnowflakeConnection = cursor.connection
        self._query_id = cursor.sfqid or ""
        self._chunks = _arrow_chunks(cursor)
        self._renewing = threading.Lock()

    @property
    def sizes(self) -> list[int]:
        """The size of each chunk, uncompressed; the first came with the answer."""
        return [chunk.uncompressed_size or 0 for chunk in self._chunks]

    def fetch(self, number: int) -> pa.Table:
        """Return the rows of a chunk; an ImporterError says why it has not all of them."""
        try:
            return CHUNK_RETRIES.copy()(self._try, number)
        except _ChunkError as error:
            raise ImporterError(
                f"reading the result of query {self._query_id} from Snowflake failed: chunk {number + 1} of "
                f"{len(self._chunks)}: {error}; import again"
            ) from None

    def _try(self, number: int) -> pa.Table:
        chunk = self._chunks[number]
        try:
            return _read(chunk, self._connection)
        except _ExpiredError:
            self._renew(number, chunk)
        return _read(self._chunks[number], self._connection)

    def _renew(self, number: int, refused: ArrowResultBatch) -> None:
        """Have Snowflake give new URLs for the same chunks: URLs last about 6 hours, results 24.

        https://docs.snowflake.com/en/user-guide/querying-persisted-results
        """
        with self._renewing:
            if self._chunks[number] is not refused:  # another thread has
                return
            chunks = self._ask_again()
            if [c.rowcount for c in chunks] != [c.rowcount for c in self._chunks]:
                raise ImporterError(
                    f"Snowflake split the result of query {self._query_id} anew: import again"
                )
            self._chunks = chunks

    def _ask_again(self) -> list[ArrowResultBatch]:
        try:
            return _arrow_chunks(self._connection.cursor().query_result(self._query_id))
        # the connector takes an answer without data for one with it
        except (Error, TypeError) as error:
            raise ImporterError(
                f"Snowflake has lost the result of query {self._query_id}: {error_text(error)}; import again"
            ) from None


def _arrow_chunks(cursor: SnowflakeCursor) -> list[ArrowResultBatch]:
    """Return the chunks that have rows; the connector cannot read a stream without a batch."""
    chunks = cursor.get_result_batches() or []
    return [chunk for chunk in chunks if isinstance(chunk, ArrowResultBatch) and chunk.rowcount]


def _read(chunk: ArrowResultBatch, connection: SnowflakeConnection) -> pa.Table:
    """Return the rows of a chunk; a _ChunkError says what is wrong with it."""
    if (remote := chunk._remote_chunk_info) is not None:
        encoded = _download(remote.url, chunk._chunk_headers or {}, connection)
    else:  # it came with the answer
        encoded = _read_stream(BytesIO(b64decode(str(chunk._data))))
    if encoded.num_rows != chunk.rowcount:
        raise _ChunkError(f"it has {encoded.num_rows} rows instead of {chunk.rowcount}")
    return decode(encoded)


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
                raise _ChunkError(f"storage answers {response.status_code}")
            with IGzipFile(fileobj=response.raw) as content:  # type: ignore[no-untyped-call]
                return _read_stream(content)
    # not their messages, which have the URL with its signature
    except (RequestException, HTTPError) as error:
        raise _ChunkError(f"the download ended with {type(error).__name__}") from None


class _ArrowMemory:
    """Content for pyarrow to read: what it asks for is decompressed right to where it stays."""

    closed = False

    def __init__(self, content: BufferedIOBase) -> None:
        self._content = content

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end."""
        return self._content.read(size)

    def read_buffer(self, size: int) -> pa.Buffer:
        """Return the next `size` bytes, fewer at the end."""
        buffer = pa.allocate_buffer(size)
        with memoryview(buffer).cast("B") as memory:
            filled = 0
            while filled < size and (piece := self._content.read(min(size - filled, _PIECE_BYTES))):
                memory[filled : filled + len(piece)] = piece
                filled += len(piece)
        return buffer.slice(0, filled)


def _read_stream(content: BufferedIOBase) -> pa.Table:
    """Return the rows of an Arrow stream; a _ChunkError where it is not whole."""
    try:
        table = pa.ipc.open_stream(pa.PythonFile(_ArrowMemory(content), mode="r")).read_all()
        content.read()  # gzip's checksum comes after the last row
    # isal declares its exception as an instance
    except (pa.ArrowException, MemoryError, OSError, EOFError, IsalError) as error:  # type: ignore[misc]
        raise _ChunkError(f"it is no whole Arrow stream: {type(error).__name__}") from None
    return table
