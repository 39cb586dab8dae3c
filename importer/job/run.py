"""One import: exactly one version for each scheduled time, whatever crashes and however often it is run.

What is written lies in `<asset>/version=<v>/attempt=<id>/`. An attempt becomes the version when
`<asset>/version=<v>/_committed.json`, which can be created once, names it; only then is it registered. From
then on the version stays as it is: a run of the same version with another query fails, and changes nothing.
"""

from importer.errors import ImporterError
from importer.job.attempt import Ends, write_attempt
from importer.job.incremental.plan import newest_before
from importer.lake.azure import awaiting_roles, read_secret
from importer.lake.blob import AssetBlobs
from importer.lake.manifest import Manifest
from importer.progress import Progress
from importer.spec.import_spec import ImportSpec
from importer.spec.query import query_hash
from importer.versions.asset import Asset
from importer.versions.workspace import Workspace


class Import:
    """One import of the workspace, ready to run; nothing is read or written before `run`."""

    def __init__(
        self, spec: ImportSpec, workspace: Workspace, progress: Progress, *, full: bool = False
    ) -> None:
        self._spec = spec
        self._full = full
        self._workspace = workspace
        self._progress = progress
        self._asset = Asset(spec.name, spec.datastore, spec, workspace, progress, self._tell)

    def run(self, version: str) -> None:
        """Import the query as `version` of the asset, unless that is registered already, and curate it."""
        self._import(version)
        if self._spec.curate is not None:
            from importer.job.curate.run import CleanAsset  # with DuckDB, which most imports do not need

            CleanAsset(self._spec, self._spec.curate, self._workspace, self._progress).make(version)

    def _import(self, version: str) -> None:
        name = self._spec.name
        # the first run may be earlier than the role assignments that were made along with it
        ends = awaiting_roles(
            lambda: self._open(version), lambda: self._progress.say("waiting for role assignments")
        )
        if ends is None:
            self._progress.say("registered already", asset=name, version=version)
            self._asset.clean_up()  # an earlier run may have died in it
            return
        if not ends.blobs.is_committed(version):
            self._progress.say("started", asset=name, version=version)
            self._commit(ends, version)
            self._asset.register(version)
        self._check_query(version, ends.blobs.committed_manifest(version).query_hash)
        self._asset.clean_up()

    def _commit(self, ends: Ends, version: str) -> None:
        """Write an attempt and commit it, unless another run of the version commits one meanwhile."""
        newest = self._newest_before(version, ends.blobs)
        try:
            ends.blobs.commit(
                write_attempt(self._spec, ends, version, self._progress, newest, full=self._full)
            )
        except ImporterError:
            # who was first has deleted what this run wrote
            if not ends.blobs.is_committed(version):
                raise

    def _open(self, version: str) -> Ends | None:
        """Return the ends, or None where the version is registered; what earlier runs committed is by now.

        It can be called again: it calls every service of Azure that the import needs.
        """
        registered = self._workspace.version(self._spec.name, version)
        if registered is not None:
            self._check_query(version, registered.tags.get("query_hash"))
            return None
        self._asset.register_committed()
        target = self._workspace.connection(self._spec.connection)
        secret = read_secret(target.secret_uri) if target.secret_uri else None
        return Ends(target, secret, self._asset.blobs)

    def _newest_before(self, version: str, blobs: AssetBlobs) -> Manifest | str:
        """Return the version before, where an incremental import or a contract asks for it, or why not."""
        if self._spec.incremental is None and self._spec.contract is None:
            return "nothing asks for it"
        registered = [found.version for found in self._workspace.versions(self._spec.name)]
        return newest_before(version, registered, blobs)

    def _check_query(self, version: str, made_by: str | None) -> None:
        """Raise an ImporterError unless `made_by`, the `query_hash` of the version, is this import's."""
        if made_by != query_hash(self._spec.query):
            raise ImporterError(
                f"asset {self._spec.name}:{version} is there already, and was made by another query: "
                "choose another --version"
            )

    def _tell(self, manifest: Manifest) -> None:
        self._progress.say(
            "registered",
            asset=manifest.asset,
            version=manifest.version,
            rows=manifest.rows,
            bytes=manifest.bytes,
            files=len(manifest.files),
        )
