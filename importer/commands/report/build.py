"""Makes the report of a version from its rows and those of the previous version."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from importer.commands.report.drift import Drift, measure_drift
from importer.commands.report.places import Places, find_places
from importer.commands.report.rows import Column, VersionRows
from importer.commands.report.statistics import Bars, Profile, choose_bars, profiles, sample
from importer.commands.report.versions import VersionFacts, find_version, version_facts
from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.manifest import Manifest
from importer.lake.stored_versions import StoredVersions
from importer.spec.import_spec import ImportSpec
from importer.versions.workspace import Workspace


@dataclass(frozen=True)
class ColumnReport:
    """A column of the version; `before` and `drift` are None if the previous version has no such column."""

    column: Column
    snowflake_type: str
    bars: Bars
    now: Profile
    before: Profile | None
    drift: Drift | None


@dataclass(frozen=True)
class Report:
    """The content of the page; `versions` are newest first, beginning with the reported one."""

    asset: str
    versions: list[VersionFacts]
    manifest: Manifest
    previous: str | None
    columns: list[ColumnReport]
    changes: list[str]
    places: Places | None
    without: list[str]


def make_report(workspace: Workspace, spec: ImportSpec, version: str | None, without: set[str]) -> Report:
    """Return the report of `version`, or of the newest one; columns in `without` are not read.

    An ImporterError says that the version or a column does not exist, or which file cannot be read.
    """
    blobs = AssetBlobs(workspace.datastore(spec.datastore), spec.name)
    versions = version_facts(workspace, StoredVersions(blobs))
    versions = versions[find_version(versions, spec.name, version) :]
    manifest = versions[0].manifest
    if manifest is None:
        raise ImporterError(
            f"asset {spec.name}:{versions[0].version} has no manifest in datastore {spec.datastore}: "
            "it was not made by this importer, or its blobs are deleted"
        )
    unknown = without - {column.name for column in manifest.columns}
    if unknown:
        raise ImporterError(
            f"--without {min(unknown)}: asset {spec.name}:{manifest.version} has no such column"
        )
    before = next((found.manifest for found in versions[1:] if found.manifest), None)
    with tempfile.TemporaryDirectory() as folder:
        columns, places = _read(blobs, manifest, before, without, Path(folder))
    return Report(
        asset=spec.name,
        versions=versions,
        manifest=manifest,
        previous=before.version if before else None,
        columns=columns,
        changes=_changes(before, manifest, without) if before else [],
        places=places,
        without=sorted(without),
    )


def _read(
    blobs: AssetBlobs, manifest: Manifest, before: Manifest | None, without: set[str], folder: Path
) -> tuple[list[ColumnReport], Places | None]:
    """Return the columns of `manifest`, compared with those of `before`, and the map."""
    rows = _rows(blobs, manifest, folder / "now")
    columns = rows.columns(without)
    old = _rows(blobs, before, folder / "before") if before else None
    old_kinds = {c.name: c.kind for c in old.columns(without)} if old else {}
    shared = [c for c in columns if old_kinds.get(c.name) == c.kind]

    samples = dict(zip(columns, sample(rows, columns), strict=True))
    old_samples = dict(zip(shared, sample(old, shared), strict=True)) if old else {}
    bars = {c: choose_bars(c, [s[c] for s in (samples, old_samples) if c in s]) for c in columns}

    found = dict(zip(columns, profiles(rows, columns, [bars[c] for c in columns]), strict=True))
    old_found = (
        dict(zip(shared, profiles(old, shared, [bars[c] for c in shared]), strict=True)) if old else {}
    )

    types = {c.name: c.snowflake_type for c in manifest.columns}
    reports = [
        _compared(column, types.get(column.name, column.type), bars[column], now, old_found.get(column))
        for column, now in found.items()
    ]
    return reports, find_places(rows, columns)


def _compared(
    column: Column, snowflake_type: str, bars: Bars, now: Profile, before: Profile | None
) -> ColumnReport:
    drift = None
    if before is not None:
        drift = measure_drift(
            (*before.counts, before.not_finite, before.nulls), (*now.counts, now.not_finite, now.nulls)
        )
    return ColumnReport(column, snowflake_type, bars, now, before, drift)


def _rows(blobs: AssetBlobs, manifest: Manifest, folder: Path) -> VersionRows:
    folder.mkdir()
    return VersionRows(blobs, manifest, folder)


def _changes(before: Manifest, now: Manifest, without: set[str]) -> list[str]:
    """Return a line for each column that was added or removed, or has another type."""
    old = {c.name: c.snowflake_type for c in before.columns if c.name not in without}
    new = {c.name: c.snowflake_type for c in now.columns if c.name not in without}
    return [
        *(f"{name} ({kind}) is new" for name, kind in new.items() if name not in old),
        *(f"{name} ({kind}) was removed" for name, kind in old.items() if name not in new),
        *(
            f"{name} was {old[name]}, is {kind}"
            for name, kind in new.items()
            if name in old and old[name] != kind
        ),
    ]
