"""One asset's versions in Blob storage and in the workspace: the protocol that imports and curations share.

A run writes an attempt, commits it in Blob storage, and then registers it in the workspace. A version that is
committed never changes: a run of the same version by another query or other rules fails. Every step can be
repeated, so that the next run completes what a crashed run left.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.attempt import Attempt
from importer.lake.manifest import Manifest
from importer.lake.run_notes import RunNote, RunNotes
from importer.lake.stored_versions import StoredVersions
from importer.progress import Progress
from importer.spec.import_spec import ImportSpec
from importer.versions.recipe import Recipe
from importer.versions.retention import delete_abandoned_attempts, retire_versions
from importer.versions.workspace import Workspace


class Asset:
    """An asset of an import, raw or clean; `recipe` is what makes its versions."""

    def __init__(
        self,
        name: str,
        datastore: str,
        recipe: Recipe,
        spec: ImportSpec,
        workspace: Workspace,
        progress: Progress,
    ) -> None:
        self.name = name
        self._datastore = datastore
        self._recipe = recipe
        self._spec = spec
        self._workspace = workspace
        self._progress = progress

    @cached_property
    def stored(self) -> StoredVersions:
        """Its versions in Blob storage."""
        return StoredVersions(AssetBlobs(self._workspace.datastore(self._datastore), self.name))

    def is_registered(self, version: str) -> bool:
        """Return whether a version is registered; an ImporterError if it has another recipe."""
        registered = self._workspace.version(self.name, version)
        if registered is None:
            return False
        self._recipe.check(f"{self.name}:{version}", registered.tags)
        return True

    def register_committed(self) -> None:
        """Register the versions whose run ended between commit and registration, oldest first."""
        registered = self._workspace.all_versions(self.name)
        for version, found in self.stored.all().items():
            if found.is_committed and version not in registered:
                self._register(version)

    @contextmanager
    def new_version(self, version: str) -> Iterator[Attempt]:
        """Open an attempt at a version; when the block has completed it, commit and register it.

        If the block fails, or does not complete the attempt, the attempt is deleted. If another run has
        committed the version meanwhile, that one is registered, and a failure of this attempt is ignored: the
        clean-up of that run deletes the files of all other attempts.
        """
        try:
            with self.stored.new_attempt(version) as attempt:
                yield attempt
            if not attempt.is_complete:
                return
            self.stored.commit(attempt.manifest)
        except ImporterError:
            if not self.stored.is_committed(version):
                raise
        self._register(version)

    def note(self, note: RunNote) -> None:
        """Keep a note of a run that registered no version; a failure to do so is reported.

        A run that failed before it reached the lake, or because of the lake, leaves no note.
        """
        if "stored" not in vars(self) or self.stored.blobs.service in (note.error or ""):
            return
        try:
            RunNotes(self.stored.blobs).write(note)
        except ImporterError as error:
            self._progress.say("no note of this run", error=str(error))

    def check_recipe(self, version: str) -> None:
        """Raise an ImporterError if a committed version has another recipe."""
        self._recipe.check(f"{self.name}:{version}", self.stored.committed_manifest(version).recipe_tags())

    def _register(self, version: str) -> None:
        manifest = self.stored.committed_manifest(version)
        folder = self.stored.blobs.attempt_folder(version, manifest.attempt)
        self._workspace.register(manifest, self._datastore, folder)
        self._report(manifest)

    def _report(self, manifest: Manifest) -> None:
        event, details = "registered", {"files": len(manifest.files)}
        if manifest.source is not None:
            event, details = "curated", {"quarantined": manifest.quarantined}
        self._progress.say(
            event,
            asset=manifest.asset,
            version=manifest.version,
            rows=manifest.rows,
            bytes=manifest.bytes,
            **details,
        )

    def clean_up(self) -> None:
        """Retire old versions, and delete attempts that can no longer be committed.

        The version of this run is registered by now, so a failure is reported and does not fail the run.
        """
        try:
            retire_versions(self._spec, self._workspace, self.stored, self._progress)
            delete_abandoned_attempts(self.stored)
        except ImporterError as error:
            self._progress.say("clean-up failed", error=str(error))
