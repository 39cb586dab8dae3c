"""The clean asset of an import: exactly one clean version of each raw one.

The protocol is that of `importer/versions/asset.py`.
"""

from importer.errors import ImporterError
from importer.job.curate.write import Curation, write_clean
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.azure import awaiting_roles
from importer.lake.stored_versions import StoredVersions
from importer.progress import Progress
from importer.spec.curate import Curate, rules_hash
from importer.spec.import_spec import ImportSpec
from importer.spec.schedule import is_older
from importer.versions.asset import Asset
from importer.versions.recipe import Recipe
from importer.versions.workspace import Workspace


class CleanAsset:
    """The clean asset of an import; nothing is read or written before `make`."""

    def __init__(self, spec: ImportSpec, rules: Curate, workspace: Workspace, progress: Progress) -> None:
        self._spec = spec
        self._rules = rules
        self._workspace = workspace
        self._progress = progress
        recipe = Recipe("rules_hash", rules_hash(rules))
        self._asset = Asset(rules.asset, spec.clean_datastore, recipe, spec, workspace, progress)

    def make(self, version: str | None) -> None:
        """Make the clean version of a raw version, and catch up on those that earlier runs have missed.

        Without a version, only catch up. Missed are the raw versions that are newer than the newest clean
        one. If one of them fails again, that is reported and does not fail this run: it has failed its own.
        """
        if self._rules.asset == self._spec.name:
            raise ImporterError(
                f"curate.asset: {self._rules.asset} is the raw asset's name: choose another name"
            )
        awaiting_roles(self._progress, self._asset.register_committed)
        newest = [found.version for found in self._workspace.versions(self._rules.asset)[:1]]
        if version is not None:
            self._make(version)
        for missed in self._newer_than(newest[0]) if newest else []:
            try:
                if missed != version:
                    self._make(missed)
            except ImporterError as error:
                self._progress.say("not curated", version=missed, error=str(error))
        self._asset.clean_up()

    def newest_source(self) -> str:
        """Return the newest raw version; an ImporterError if there is none."""
        found = self._workspace.versions(self._spec.name)
        if not found:
            raise ImporterError(f"asset {self._spec.name} has no version yet: run the import first")
        return found[0].version

    def _newer_than(self, version: str) -> list[str]:
        """Return the raw versions that are newer than a version, oldest first."""
        raw = [found.version for found in self._workspace.versions(self._spec.name)]
        return [found for found in reversed(raw) if is_older(version, found)]

    def _make(self, version: str) -> None:
        if self._asset.is_registered(version):
            self._progress.say("curated already", asset=self._rules.asset, version=version)
            return
        if not self._asset.stored.is_committed(version):
            curation = self._curation(version)
            with self._asset.new_version(version) as attempt:
                attempt.complete(write_clean(curation, attempt, self._progress))
        self._asset.check_recipe(version)

    def _curation(self, version: str) -> Curation:
        if self._workspace.version(self._spec.name, version) is None:
            raise ImporterError(f"asset {self._spec.name} has no version {version}: run the import first")
        raw = AssetBlobs(self._workspace.datastore(self._spec.datastore), self._spec.name)
        source = StoredVersions(raw).committed_manifest(version)
        return Curation(self._rules, source, raw, self._spec.memory_mb)
