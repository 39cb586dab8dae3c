"""One attempt at a clean version: what the rules make of a raw version's rows, and what they set aside."""

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
from importer.lake.blob import AssetBlobs
from importer.lake.manifest import Manifest, ManifestColumn, Part, schema_hash
from importer.lake.memory import share_one_heap
from importer.lake.parquet import write_parts
from importer.lake.version_parts import VersionParts
from importer.progress import Progress
from importer.spec.curate import Curate, rules_hash
from importer.spec.memory import CURATE_FIXED_MB

#: Where in an attempt's folder those rows lie that the rules set aside; the MLTable does not list them.
_QUARANTINE = "quarantine/"

#: As many rows as take this in Arrow go through DuckDB at a time.
_BATCH_BYTES = 2 * 2**20


@dataclass(frozen=True)
class Curation:
    """A clean version to be made: of which version, by which rules, from where to where."""

    rules: Curate
    source: Manifest
    raw: AssetBlobs
    clean: AssetBlobs
    memory_mb: int

    @property
    def version(self) -> str:
        """The name of the version, which is the raw one's."""
        return self.source.version


def write_clean(curation: Curation, progress: Progress) -> Manifest:
    """Write a complete attempt; where that fails, delete what was written of it.

    The process takes about `memory_mb` of the curation, whatever the rows: DuckDB keeps on disk what does
    not fit. An ImporterError says which setting does not fit the rows, or that too many would be set aside.
    """
    share_one_heap()
    with tempfile.TemporaryDirectory() as work:
        return curation.clean.write_attempt(
            curation.version, lambda attempt: _write_parts(curation, attempt, Path(work), progress)
        )


def _write_parts(curation: Curation, attempt: str, work: Path, progress: Progress) -> Manifest:
    started = datetime.now(UTC)
    folder = curation.clean.attempt_path(curation.version, attempt)
    source, rules = curation.source, curation.rules
    parts = VersionParts(curation.raw, source, work)
    schema = parts.schema()
    rows_bytes = (curation.memory_mb - CURATE_FIXED_MB) * 2**20
    with open_engine(rules, schema, work, rows_bytes) as engine:
        aside = _Aside(work / "aside.arrow", engine.quarantine_schema)
        if rules.deduplicate is not None:
            engine.learn_duplicates(parts.tables(schema, _BATCH_BYTES))
        clean = _clean_tables(engine, aside, parts.tables(schema, _BATCH_BYTES), source.rows, progress)
        files = _write(clean, engine.clean_schema, curation.clean, folder, rows_bytes)
        columns = _manifest_columns(engine, source)
    _check_rows(curation, sum(part.rows for part in files), aside)
    quarantine = []
    if aside.rows:
        found = _write(
            aside.tables(), engine.quarantine_schema, curation.clean, folder + _QUARANTINE, rows_bytes
        )
        quarantine = [part._replace(name=_QUARANTINE + part.name) for part in found]
    return Manifest(
        asset=rules.asset,
        version=curation.version,
        attempt=attempt,
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
    """Rows that are set aside, in a file, until the clean ones are written."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.rows = 0
        self.reasons: Counter[str] = Counter()
        self._path = path
        self._writer = pa.ipc.new_stream(path, schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))

    def add(self, table: pa.Table) -> None:
        """Take more rows."""
        self._writer.write_table(table)
        self.rows += table.num_rows
        for found in pc.value_counts(pc.list_flatten(table.column(REASONS))).to_pylist():
            self.reasons[found["values"]] += found["counts"]

    def tables(self) -> Iterator[pa.Table]:
        """Yield the rows; no more can be taken then."""
        self._writer.close()
        with pa.OSFile(str(self._path)) as file, pa.ipc.open_stream(file) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])


def _clean_tables(
    engine: Engine, aside: _Aside, batches: Iterable[tuple[int, pa.Table]], total: int, progress: Progress
) -> Iterator[pa.Table]:
    """Yield the clean rows, and set the others aside."""
    for first, batch in batches:
        found = engine.sort(first, batch)
        if found.quarantined.num_rows:
            aside.add(found.quarantined)
        yield found.clean
        progress.rows(first + batch.num_rows, total)


def _write(
    tables: Iterator[pa.Table], schema: pa.Schema, blobs: AssetBlobs, folder: str, rows_bytes: int
) -> list[Part]:
    parts, _ = write_parts(
        lambda: tables,  # they have the schema, so that they are read once
        schema,
        lambda name, blocks: blobs.write(folder + name, blocks),
        lambda: lambda _: None,
        row_group_bytes=rows_bytes // 5,
    )
    return parts


def _check_rows(curation: Curation, clean: int, aside: _Aside) -> None:
    """Raise an ImporterError where a row is missing, or too many are set aside."""
    source, total = f"{curation.source.asset}:{curation.version}", curation.source.rows
    if clean + aside.rows != total:
        raise ImporterError(f"{source} has {total} rows, but {clean + aside.rows} were read; nothing is made")
    limit = curation.rules.max_quarantined
    if limit is not None and aside.rows * 100 > total * limit:
        reasons = "; ".join(f"{reason} ({count} rows)" for reason, count in aside.reasons.most_common(5))
        raise ImporterError(
            f"curate.maxQuarantined: {aside.rows} of the {total} rows of {source} would be set aside, "
            f"more than {limit:g} %; nothing is made: {reasons}"
        )


def _manifest_columns(engine: Engine, source: Manifest) -> list[ManifestColumn]:
    """Return the clean columns: an unchanged one with its type in Snowflake, another with DuckDB's."""
    known = {column.name: column.snowflake_type for column in source.columns}
    return [
        ManifestColumn(field.name, known.get(raw, type_) if raw else type_, str(field.type))
        for field, (raw, type_) in zip(engine.clean_schema, engine.column_types(), strict=True)
    ]
