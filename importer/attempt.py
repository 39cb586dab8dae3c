"""One attempt at a version: its rows, written anew, and the files that say what they are."""

import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
from azure.storage.blob import UserDelegationKey
from snowflake.connector import SnowflakeConnection

from importer import __version__
from importer.blob import AssetBlobs
from importer.errors import ImporterError
from importer.manifest import MANIFEST_NAME, MLTABLE_NAME, Manifest, Written, mltable, schema_hash
from importer.parquet import Watcher
from importer.progress import Progress
from importer.query import query_hash
from importer.snowflake import connect, execute
from importer.spec import ImportSpec, SnowflakeTarget
from importer.stream import stream
from importer.unload import unload


@dataclass(frozen=True)
class Ends:
    """The two ends of an import: where it reads, with the secret for it, and where it writes."""

    target: SnowflakeTarget
    secret: str | None = field(repr=False)
    blobs: AssetBlobs
    delegation_key: UserDelegationKey | None = field(repr=False)


def write_attempt(spec: ImportSpec, ends: Ends, version: str, progress: Progress) -> Manifest:
    """Write a complete attempt; where that fails, delete what was written of it."""
    blobs, attempt = ends.blobs, uuid.uuid4().hex[:12]
    try:
        manifest = _write_parts(spec, ends, version, attempt, progress)
        folder = blobs.attempt_path(version, attempt)
        blobs.write(folder + MLTABLE_NAME, mltable(manifest.files))
        blobs.write(folder + MANIFEST_NAME, manifest.model_dump_json(indent=2))
    except BaseException:
        with suppress(ImporterError):  # the next run deletes what this one cannot
            blobs.delete_attempt(version, attempt)
        raise
    return manifest


def _write_parts(spec: ImportSpec, ends: Ends, version: str, attempt: str, progress: Progress) -> Manifest:
    started = datetime.now(UTC)
    folder = ends.blobs.attempt_path(version, attempt)
    tag = f"ai-platform import {spec.name}:{version}"
    with closing(connect(ends.target, ends.secret, tag)) as connection:
        if spec.mode == "unload":
            written = unload(connection, spec, ends.blobs, folder, ends.delegation_key)
        else:
            written = _stream(connection, spec, ends.blobs, folder, progress)
    rows = sum(part.rows for part in written.parts)
    if rows != written.rows:
        raise ImporterError(
            f"Snowflake reports {written.rows} rows, but {rows} were written; nothing is registered"
        )
    return Manifest(
        asset=spec.name,
        version=version,
        attempt=attempt,
        files=written.parts,
        rows=rows,
        bytes=sum(part.bytes for part in written.parts),
        columns=written.columns,
        casts=written.casts,
        schema_hash=schema_hash(written.columns),
        query_hash=query_hash(spec.query),
        query_id=written.query_id,
        started=started,
        finished=datetime.now(UTC),
        importer_version=__version__,
    )


def _stream(
    connection: SnowflakeConnection, spec: ImportSpec, blobs: AssetBlobs, folder: str, progress: Progress
) -> Written:
    """Run the query and write its rows into `folder` as they come."""
    cursor = execute(connection, spec.query)
    return stream(
        cursor,
        spec.memory_mb,
        lambda name, blocks: blobs.write(folder + name, blocks),
        lambda: _telling(progress.rows, cursor.rowcount or 0),
    )


def _telling(tell: Callable[[int, int], None], total: int) -> Watcher:
    """Return a watcher that tells how many rows it has seen, and how many there are."""
    seen = 0

    def watcher(group: pa.Table) -> None:
        nonlocal seen
        seen += group.num_rows
        tell(seen, total)

    return watcher
