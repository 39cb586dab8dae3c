"""`python -m bench.measure WAY QUERY_ID`: makes one measurement and prints it as JSON."""

import json
import os
import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from azure.storage.blob import ContainerClient

import importer.job.run  # noqa: F401 - what a job imports is part of its memory
from importer import __version__
from importer.job.contract.enforce import Enforcement
from importer.job.stream import stream
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.attempt import Attempt
from importer.lake.datastore import Datastore
from importer.lake.manifest import Manifest, Written, schema_hash
from importer.lake.parquet import PARQUET_OPTIONS, PART_BYTES, ROW_GROUP_BYTES
from importer.lake.stored_versions import StoredVersions
from importer.snowflake.cursor import DescribingCursor
from importer.snowflake.session import connect
from importer.snowflake.type_table import TypeOptions, arrow_schema
from importer.spec.curate import Curate
from importer.spec.import_spec import ImportSpec
from importer.spec.memory import DEFAULT_MEMORY_MB
from importer.spec.snowflake_target import SignIn, SnowflakeTarget
from localcloud.home import BLOB_KEY, Home

ACCOUNT, CONTAINER = "lake", "bench"

#: The import that is measured; its query has run before.
SPEC = ImportSpec(name="raw", connection="snowflake", query="SELECT 1 AS A")

#: The curation of the narrow table. The table repeats its rows, so most are quarantined.
RULES = Curate.model_validate(
    {
        "asset": "clean",
        "columns": {
            "CITY_0": {"trim": True, "required": True},
            "ADDRESS_0": {"trim": True, "required": True},
            "PRICE_0": {"cast": "DOUBLE", "min": 1},
            "LATITUDE_0": {"min": 40, "max": 42},
        },
        "derive": {"SOLD_IN_0": {"expression": "year(SOLD_ON_0)"}},
        "deduplicate": {"key": ["ID_0"], "latest": "CHANGED_AT_0"},
    }
)


class Silence:
    """Progress that is not reported."""

    def say(self, event: str, **details: str | int) -> None:
        """Do nothing."""

    def rows(self, done: int, total: int) -> None:
        """Say nothing."""


def container(home: Home) -> ContainerClient:
    """Return the container of the imported data."""
    return ContainerClient(
        f"{home.blob_url}/{ACCOUNT}",
        CONTAINER,
        credential=BLOB_KEY,
        connection_verify=str(home.ca_bundle),
    )


def open_result(home: Home, query_id: str) -> DescribingCursor:
    """Return a cursor on the result of an earlier query."""
    target = SnowflakeTarget(
        account="local",
        host="127.0.0.1",
        port=home.ports["snowflake"],
        protocol="http",
        warehouse="IMPORT_WH",
        role="SYSADMIN",
        user="DEPLOYER",
        sign_in=SignIn.PASSWORD,
    )
    connection = connect(target, os.environ["SNOWFLAKE_PASSWORD"], "bench")
    cursor = connection.cursor(DescribingCursor)
    cursor.query_result(query_id)
    return cursor


def _asset(home: Home, name: str) -> AssetBlobs:
    store = Datastore("bench", ACCOUNT, CONTAINER, "https", f"127.0.0.1:{home.ports['blob']}")
    return AssetBlobs(store, name)


def measure_import(home: Home, cursor: DescribingCursor) -> Iterator[int]:
    """Import the result as a job does, from the query's end to the last byte in Blob storage."""
    blobs = _asset(home, "raw")
    blobs.list_blobs(blobs.folder)  # signs in, as a run has done by now
    yield 0
    yield _import(cursor, blobs).rows


def _import(cursor: DescribingCursor, blobs: AssetBlobs) -> Manifest:
    started = datetime.now(UTC)
    with StoredVersions(blobs).new_attempt(str(uuid.uuid4())) as attempt:
        with Enforcement(SPEC, None, Silence()) as contract:
            written = stream(cursor, DEFAULT_MEMORY_MB, TypeOptions(), attempt, contract)
        attempt.complete(_manifest(attempt, written, started))
    return attempt.manifest


