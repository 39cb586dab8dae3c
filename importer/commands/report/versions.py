"""The versions of an asset over time, from the workspace and from their manifests."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from importer.errors import ImporterError
from importer.lake.manifest import Manifest
from importer.lake.stored_versions import StoredVersions
from importer.spec.schedule import parse_tick, version_of
from importer.versions.workspace import AssetVersion, Workspace

#: How many of the newest versions are read; each takes two calls.
SHOWN_VERSIONS = 60


@dataclass(frozen=True)
class VersionFacts:
    """A registered version; `manifest` is None if the importer did not make it, or its blobs are deleted."""

    version: str
    registered: datetime | None
    rows: int | None
    bytes: int | None
    manifest: Manifest | None

    @property
    def seconds(self) -> float | None:
        """How long the import took."""
        if self.manifest is None:
            return None
        return (self.manifest.finished - self.manifest.started).total_seconds()


def version_facts(workspace: Workspace, stored: StoredVersions) -> list[VersionFacts]:
    """Return the newest versions of an asset that are not archived, newest first."""
    return [_facts(found, stored) for found in workspace.versions(stored.asset)[:SHOWN_VERSIONS]]


def find_version(versions: list[VersionFacts], asset: str, version: str | None) -> int:
    """Return the index of `version`, or of the newest with a manifest; an ImporterError lists the newest."""
    if not versions:
        raise ImporterError(f"asset {asset} has no version yet: run the import first")
    if version is None:
        return next((i for i, found in enumerate(versions) if found.manifest), 0)
    known = [found.version for found in versions]
    if version not in known:
        # it may be a scheduled time, as for `run`
        with suppress(ValueError):
            version = version_of(parse_tick(version))
    if version not in known:
        raise ImporterError(f"asset {asset} has no version {version}; the newest are: {', '.join(known[:5])}")
    return known.index(version)


def _facts(found: AssetVersion, stored: StoredVersions) -> VersionFacts:
    try:
        manifest = stored.committed_manifest(found.version)
    except ImporterError:  # made by something else, or being deleted
        rows, size = found.tags.get("rows"), found.tags.get("bytes")
        return VersionFacts(
            found.version, found.registered, int(rows) if rows else None, int(size) if size else None, None
        )
    return VersionFacts(found.version, found.registered, manifest.rows, manifest.bytes, manifest)
