"""Large results of the local Snowflake: the first rows are in the answer, the rest in chunks with URLs.

A chunk is what Snowflake's drivers expect: an Arrow IPC stream, compressed with gzip. Its URL needs no
session, only an unexpired signature and the headers that the answer lists.
"""

import base64
import gzip
import hmac
import json
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import pyarrow as pa
from fakesnow.arrow import to_ipc, to_sf
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from localcloud.snowflake_refusal import RefusedError

#: The answer contains results up to this size; of larger ones, it contains the first rows.
INLINE_BYTES = 100 * 2**10

#: As in Snowflake, the first chunks of a result are small, so that reading can begin early.
FIRST_CHUNK_BYTES = 256 * 2**10
CHUNK_BYTES = 16 * 2**20

#: How long a URL is valid, as documented for the connector's ResultBatch.
URL_SECONDS = 6 * 3600

_RESULTS_KEPT = 8
_ANSWER = "answer.json"
_KEY_HEADER = "x-amz-server-side-encryption-customer-key"


def inline_ipc(table: pa.Table) -> pa.Buffer:
    """Return the Arrow stream of the rows that the answer contains."""
    return to_ipc(table.slice(0, table.num_rows * INLINE_BYTES // max(table.nbytes, INLINE_BYTES)))


class Chunk(NamedTuple):
    """A part of a result as it is sent: number of rows, size in Arrow, and the compressed stream."""

    rows: int
    size: int
    content: bytes

    @classmethod
    def of(cls, table: pa.Table, rowtype: list[Any]) -> Self:
        """Return the chunk of a table; `rowtype` describes its columns as in the answer."""
        stream = bytes(to_ipc(to_sf(table, rowtype)))
        return cls(table.num_rows, len(stream), gzip.compress(stream, compresslevel=1))


class StoredResults:
    """The large results, each in a directory: `answer.json`, the chunks `0`, `1`, …, and the URLs' `key`."""

    def __init__(self, directory: Path, address: str) -> None:
        self._directory = directory
        self._address = address

    def store(self, answer: dict[str, Any], table: pa.Table) -> dict[str, Any]:
        """Store the rows of `table` that are not in `answer`; return the answer with their URLs."""
        data = answer["data"]
        inline = pa.ipc.open_stream(base64.b64decode(data["rowsetBase64"])).read_all().num_rows
        if inline == table.num_rows:
            return answer
        return self.put(answer, (Chunk.of(rows, data["rowtype"]) for rows in _split(table.slice(inline))))

    def put(self, answer: dict[str, Any], chunks: Iterable["Chunk"]) -> dict[str, Any]:
        """Store the chunks of `answer`, and return it with their URLs."""
        query_id = answer["data"]["queryId"]
        folder = self._directory / query_id
        folder.mkdir(parents=True)
        described: list[dict[str, int]] = []
        for chunk in chunks:
            (folder / str(len(described))).write_bytes(chunk.content)
            sizes = {"uncompressedSize": chunk.size, "compressedSize": len(chunk.content)}
            described.append({"rowCount": chunk.rows, **sizes})
        headers = {_KEY_HEADER: base64.b64encode(secrets.token_bytes(32)).decode()}
        data = answer["data"] | {"chunks": described, "chunkHeaders": headers}
        (folder / "key").write_text(secrets.token_hex())
        (folder / _ANSWER).write_text(json.dumps(answer | {"data": data}))
        self._delete_old_results()
        return self._with_urls(query_id)

    def _delete_old_results(self) -> None:
        kept = sorted(self._directory.iterdir(), key=lambda folder: folder.stat().st_mtime_ns)
        for folder in kept[:-_RESULTS_KEPT]:
            shutil.rmtree(folder)

    def _with_urls(self, query_id: str) -> dict[str, Any]:
        """Return a stored answer with new URLs for its chunks."""
        folder = self._directory / query_id
        answer: dict[str, Any] = json.loads((folder / _ANSWER).read_text())
        expires = str(int(time.time()) + URL_SECONDS)
        for number, chunk in enumerate(answer["data"]["chunks"]):
            signature = _sign(folder, str(number), expires)
            chunk["url"] = f"{self._address}/results/{query_id}/{number}?se={expires}&sig={signature}"
        return answer

    def send_answer(self, request: Request) -> Response:
        """Send the answer of an earlier result: the same chunks, with new URLs."""
        query_id = request.path_params["query_id"]
        if not (self._directory / query_id / _ANSWER).exists():
            return RefusedError("000709", f"Statement {query_id} not found", "02000").response()
        return JSONResponse(self._with_urls(query_id))

    def send_chunk(self, request: Request) -> Response:
        """Send one chunk; 403 if its URL has expired or was changed, as cloud storage does."""
        folder = self._directory / request.path_params["query_id"]
        number = str(request.path_params["number"])
        expires = request.query_params.get("se", "0")
        given = request.query_params.get("sig", "")
        if not (folder / _ANSWER).exists():
            return Response(status_code=404)
        if int(expires) < time.time() or not hmac.compare_digest(given, _sign(folder, number, expires)):
            return Response("AuthenticationFailed", 403)
        headers = json.loads((folder / _ANSWER).read_text())["data"]["chunkHeaders"]
        if any(request.headers.get(name) != value for name, value in headers.items()):
            return Response("InvalidRequest", 400)
        return FileResponse(folder / number, headers={"Content-Encoding": "gzip"})


def _sign(folder: Path, number: str, expires: str) -> str:
    key = (folder / "key").read_text()
    return hmac.digest(key.encode(), f"{folder.name}/{number}/{expires}".encode(), "sha256").hex()


def _split(table: pa.Table) -> Iterator[pa.Table]:
    """Yield the rows in chunks that double in size up to CHUNK_BYTES."""
    start, size = 0, FIRST_CHUNK_BYTES
    while start < table.num_rows:
        rows = max(1, table.num_rows * size // max(table.nbytes, 1))
        yield table.slice(start, rows)
        start, size = start + rows, min(2 * size, CHUNK_BYTES)
