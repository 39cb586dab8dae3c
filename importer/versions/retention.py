"""Retention: which versions of an asset are kept, which are deleted, and which attempts are abandoned."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from importer.errors import ImporterError
from importer.lake.manifest import listed_versions
from importer.lake.stored_versions import ABANDONED_AFTER, StoredVersion, StoredVersions
from importer.progress import Progress
from importer.spec.import_spec import ImportSpec
from importer.spec.schedule import is_older, parse_tick, version_order
from importer.versions.workspace import Workspace


class ExpiredVersion(NamedTuple):
    """A version past `keep_versions` and `keep_days`: it is deleted, unless a newer version lists its parts.

    `rows` is None if its manifest is deleted already; `bytes` is the size of its blobs.
    """

    version: str
    rows: int | None
    bytes: int
    listed_by: str | None
    is_active: bool
    is_marked: bool


def expired_versions(
    spec: ImportSpec, workspace: Workspace, stored: StoredVersions, among: set[str] | None = None
) -> list[ExpiredVersion]:
    """Return the versions past `keep_versions` and `keep_days`, oldest first.

    The newest version is always kept, and so are versions that were not made by the importer. Archived
    versions are included: an earlier run may have failed to delete their blobs. With `among`, all versions
    but these are kept, with the versions that they list.
    """
    found = {v: there for v, there in stored.all().items() if there.attempts or there.is_committed}
    active = {registered.version for registered in workspace.versions(stored.asset)}
    ours = sorted(
        (v for v in active if v in found and found[v].is_committed), key=version_order, reverse=True
    )
    kept = {v for n, v in enumerate(ours) if n < spec.keep_versions or _is_recent(v, spec.keep_days)}
    if not kept:
        return []
    oldest_kept = min(kept, key=version_order)
    archived = workspace.all_versions(stored.asset) - active
    past = {v for v in ours if v not in kept} | {
        v
        for v, there in found.items()
        if there.is_committed
        and v in archived
        and is_older(v, oldest_kept)
        and not _is_recent(v, spec.keep_days)
    }
    past &= past if among is None else among
    listed_by = _listed(past, found, stored) if past else {}
    return [
        ExpiredVersion(
            version,
            _rows(version, stored),
            stored.size(version),
            listed_by.get(version),
            is_active=version in active,
            is_marked=found[version].is_retired,
        )
        for version in sorted(past, key=version_order)
    ]


def _is_recent(version: str, days: int | None) -> bool:
    if days is None:
        return False
    with suppress(ValueError):
        return parse_tick(version) >= datetime.now(UTC) - timedelta(days=days)
    return False


def _rows(version: str, stored: StoredVersions) -> int | None:
    with suppress(ImporterError):  # an earlier run has deleted its manifest, and failed to delete the rest
        return stored.committed_manifest(version).rows
    return None


def _listed(past: set[str], found: dict[str, StoredVersion], stored: StoredVersions) -> dict[str, str]:
    """Return the expired versions that must be kept, each with a version that lists it.

    Versions that are kept list others, and so do attempts that may still be committed. A listed version is
    kept as a whole, with the versions that it lists itself.
    """
    listed_by: dict[str, str] = {}
    waiting = sorted((v for v in found if v not in past), key=version_order, reverse=True)
    while waiting:
        version = waiting.pop(0)
        for listed in _lists(version, found[version], stored) & (past - listed_by.keys()):
            listed_by[listed] = version
            waiting.append(listed)
    return listed_by


def _lists(version: str, there: StoredVersion, stored: StoredVersions) -> set[str]:
    """Return the versions whose parts a version lists, or one of its complete attempts."""
    if there.is_committed:
        return listed_versions(stored.committed_manifest(version))
    complete = [a for a in there.attempts if stored.is_complete(version, a)]
    return {listed for attempt in complete for listed in listed_versions(stored.manifest(version, attempt))}


def retire_versions(
    spec: ImportSpec, workspace: Workspace, stored: StoredVersions, progress: Progress
) -> int:
    """Archive the versions past `keep_versions` and `keep_days`, delete their blobs, return their number.

    Another run may be about to commit an attempt that lists one of them. So each is marked first, and looked
    at again: either that run sees the mark before its commit, or its manifest is seen here.
    """
    marked = {
        found.version: found for found in expired_versions(spec, workspace, stored) if found.listed_by is None
    }
    for version, found in marked.items():
        if not found.is_marked:
            stored.mark_retired(version)
    seen_again = expired_versions(spec, workspace, stored, set(marked)) if marked else []
    retired = [found for found in seen_again if found.listed_by is None]
    for found in retired:
        if found.is_active:
            workspace.archive(stored.asset, found.version)
    for found in retired:
        stored.delete(found.version)
        progress.say("retired", asset=stored.asset, **_details(found))
    return len(retired)


def report_expired_versions(
    spec: ImportSpec, workspace: Workspace, stored: StoredVersions, progress: Progress
) -> None:
    """Report the versions that retention would delete, and those it keeps because a newer one lists them."""
    expired = expired_versions(spec, workspace, stored)
    if not expired:
        progress.say("nothing to retire", asset=stored.asset, versions=len(workspace.versions(stored.asset)))
    for found in expired:
        if found.listed_by is None:
            progress.say("would retire", asset=stored.asset, **_details(found))
        else:
            progress.say("stays", asset=stored.asset, **_details(found), listed_by=found.listed_by)


def _details(found: ExpiredVersion) -> dict[str, str | int]:
    rows = {} if found.rows is None else {"rows": found.rows}
    return {"version": found.version, **rows, "bytes": found.bytes}


def delete_abandoned_attempts(stored: StoredVersions) -> None:
    """Delete the attempts that another one was committed before, and those of crashed runs."""
    abandoned_before = datetime.now(UTC) - ABANDONED_AFTER
    for version, found in stored.all().items():
        abandoned = {name for name, last_write in found.attempts.items() if last_write < abandoned_before}
        if found.is_committed:
            abandoned = found.attempts.keys() - {stored.committed_attempt(version)}
        for attempt in abandoned:
            stored.delete_attempt(version, attempt)
