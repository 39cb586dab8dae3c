"""Which versions of an asset stay, and which attempts will never be one."""

from datetime import UTC, datetime

from importer.blob import ABANDONED_AFTER, AssetBlobs
from importer.progress import Progress
from importer.spec import ImportSpec
from importer.workspace import Workspace


def retire_versions(spec: ImportSpec, workspace: Workspace, blobs: AssetBlobs, progress: Progress) -> None:
    """Archive the versions beyond `keep_versions`, and delete their blobs."""
    active = [found.version for found in workspace.versions(spec.name)]
    kept, retired = active[: spec.keep_versions], active[spec.keep_versions :]
    for version in retired:
        workspace.archive(spec.name, version)
    for version, found in blobs.versions().items() if retired else ():
        # also what an earlier run archived and then could not delete
        if found.is_committed and version < kept[-1]:
            blobs.delete_version(version)
            progress.say("retired", asset=spec.name, version=version)


def delete_abandoned_attempts(blobs: AssetBlobs) -> None:
    """Delete the attempts that lost to a committed one, and those that died before they could be."""
    abandoned_before = datetime.now(UTC) - ABANDONED_AFTER
    for version, found in blobs.versions().items():
        lost = {name for name, last_write in found.attempts.items() if last_write < abandoned_before}
        if found.is_committed:
            lost = found.attempts.keys() - {blobs.committed(version)}
        for attempt in lost:
            blobs.delete_attempt(version, attempt)
