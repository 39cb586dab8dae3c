"""Large results end to end: chunks by URL from the local Snowflake, fetched in parallel, into Azurite."""

import gzip
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector
from snowflake.connector.cursor import SnowflakeCursor
from tenacity import wait_none

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.snowflake import result_chunks as fetch
from importer.snowflake.result_chunks import CHUNK_RETRIES, _Result, arrow_batches
from importer.spec.import_spec import ImportSpec
from importer.versions.workspace import Workspace
from localcloud.home import Home
from localcloud.houses import house_sales
from tests import data_cloud as imports
from tests.data_cloud import ALL_SALES, V1, blob_names, download, run, spec


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "CHUNK_RETRIES", CHUNK_RETRIES.copy(wait=wait_none()))


@pytest.fixture
def sales(home: Home) -> Iterator[SnowflakeCursor]:
    """All sales, as a query that has run."""
    account = imports.deployer() | {"port": home.ports["snowflake"]}
    with closing(snowflake.connector.connect(**account)) as connection:
        cursor = connection.cursor()
        cursor.execute(ALL_SALES)
        yield cursor


def stored(home: Home, cursor: SnowflakeCursor) -> Path:
    """Where the local Snowflake keeps a result."""
    return home.path / "results" / str(cursor.sfqid)


def expire(result: Path) -> None:
    """Make all URLs that were given out so far fail like expired ones."""
    (result / "key").write_text("another")


def rows(tables: Iterable[pa.Table]) -> list[dict[str, Any]]:
    return [row for table in tables for row in table.to_pylist()]


def test_large_result_comes_in_chunks_and_keeps_its_order(home: Home, sales: SnowflakeCursor) -> None:
    chunks = sales.get_result_batches() or []
    assert len(chunks) > 3
    assert sum(chunk.rowcount for chunk in chunks) == sales.rowcount == 2930
    assert [chunk.compressed_size for chunk in chunks[1:]] == [
        (stored(home, sales) / str(n)).stat().st_size for n in range(len(chunks) - 1)
    ]
    assert rows(arrow_batches(sales, 2**30)) == house_sales().to_pylist()


def test_two_chunks_are_fetched_at_the_same_time(
    sales: SnowflakeCursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=60)
    read = _Result._read

    def read_two(result: _Result, number: int) -> pa.Table:
        if number in (1, 2):
            both.wait()
        return read(result, number)

    monkeypatch.setattr(_Result, "_read", read_two)
    assert sum(table.num_rows for table in arrow_batches(sales, 2**30)) == 2930


def test_chunks_beyond_the_limit_are_not_fetched_ahead(
    sales: SnowflakeCursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    read = _Result._read

    def read_counted(result: _Result, number: int) -> pa.Table:
        started.append(number)
        return read(result, number)

    monkeypatch.setattr(_Result, "_read", read_counted)
    for number, _ in enumerate(arrow_batches(sales, 1), start=1):
        assert len(started) == number


def test_expired_url_is_renewed(home: Home, sales: SnowflakeCursor) -> None:
    expire(stored(home, sales))
    assert rows(arrow_batches(sales, 2**30)) == house_sales().to_pylist()


def test_url_that_expires_between_two_chunks_is_renewed(home: Home, sales: SnowflakeCursor) -> None:
    tables = arrow_batches(sales, 1)
    first = [next(tables), next(tables)]
    expire(stored(home, sales))
    assert rows([*first, *tables]) == house_sales().to_pylist()


def test_deleted_result_raises_an_error_with_the_chunk(home: Home, sales: SnowflakeCursor) -> None:
    tables = arrow_batches(sales, 1)
    next(tables)
    shutil.rmtree(stored(home, sales))
    with pytest.raises(ImporterError, match="failed: chunk 2 of 5: storage responds with 404; import again"):
        next(tables)


def test_result_deleted_before_its_url_is_renewed_raises_an_error(
    home: Home, sales: SnowflakeCursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = SnowflakeCursor.query_result

    def lose(self: SnowflakeCursor, query_id: str) -> SnowflakeCursor:
        shutil.rmtree(stored(home, sales))
        return query(self, query_id)

    monkeypatch.setattr(SnowflakeCursor, "query_result", lose)
    expire(stored(home, sales))
    with pytest.raises(
        ImporterError, match=r"Snowflake has lost the result of query .*: 709: .*import again"
    ):
        list(arrow_batches(sales, 1))


def short(content: bytes) -> bytes:
    """Return a chunk that is a complete stream with one row less."""
    with pa.ipc.open_stream(gzip.decompress(content)) as stream:
        table = stream.read_all()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.slice(1))
    return gzip.compress(sink.getvalue().to_pybytes())


BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut-off": (lambda content: content[:-1000], "the Arrow stream is incomplete or damaged: EOFError"),
    "cut-off-checksum": (lambda content: content[:-4], "the Arrow stream is incomplete or damaged: EOFError"),
    "wrong-checksum": (lambda content: content[:-8] + bytes(8), "the Arrow stream is incomplete or damaged"),
    "cut-off-arrow": (
        lambda content: gzip.compress(gzip.decompress(content)[:-1000]),
        "the Arrow stream is incomplete or damaged",
    ),
    "short": (short, "it has 738 rows instead of 739"),
    "empty": (lambda _: b"", "the Arrow stream is incomplete or damaged: ArrowInvalid"),
    "other": (lambda _: b"<html>", "the Arrow stream is incomplete or damaged: EOFError"),
}


