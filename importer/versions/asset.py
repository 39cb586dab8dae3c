"""One asset's versions in Blob storage and in the workspace: what an import and a curation do alike.

An attempt becomes a version by its commit, in Blob storage; only then is it registered, and others retired.
"""

from collections.abc import Callable
from functools import cached_property

from importer.errors import ImporterError
from importer.lake.blob import AssetBlobs
from importer.lake.manifest import Manifest
from importer.progress import Progress
from importer.spec.import_spec import ImportSpec
from importer.versions.retention import delete_abandoned_attempts, retire_versions
from importer.versions.workspace import Workspace


class Asset:
    """An asset of an import, raw or clean; `tell` is given the manifest of what is registered."""

    def __init__(
        self,
        name: str,
        datastore: str,
        spec: ImportSpec,
        workspace: Workspace,
        progress: Progress,
        tell: Callable[[Manifest], None],
    ) -> None:
        self._name = name
        self._datastore = datastore
        self._spec = spec
        self._workspace = workspace
        self._progress = progress
        self._tell = tell

    @cached_property
    def blobs(self) -> AssetBlobs:
        """Its blobs, where the workspace's datastore keeps them."""
        return AssetBlobs(self._workspace.datastore(self._datastore), self._name)

    def register_committed(self) -> None:
        """Register the versions whose run ended between commit and registration, oldest first."""
        registered = self._workspace.all_versions(self._name)
        for version, found in self.blobs.versions().items():
            if found.is_committed and version not in registered:
                self.register(version)

    def register(self, version: str) -> Manifest:
        """Register a version that is committed, and return its manifest."""
        manifest = self.blobs.committed_manifest(version)
        folder = self.blobs.attempt_path(version, manifest.attempt)
        self._workspace.register(manifest, self._datastore, folder)
        self._tell(manifest)
        return manifest

    def clean_up(self) -> None:
        """Retire old versions, and delete attempts that will never be one.

        The version is registered by now, so a failure is told but does not fail the run.
        """
        try:
            retire_versions(self._spec, self._workspace, self.blobs, self._progress)
            delete_abandoned_attempts(self.blobs)
        except ImporterError as error:
            self._progress.say("clean-up failed", error=str(error))