def _manifest(attempt: Attempt, written: Written, started: datetime) -> Manifest:
    return Manifest(
        asset="raw",
        version=attempt.version,
        attempt=attempt.name,
        files=written.parts,
        rows=sum(part.rows for part in written.parts),
        bytes=sum(part.bytes for part in written.parts),
        columns=written.columns,
        schema_hash=schema_hash(written.columns),
        query_hash="",
        query_id=written.query_id,
        started=started,
        finished=datetime.now(UTC),
        importer_version=__version__,
    )


def measure_curate(home: Home, cursor: DescribingCursor) -> Iterator[int]:
    """Make a clean version and its quarantine from a raw version of the same process, as a job does."""
    from importer.job.curate.write import (
        Curation,
        write_clean,
    )  # it imports DuckDB, which an import does without

    raw = _asset(home, "raw")
    source = _import(cursor, raw)
    yield 0
    curation = Curation(RULES, source, raw, DEFAULT_MEMORY_MB)
    with StoredVersions(_asset(home, RULES.asset)).new_attempt(source.version) as attempt:
        attempt.complete(write_clean(curation, attempt, Silence()))
    yield attempt.manifest.rows + attempt.manifest.quarantined


def measure_limit(_: Home, cursor: DescribingCursor) -> Iterator[int]:
    """Write the result's Arrow batches from memory to local files, with the importer's settings."""
    schema, total = arrow_schema(cursor.columns, "stream", TypeOptions()), cursor.rowcount or 0
    tables = cycle(_some_chunks(cursor, schema))
    groups: list[pa.Table] = []
    rows = 0
    with tempfile.TemporaryDirectory() as folder:
        yield 0
        number = 0
        while rows < total:
            path = Path(folder) / f"part-{number}.parquet"
            with pq.ParquetWriter(path, schema, **PARQUET_OPTIONS) as writer:
                while rows < total and path.stat().st_size < PART_BYTES:
                    groups = []
                    while rows < total and sum(group.nbytes for group in groups) < ROW_GROUP_BYTES:
                        groups.append(next(tables))
                        rows += groups[-1].num_rows
                    group = pa.concat_tables(groups)
                    writer.write_table(group, row_group_size=group.num_rows)
            number += 1
        yield rows


def _some_chunks(cursor: DescribingCursor, schema: pa.Schema) -> list[pa.Table]:
    """Return the chunks that the table repeats (see `bench.tables`)."""
    chunks = (cursor.get_result_batches() or [])[2:10]
    return [chunk.to_arrow().cast(schema) for chunk in chunks]


def measure_pandas(home: Home, cursor: DescribingCursor) -> Iterator[int]:
    """Read the result as a data frame, write that to a file, and upload the file, as scripts often do."""
    blobs = container(home)
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        yield 0
        frame = cursor.fetch_pandas_all()
        frame.to_parquet(file.name)
        with Path(file.name).open("rb") as content:
            blobs.upload_blob("pandas.parquet", content, overwrite=True)
        yield len(frame)


WAYS: dict[str, Callable[[Home, DescribingCursor], Iterator[int]]] = {
    "import": measure_import,
    "curate": measure_curate,
    "limit": measure_limit,
    "pandas": measure_pandas,
}


def peak_memory() -> int:
    """Return the largest resident size of this process, in bytes.

    On Linux not `ru_maxrss`, which starts with the size of the parent process
    (https://man7.org/linux/man-pages/man5/proc_pid_status.5.html, VmHWM).
    """
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def main(way: str, query_id: str) -> None:
    """Measure, and print the seconds, the rows and the memory peak."""
    home = Home.open()
    steps = WAYS[way](home, open_result(home, query_id))
    next(steps)
    started, cpu = time.perf_counter(), time.process_time()
    rows = next(steps)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    found = {"seconds": seconds, "cpu_seconds": cpu_seconds, "rows": rows, "peak_bytes": peak_memory()}
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