@pytest.mark.parametrize(("broken", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_chunk_fails_the_import_and_leaves_no_file(
    home: Home, monkeypatch: pytest.MonkeyPatch, broken: Callable[[bytes], bytes], message: str
) -> None:
    break_chunk(home, monkeypatch, broken)
    with pytest.raises(ImporterError, match=f"from Snowflake failed: chunk 3 of 5: .*{message}") as failed:
        run(spec("broken_chunk"))
    assert "sig=" not in str(failed.value)
    assert blob_names(home, "broken_chunk") == []
    assert Workspace().versions("broken_chunk") == []


def break_chunk(
    home: Home, monkeypatch: pytest.MonkeyPatch, broken: Callable[[bytes], bytes], repaired_after: int = 99
) -> None:
    """Make storage send a broken second chunk of the next result, and after some requests the real one."""
    read, sent = _Result._read, []

    def read_broken(result: _Result, number: int) -> pa.Table:
        if number != 2:  # the first came with the response
            return read(result, number)
        file = max((home.path / "results").iterdir(), key=lambda f: f.stat().st_mtime_ns) / "1"
        whole = file.read_bytes()
        sent.append(number)
        if len(sent) <= repaired_after:
            file.write_bytes(broken(whole))
        try:
            return read(result, number)
        finally:
            file.write_bytes(whole)

    monkeypatch.setattr(_Result, "_read", read_broken)


def test_chunk_that_is_complete_on_the_second_try_is_used(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_chunk(home, monkeypatch, BROKEN["cut-off"][0], repaired_after=1)
    run(spec("second_try"))
    manifest = download(home, "second_try", V1, tmp_path)
    assert pq.read_table(tmp_path / manifest.files[0].name).to_pylist() == house_sales().to_pylist()


def test_several_parts_and_row_groups_make_one_table(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.lake.parquet.PART_BYTES", 40_000)
    monkeypatch.setattr("importer.lake.parquet._CONVERTED_BYTES", 50_000)
    monkeypatch.setattr("importer.job.stream.STREAM_FIXED_MB", 399)
    monkeypatch.setattr("importer.lake.upload.BLOCK_BYTES", 1000)
    run(spec("parts"))
    manifest = download(home, "parts", V1, tmp_path)
    files = [tmp_path / part.name for part in manifest.files]
    assert len(files) > 1
    assert [(part.rows, part.bytes) for part in manifest.files] == [
        (pq.read_metadata(file).num_rows, file.stat().st_size) for file in files
    ]
    assert rows(pq.read_table(file) for file in files) == house_sales().to_pylist()


def test_failed_upload_fails_the_import_and_leaves_no_blob(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.lake.upload.BLOCK_BYTES", 1000)

    def refuse(_: AssetBlobs, path: str, _block: str, _content: bytes) -> None:
        raise ImporterError(f"{path}: no space")

    monkeypatch.setattr(AssetBlobs, "send_block", refuse)
    with pytest.raises(ImporterError, match=r"part-00000\.parquet: no space"):
        run(spec("no_space"))
    assert blob_names(home, "no_space") == []


def test_memory_below_the_minimum_raises_an_error() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 400"):
        ImportSpec(name="tight", connection="snowflake", query="SELECT 1 AS A", memory_mb=100)
