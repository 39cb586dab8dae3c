"""One attempt at a version: its rows, written anew, and the files that say what they are."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
from azure.storage.blob import UserDelegationKey
from snowflake.connector import SnowflakeConnection

from importer import __version__
from importer.errors import ImporterError
from importer.job.contract.enforce import Enforcement
from importer.job.incremental.plan import Plan, make_plan
from importer.job.incremental.write import read_step, write_step
from importer.job.stream import stream
from importer.job.unload import UNLOAD_TIMEOUT, unload
from importer.lake.azure import awaiting_roles
from importer.lake.blob import AssetBlobs
from importer.lake.manifest import Manifest, Written, schema_hash
from importer.lake.parquet import Watcher
from importer.progress import Progress
from importer.snowflake.session import connect, describe, execute
from importer.snowflake.warehouse_slots import import_slot
from importer.spec.import_spec import ImportSpec
from importer.spec.query import query_hash
from importer.spec.snowflake_target import SnowflakeTarget


@dataclass(frozen=True)
class Ends:
    """The two ends of an import: where it reads, with the secret for it, and where it writes."""

    target: SnowflakeTarget
    secret: str | None = field(repr=False)
    blobs: AssetBlobs


def write_attempt(
    spec: ImportSpec,
    ends: Ends,
    version: str,
    progress: Progress,
    newest: Manifest | str,
    *,
    full: bool = False,
) -> Manifest:
    """Write a complete attempt; where that fails, delete what was written of it.

    `newest` is the version before, or why there is none: a contract compares with it, and an incremental
    import goes on from it, unless it is to be `full`.
    """
    return ends.blobs.write_attempt(
        version,
        lambda attempt: _write_parts(spec, ends, version, attempt, progress, newest, full=full),
    )


def _write_parts(
    spec: ImportSpec,
    ends: Ends,
    version: str,
    attempt: str,
    progress: Progress,
    newest: Manifest | str,
    *,
    full: bool,
) -> Manifest:
    started = datetime.now(UTC)
    folder = ends.blobs.attempt_path(version, attempt)
    previous = newest if isinstance(newest, Manifest) else None
    with Enforcement(spec, previous, progress) as contract:
        reading = _Reading(spec, ends, folder, contract, progress)
        plan, written = reading.read(
            f"ai-platform import {spec.name}:{version}", "--full" if full else newest
        )
        parts, step = written.parts, None
        if plan is not None:
            parts, step = write_step(plan, written.parts, ends.blobs, folder, progress)
        rows = sum(part.rows for part in parts)
        kept = contract.conclude(rows)
    return Manifest(
        asset=spec.name,
        version=version,
        attempt=attempt,
        files=parts,
        rows=rows,
        bytes=sum(part.bytes for part in parts),
        columns=written.columns,
        casts=written.casts,
        contract=kept,
        step=step,
        schema_hash=schema_hash(written.columns),
        query_hash=query_hash(spec.query),
        query_id=written.query_id,
        started=started,
        finished=datetime.now(UTC),
        importer_version=__version__,
    )


@dataclass(frozen=True)
class _Reading:
    """What reads the rows of one attempt, and where it writes them."""

    spec: ImportSpec
    ends: Ends
    folder: str
    contract: Enforcement
    progress: Progress

    def read(self, tag: str, newest: Manifest | str) -> tuple[Plan | None, Written]:
        """Return what was read and written, and the plan by which, where the import is incremental."""
        rules, query = self.spec.incremental, self.spec.query
        with (
            import_slot(self.ends.blobs.container, self.ends.target, self.spec.name, self.progress),
            closing(connect(self.ends.target, self.ends.secret, tag)) as connection,
        ):
            if rules is None:
                return None, self._write(connection, query)
            columns = describe(connection, query)
            plan = make_plan(self.spec, rules, newest, columns, self.ends.blobs)
            return read_step(
                plan,
                query,
                lambda step: self._write(connection, step),
                lambda part: self.ends.blobs.delete(self.folder + part.name),
                self.progress,
            )

    def _write(self, connection: SnowflakeConnection, query: str) -> Written:
        """Write the rows of a query; an ImporterError says that there are others than Snowflake reports."""
        written = (self._unload if self.spec.mode == "unload" else self._stream)(connection, query)
        rows = sum(part.rows for part in written.parts)
        if rows != written.rows:
            raise ImporterError(
                f"Snowflake reports {written.rows} rows, but {rows} were written; nothing is registered"
            )
        return written

    def _unload(self, connection: SnowflakeConnection, query: str) -> Written:
        """Have Snowflake write the rows of the query itself, once they are what the contract says."""
        spec = self.spec.model_copy(update={"query": query})
        self.contract.check_columns(describe(connection, query))
        self.contract.check_in_snowflake(connection, query)
        key = _delegation_key(spec, self.ends.blobs, self.progress)
        return unload(connection, spec, self.ends.blobs, self.folder, key, self.contract.see_footer)

    def _stream(self, connection: SnowflakeConnection, query: str) -> Written:
        """Run the query and write its rows as they come."""
        cursor = execute(connection, query)
        self.contract.check_columns(cursor.description)
        return stream(
            cursor,
            self.spec.memory_mb,
            lambda name, blocks: self.ends.blobs.write(self.folder + name, blocks),
            lambda: _both(self.contract.watch(), _telling(self.progress.rows, cursor.rowcount or 0)),
        )


def _delegation_key(spec: ImportSpec, blobs: AssetBlobs, progress: Progress) -> UserDelegationKey | None:
    """Return what signs Snowflake's token, where it needs one; made as late as can be, as it ends soon."""
    if spec.storage_integration is not None:
        return None
    return awaiting_roles(
        lambda: blobs.delegation_key(UNLOAD_TIMEOUT), lambda: progress.say("waiting for role assignments")
    )


def _telling(tell: Callable[[int, int], None], total: int) -> Watcher:
    """Return a watcher that tells how many rows it has seen, and how many there are."""
    seen = 0

    def watcher(group: pa.Table) -> None:
        nonlocal seen
        seen += group.num_rows
        tell(seen, total)

    return watcher


def _both(first: Watcher, second: Watcher) -> Watcher:
    def watcher(group: pa.Table) -> None:
        first(group)
        second(group)

    return watcher
