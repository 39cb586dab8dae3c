"""The clean versions of an import: exactly one of each raw version, by the protocol of importer/run.py."""

from importer.errors import ImporterError
from importer.job.curate.write import Curation, write_clean
from importer.lake.azure import awaiting_roles
from importer.lake.blob import AssetBlobs
from importer.lake.manifest import Manifest
from importer.progress import Progress
from importer.spec.curate import Curate, rules_hash
from importer.spec.import_spec import ImportSpec
from importer.versions.asset import Asset
from importer.versions.workspace import Workspace


class CleanAsset:
    """The clean asset of an import; nothing is read or written before `make`."""

    def __init__(self, spec: ImportSpec, rules: Curate, workspace: Workspace, progress: Progress) -> None:
        self._spec = spec
        self._rules = rules
        self._workspace = workspace
        self._progress = progress
        self._asset = Asset(rules.asset, spec.clean_datastore, spec, workspace, progress, self._tell)

    def make(self, version: str) -> None:
        """Make the clean version of a raw one, unless it is registered, and those that earlier runs owe.

        They owe the raw versions that are newer than the newest clean one. What stops one of these is told
        and does not fail this run: it has failed its own.
        """
        if self._rules.asset == self._spec.name:
            raise ImporterError(f"curate.asset: {self._rules.asset} is the raw asset's name: choose another")
        awaiting_roles(
            self._asset.register_committed, lambda: self._progress.say("waiting for role assignments")
        )
        newest = [found.version for found in self._workspace.versions(self._rules.asset)[:1]]
        self._make(version)
        raw = [found.version for found in self._workspace.versions(self._spec.name)]
        for owed in (found for found in reversed(raw) if newest and found > newest[0] and found != version):
            try:
                self._make(owed)
            except ImporterError as error:
                self._progress.say("not curated", version=owed, error=str(error))
        self._asset.clean_up()

    def newest_source(self) -> str:
        """Return the newest raw version; an ImporterError where there is none."""
        found = self._workspace.versions(self._spec.name)
        if not found:
            raise ImporterError(f"asset {self._spec.name} has no version yet: run the import first")
        return found[0].version

    def _make(self, version: str) -> None:
        registered = self._workspace.version(self._rules.asset, version)
        if registered is not None:
            self._check_rules(version, registered.tags.get("rules_hash"))
            self._progress.say("curated already", asset=self._rules.asset, version=version)
            return
        if not self._asset.blobs.is_committed(version):
            self._asset.blobs.commit(write_clean(self._curation(version), self._progress))
        self._check_rules(version, self._asset.register(version).rules_hash)

    def _curation(self, version: str) -> Curation:
        if self._workspace.version(self._spec.name, version) is None:
            raise ImporterError(f"asset {self._spec.name} has no version {version}: run the import first")
        raw = AssetBlobs(self._workspace.datastore(self._spec.datastore), self._spec.name)
        source = raw.committed_manifest(version)
        return Curation(self._rules, source, raw, self._asset.blobs, self._spec.memory_mb)

    def _check_rules(self, version: str, made_by: str | None) -> None:
        """Raise an ImporterError unless `made_by`, the `rules_hash` of the version, is of these rules."""
        if made_by != rules_hash(self._rules):
            raise ImporterError(
                f"asset {self._rules.asset}:{version} is there already, and was made by other rules: "
                "the next version is made by these"
            )

    def _tell(self, manifest: Manifest) -> None:
        self._progress.say(
            "curated",
            asset=manifest.asset,
            version=manifest.version,
            rows=manifest.rows,
            bytes=manifest.bytes,
            quarantined=manifest.quarantined,
        )
