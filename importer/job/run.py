"""One import: exactly one version for each scheduled time, whatever crashes and however often it is run.

The protocol is that of `importer/versions/asset.py`.
"""

from importer.job.import_rows import Source, import_rows
from importer.job.incremental.plan import FullRead, Previous, find_previous
from importer.lake.azure import awaiting_roles
from importer.progress import Progress
from importer.snowflake.sign_in import stored_secret
from importer.spec.import_spec import ImportSpec
from importer.spec.query import query_hash
from importer.versions.asset import Asset
from importer.versions.recipe import Recipe
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
        recipe = Recipe("query_hash", query_hash(spec.query))
        self._asset = Asset(spec.name, spec.datastore, recipe, spec, workspace, progress)

    def run(self, version: str) -> None:
        """Import the query as `version` of the asset, unless it is registered already, and curate it."""
        self._import(version)
        if self._spec.curate is not None:
            # imports DuckDB, which most imports do not need
            from importer.job.curate.run import CleanAsset

            CleanAsset(self._spec, self._spec.curate, self._workspace, self._progress).make(version)

    def _import(self, version: str) -> None:
        # the first run may start before the role assignments of its deployment take effect
        if awaiting_roles(self._progress, self._asset.is_registered, version):
            self._progress.say("registered already", asset=self._spec.name, version=version)
            self._asset.clean_up()  # an earlier run may have crashed before its clean-up
            return
        awaiting_roles(self._progress, self._asset.register_committed)
        source = awaiting_roles(self._progress, self._source)
        if not self._asset.stored.is_committed(version):
            self._progress.say("started", asset=self._spec.name, version=version)
            previous = self._previous(version)
            with self._asset.new_version(version) as attempt:
                attempt.complete(
                    import_rows(self._spec, source, attempt, previous, self._progress, full=self._full)
                )
        self._asset.check_recipe(version)
        self._asset.clean_up()

    def _source(self) -> Source:
        target = self._workspace.connection(self._spec.connection)
        return Source(target, stored_secret(target))

    def _previous(self, version: str) -> Previous | FullRead:
        """Return the version before this one, if a contract or an incremental import needs it."""
        if self._spec.incremental is None and self._spec.contract is None:
            return FullRead("it is not incremental")
        registered = [found.version for found in self._workspace.versions(self._spec.name)]
        return find_previous(version, registered, self._asset.stored)
