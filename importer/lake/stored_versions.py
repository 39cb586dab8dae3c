"""The versions of an asset in its blobs: their attempts, which attempt is committed, and which are retired.

An attempt becomes the version when `<asset>/<version>/_committed.json` names it. That blob can be created
only once, so of several attempts exactly one becomes the version.
"""

import json
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import ValidationError

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.attempt import Attempt
from importer.lake.manifest import MANIFEST_NAME, Manifest, part_path

#: The blob that names the committed attempt of a version.
_COMMIT_NAME = "_committed.json"

#: The blob that marks a version as about to be deleted: no new version may list its parts.
_RETIRED_NAME = "_retired.json"
_PATH = re.compile(r"[^/]+/([^/]+)/(?:([0-9a-f]{12})/.*|(_committed|_retired)\.json)")

#: An attempt that has written nothing for this long counts as crashed, and its files are deleted.
ABANDONED_AFTER = timedelta(minutes=30)


class StoredVersion(NamedTuple):
    """What a version's folder holds: its attempts with the time of their last write, and its marks."""

    attempts: dict[str, datetime]
    is_committed: bool
    is_retired: bool


class StoredVersions:
    """The versions of one asset in its blobs."""

    def __init__(self, blobs: AssetBlobs) -> None:
        self.blobs = blobs

    @property
    def asset(self) -> str:
        """The asset's name."""
        return self.blobs.asset

    def all(self) -> dict[str, StoredVersion]:
        """Return every version that has blobs, oldest first."""
        attempts: dict[str, dict[str, datetime]] = defaultdict(dict)
        marked: dict[str, set[str]] = {"_committed": set(), "_retired": set()}
        for blob in self.blobs.list_blobs(self.blobs.folder):
            if (found := _PATH.fullmatch(blob.name)) is None:
                continue
            version, attempt, mark = found.groups()
            if attempt is None:
                marked[mark].add(version)
                continue
            last_write = attempts[version].get(attempt, blob.last_modified)
            attempts[version][attempt] = max(last_write, blob.last_modified)
        committed, retired = marked.values()
        return {
            version: StoredVersion(attempts[version], version in committed, version in retired)
            for version in sorted({*attempts, *committed, *retired})
        }

    @contextmanager
    def new_attempt(self, version: str) -> Iterator[Attempt]:
        """Open a new attempt at a version; delete what the block wrote, unless it completes the attempt."""
        attempt = Attempt(self.blobs, version, uuid.uuid4().hex[:12])
        try:
            yield attempt
        except BaseException:
            self._discard(attempt)
            raise
        if not attempt.is_complete:
            self._discard(attempt)

    def _discard(self, attempt: Attempt) -> None:
        with suppress(ImporterError):  # the next run deletes it
            self.delete_attempt(attempt.version, attempt.name)

    def commit(self, manifest: Manifest) -> None:
        """Make a complete attempt the version, unless another attempt is the version already.

        Raises an ImporterError if a file that the manifest lists is missing or has another size, also a file
        of an earlier version.
        """
        lost = self.lost_parts(manifest)
        if lost and self.is_committed(manifest.version):
            return  # the run that committed has deleted this attempt
        if lost:
            # as long as its manifest exists, retention keeps the versions that it lists
            with suppress(ImporterError):  # the next run deletes it
                self.delete_attempt(manifest.version, manifest.attempt)
            raise ImporterError(
                f"{lost[0]} in {self.blobs.service} was deleted or changed before the commit: import again"
            )
        path = self.blobs.version_folder(manifest.version) + _COMMIT_NAME
        self.blobs.create(path, json.dumps({"attempt": manifest.attempt}))

    def lost_parts(self, manifest: Manifest) -> list[str]:
        """Return the listed files that are missing, have another size, or belong to a retired version.

        Retention marks a version as retired before it looks for manifests that list it. A run writes its
        manifest before it looks for that mark. So at least one of the two notices the other.
        """
        folder = self.blobs.attempt_folder(manifest.version, manifest.attempt)
        files = (*manifest.files, *manifest.quarantine)
        paths = {part_path(folder, part): part.bytes for part in files}
        is_self_contained = all(path.startswith(folder) for path in paths)
        root = folder if is_self_contained else self.blobs.folder
        stored = {root + name: size for name, size in self.blobs.sizes(root).items()}
        return [
            path
            for path, size in paths.items()
            if stored.get(path) != size or _version_folder(path) + _RETIRED_NAME in stored
        ]

    def is_committed(self, version: str) -> bool:
        """Return whether a version is committed."""
        return self.blobs.exists(self.blobs.version_folder(version) + _COMMIT_NAME)

    def committed_attempt(self, version: str) -> str:
        """Return the name of the attempt that is the version."""
        return str(json.loads(self.blobs.read(self.blobs.version_folder(version) + _COMMIT_NAME))["attempt"])

    def committed_manifest(self, version: str) -> Manifest:
        """Return the manifest of a committed version."""
        return self.manifest(version, self.committed_attempt(version))

    def manifest(self, version: str, attempt: str) -> Manifest:
        """Return the manifest of a complete attempt."""
        path = self.blobs.attempt_folder(version, attempt) + MANIFEST_NAME
        try:
            return Manifest.model_validate_json(self.blobs.read(path))
        except ValidationError as error:
            wrong = error.errors()[0]
            raise ImporterError(
                f"{path} in {self.blobs.service} is not a valid manifest: {wrong['msg']}"
            ) from None

    def is_complete(self, version: str, attempt: str) -> bool:
        """Return whether an attempt has its manifest, which is written last."""
        return self.blobs.exists(self.blobs.attempt_folder(version, attempt) + MANIFEST_NAME)

    def size(self, version: str) -> int:
        """Return the size of all blobs of a version, in bytes."""
        return sum(self.blobs.sizes(self.blobs.version_folder(version)).values())

    def mark_retired(self, version: str) -> None:
        """Mark a version as about to be deleted: no attempt that lists it can be committed any more.

        The mark is never taken back: another run may already be deleting the version.
        """
        self.blobs.write(self.blobs.version_folder(version) + _RETIRED_NAME, "")

    def delete(self, version: str) -> None:
        """Delete all blobs of a version, its marks last: they let the next run complete a killed deletion."""
        folder = self.blobs.version_folder(version)
        self.blobs.delete_folder(folder, last=(folder + _COMMIT_NAME, folder + _RETIRED_NAME))

    def delete_attempt(self, version: str, attempt: str) -> None:
        """Delete all blobs of an attempt."""
        self.blobs.delete_folder(self.blobs.attempt_folder(version, attempt))


def _version_folder(path: str) -> str:
    """Return the folder of the version that a blob belongs to."""
    asset, version, _ = path.split("/", 2)
    return f"{asset}/{version}/"
