"""Writes the rows of an import into an attempt: from the sign-in to Snowflake to the manifest."""

from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import assert_never

from importer import __version__
from importer.job.contract.enforce import Enforcement
from importer.job.incremental.plan import FullRead, Previous, make_plan
from importer.job.incremental.read import read_step
from importer.job.incremental.write import write_step
from importer.job.query_reader import QueryReader
from importer.lake.attempt import Attempt
from importer.lake.contract_result import RuleResult
from importer.lake.incremental_step import Step
from importer.lake.manifest import Manifest, Written, schema_hash
from importer.lake.stored_versions import StoredVersions
from importer.progress import Progress
from importer.snowflake.session import connect, describe
from importer.snowflake.warehouse_slots import import_slot
from importer.spec.import_spec import ImportSpec
from importer.spec.query import query_hash
from importer.spec.snowflake_target import SnowflakeTarget


@dataclass(frozen=True)
class Source:
    """Where an import reads: the connection to Snowflake, with its secret if it has one."""

    target: SnowflakeTarget
    secret: str | None = field(repr=False)


def import_rows(
    spec: ImportSpec,
    source: Source,
    attempt: Attempt,
    previous: Previous | FullRead,
    progress: Progress,
    *,
    full: bool,
) -> Manifest:
    """Write the rows into the attempt and return its manifest.

    A contract compares them with the `previous` version. An incremental import adds to its rows, unless it is
    to be `full`.
    """
    started = datetime.now(UTC)
    tag = f"ai-platform import {spec.name}:{attempt.version}"
    with Enforcement(spec, _manifest_of(previous), progress) as contract:
        with (
            import_slot(attempt.blobs.container, source.target, spec.name, progress),
            closing(connect(source.target, source.secret, tag)) as connection,
        ):
            reader = QueryReader(spec, connection, attempt, contract, progress)
            plan = None
            if spec.incremental is None:
                written = reader.read(spec.query)
            else:
                start = FullRead("--full") if full else previous
                columns = describe(connection, spec.query)
                plan = make_plan(spec, spec.incremental, start, columns, StoredVersions(attempt.blobs))
                plan, written = read_step(plan, spec.query, reader, progress)
        parts, step = written.parts, None
        if plan is not None:
            parts, step = write_step(plan, written.parts, attempt, progress)
        results = contract.conclude(sum(part.rows for part in parts))
    return _manifest(spec, attempt, written._replace(parts=parts), step, results, started)


def _manifest(
    spec: ImportSpec,
    attempt: Attempt,
    written: Written,
    step: Step | None,
    results: list[RuleResult],
    started: datetime,
) -> Manifest:
    return Manifest(
        asset=spec.name,
        version=attempt.version,
        attempt=attempt.name,
        files=written.parts,
        rows=sum(part.rows for part in written.parts),
        bytes=sum(part.bytes for part in written.parts),
        columns=written.columns,
        casts=written.casts,
        contract=results,
        step=step,
        schema_hash=schema_hash(written.columns),
        query_hash=query_hash(spec.query),
        query_id=written.query_id,
        started=started,
        finished=datetime.now(UTC),
        importer_version=__version__,
    )


def _manifest_of(previous: Previous | FullRead) -> Manifest | None:
    match previous:
        case Previous(manifest=manifest):
            return manifest
        case FullRead():
            return None
        case _:
            assert_never(previous)
