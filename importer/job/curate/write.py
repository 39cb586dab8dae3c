"""Writes a raw version's rows into an attempt: the clean ones, and in quarantine those that break a rule."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from importer import __version__
from importer.errors import ImporterError
from importer.job.curate.engine import Engine, open_engine
from importer.job.curate.plan import REASONS
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.attempt import Attempt
from importer.lake.manifest import Manifest, ManifestColumn, schema_hash
from importer.lake.memory import share_one_heap
from importer.lake.parquet import row_groups, write_parts
from importer.lake.version_parts import VersionParts
from importer.progress import Progress
from importer.spec.curate import Curate, rules_hash
from importer.spec.memory import CURATE_FIXED_MB

#: The folder, in that of the attempt, of the rows that break a rule; the MLTable does not list it.
_QUARANTINE = "quarantine/"

#: The size of the tables that go through DuckDB, in bytes in Arrow.
_BATCH_BYTES = 2 * 2**20


@dataclass(frozen=True)
class Curation:
    """What a clean version is made of: the rules, and the raw version."""

    rules: Curate
    source: Manifest
    raw: AssetBlobs
    memory_mb: int


def write_clean(curation: Curation, attempt: Attempt, progress: Progress) -> Manifest:
    """Write the clean rows and the quarantine into the attempt, and return its manifest.

    The process takes about the curation's `memory_mb`, whatever the rows: DuckDB spills to disk what does
    not fit. An ImporterError names a setting that does not fit the rows, or says that too many break a rule.
    """
    share_one_heap()
    started = datetime.now(UTC)
    source, rules = curation.source, curation.rules
    rows_bytes = (curation.memory_mb - CURATE_FIXED_MB) * 2**20
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        parts = VersionParts(curation.raw, source, work)
        schema = parts.schema()
        with open_engine(rules, schema, work, rows_bytes) as engine:
            aside = _Aside(work / "aside.arrow", engine.quarantine_schema)
            if rules.deduplicate is not None:
                engine.learn_duplicates(parts.tables(schema, _BATCH_BYTES))
            clean = _clean_tables(engine, aside, parts.tables(schema, _BATCH_BYTES), source.rows, progress)
            groups = row_groups(clean, engine.clean_schema, rows_bytes // 5)
            files = write_parts(groups, engine.clean_schema, attempt)
            columns = _manifest_columns(engine, source)
        _check_rows(curation, sum(part.rows for part in files), aside)
        quarantine = []
        if aside.rows:
            groups = row_groups(aside.tables(), aside.schema, rows_bytes // 5)
            quarantine = write_parts(groups, aside.schema, attempt, prefix=_QUARANTINE)
    return Manifest(
        asset=rules.asset,
        version=attempt.version,
        attempt=attempt.name,
        files=files,
        rows=sum(part.rows for part in files),
        bytes=sum(part.bytes for part in files),
        columns=columns,
        schema_hash=schema_hash(columns),
        query_hash=source.query_hash,
        query_id=source.query_id,
        source=f"{source.asset}:{source.version}",
        rules_hash=rules_hash(rules),
        quarantine=quarantine,
        reasons=dict(sorted(aside.reasons.items())),
        started=started,
        finished=datetime.now(UTC),
        importer_version=__version__,
    )


class _Aside:
    """The rows that break a rule, in a local file until the clean rows are written."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self.rows = 0
        self.reasons: Counter[str] = Counter()
        self._path = path
        self._writer = pa.ipc.new_stream(path, schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))

    def add(self, table: pa.Table) -> None:
        """Add rows."""
        self._writer.write_table(table)
        self.rows += table.num_rows
        for found in pc.value_counts(pc.list_flatten(table.column(REASONS))).to_pylist():
            self.reasons[found["values"]] += found["counts"]

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows; no more can be added after that."""
        self._writer.close()
        with pa.OSFile(str(self._path)) as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])


def _clean_tables(
    engine: Engine, aside: _Aside, batches: Iterable[tuple[int, pa.Table]], total: int, progress: Progress
) -> Iterator[pa.Table]:
    """Yield the clean rows, and add the others to `aside`."""
    for first, batch in batches:
        found = engine.sort(first, batch)
        if found.quarantined.num_rows:
            aside.add(found.quarantined)
        yield found.clean
        progress.rows(first + batch.num_rows, total)


def _check_rows(curation: Curation, clean: int, aside: _Aside) -> None:
    """Raise an ImporterError if the rows do not add up, or too many break a rule."""
    source, total = f"{curation.source.asset}:{curation.source.version}", curation.source.rows
    if clean + aside.rows != total:
        raise ImporterError(
            f"{source} has {total} rows, but {clean + aside.rows} were read; no clean version is made: "
            "import it again as another --version"
        )
    limit = curation.rules.max_quarantined
    if limit is not None and aside.rows * 100 > total * limit:
        reasons = "; ".join(f"{reason} ({count} rows)" for reason, count in aside.reasons.most_common(5))
        raise ImporterError(
            f"curate.maxQuarantined: {aside.rows} of the {total} rows of {source} break a rule, more than "
            f"{limit:g} %; no clean version is made: {reasons}: correct the rows and import again, or change "
            "the rule and run `pulumi up`"
        )


def _manifest_columns(engine: Engine, source: Manifest) -> list[ManifestColumn]:
    """Return the clean columns: unchanged ones with their type in Snowflake, others with that in DuckDB."""
    known = {column.name: column.snowflake_type for column in source.columns}
    return [
        ManifestColumn(field.name, known.get(raw, type_) if raw else type_, str(field.type))
        for field, (raw, type_) in zip(engine.clean_schema, engine.column_types(), strict=True)
    ]
