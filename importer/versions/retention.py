"""Which versions of an asset stay, and which attempts will never be one."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from importer.errors import ImporterError
from importer.lake.blob import ABANDONED_AFTER, AssetBlobs, VersionBlobs
from importer.lake.manifest import MANIFEST_NAME, listed_versions
from importer.progress import Progress
from importer.spec.import_spec import ImportSpec
from importer.spec.schedule import parse_tick
from importer.versions.workspace import Workspace


class Fate(NamedTuple):
    """A version that is past its time: it goes, unless a newer one, `listed_by`, lists parts of it.

    `rows` are the version's, as far as its manifest is there still; `bytes` are what its deletion frees.
    """

    version: str
    rows: int | None
    bytes: int
    listed_by: str | None
    is_active: bool
    is_marked: bool


def fates(
    spec: ImportSpec, workspace: Workspace, blobs: AssetBlobs, among: set[str] | None = None
) -> list[Fate]:
    """Return what becomes of the versions past `keep_versions` and `keep_days`, oldest first.

    The newest always stays, as does what the importer has not made. Versions that are archived already are
    among them: an earlier run may not have been able to delete them. Where only those of `among` may go, all
    others stay, and so does what they list.
    """
    found = {v: there for v, there in blobs.versions().items() if there.attempts or there.is_committed}
    active = {registered.version for registered in workspace.versions(blobs.asset)}
    ours = sorted((v for v in active if v in found and found[v].is_committed), reverse=True)
    stays = {v for n, v in enumerate(ours) if n < spec.keep_versions or _is_recent(v, spec.keep_days)}
    if not stays:
        return []
    archived = workspace.all_versions(blobs.asset) - active
    past = {v for v in ours if v not in stays} | {
        v
        for v, there in found.items()
        if there.is_committed and v in archived and v < min(stays) and not _is_recent(v, spec.keep_days)
    }
    past &= past if among is None else among
    listed_by = _listed(past, found, blobs) if past else {}
    return [
        Fate(
            version,
            _rows(version, blobs),
            blobs.version_bytes(version),
            listed_by.get(version),
            is_active=version in active,
            is_marked=found[version].is_retired,
        )
        for version in sorted(past)
    ]


def _is_recent(version: str, days: int | None) -> bool:
    if days is None:
        return False
    with suppress(ValueError):
        return parse_tick(version) >= datetime.now(UTC) - timedelta(days=days)
    return False


def _rows(version: str, blobs: AssetBlobs) -> int | None:
    with suppress(ImporterError):  # an earlier run has deleted some of it, and could not delete all
        return blobs.committed_manifest(version).rows
    return None


def _listed(past: set[str], found: dict[str, VersionBlobs], blobs: AssetBlobs) -> dict[str, str]:
    """Return which of the versions others list, that stay or may yet be committed, and by whom.

    What is listed stays as a whole, with what it lists itself.
    """
    listed_by: dict[str, str] = {}
    waiting = sorted((v for v in found if v not in past), reverse=True)
    while waiting:
        version = waiting.pop(0)
        for listed in _lists(version, found[version], blobs) & (past - listed_by.keys()):
            listed_by[listed] = version
            waiting.append(listed)
    return listed_by


def _lists(version: str, there: VersionBlobs, blobs: AssetBlobs) -> set[str]:
    """Return the versions of which a version, or what may become it, has parts."""
    if there.is_committed:
        return listed_versions(blobs.committed_manifest(version))
    whole = [a for a in there.attempts if MANIFEST_NAME in blobs.sizes(blobs.attempt_path(version, a))]
    return {listed for attempt in whole for listed in listed_versions(blobs.manifest(version, attempt))}


def retire_versions(spec: ImportSpec, workspace: Workspace, blobs: AssetBlobs, progress: Progress) -> None:
    """Archive the versions past `keep_versions` and `keep_days`, and delete their blobs.

    A version that another run builds on meanwhile stays: it is marked first, and looked at again. Either that
    run sees the mark before it commits, or its manifest is seen here.
    """
    marked = {fate.version: fate for fate in fates(spec, workspace, blobs) if fate.listed_by is None}
    for version, fate in marked.items():
        if not fate.is_marked:
            blobs.mark_retired(version)
    seen_again = fates(spec, workspace, blobs, set(marked)) if marked else []
    goes = [fate for fate in seen_again if fate.listed_by is None]
    for fate in goes:
        if fate.is_active:
            workspace.archive(blobs.asset, fate.version)
    for fate in goes:
        blobs.delete_version(fate.version)
        progress.say("retired", asset=blobs.asset, **_details(fate))


def tell_fates(spec: ImportSpec, workspace: Workspace, blobs: AssetBlobs, progress: Progress) -> None:
    """Say which versions would be retired, and which stay only because a newer one lists them."""
    for fate in fates(spec, workspace, blobs):
        if fate.listed_by is None:
            progress.say("would retire", asset=blobs.asset, **_details(fate))
        else:
            progress.say("stays", asset=blobs.asset, **_details(fate), listed_by=fate.listed_by)


def _details(fate: Fate) -> dict[str, str | int]:
    rows = {} if fate.rows is None else {"rows": fate.rows}
    return {"version": fate.version, **rows, "bytes": fate.bytes}


def delete_abandoned_attempts(blobs: AssetBlobs) -> None:
    """Delete the attempts that lost to a committed one, and those that died before they could be."""
    abandoned_before = datetime.now(UTC) - ABANDONED_AFTER
    for version, found in blobs.versions().items():
        lost = {name for name, last_write in found.attempts.items() if last_write < abandoned_before}
        if found.is_committed:
            lost = found.attempts.keys() - {blobs.committed(version)}
        for attempt in lost:
            blobs.delete_attempt(version, attempt)
