"""One import: at most one version for each scheduled time, whatever crashes and however often it is run.

The protocol is that of `importer/versions/asset.py`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from importer.errors import ImporterError
from importer.job.import_rows import Source, import_rows
from importer.job.incremental.plan import FullRead, Previous, find_previous
from importer.lake.azure import awaiting_roles
from importer.lake.manifest import Manifest
from importer.lake.run_notes import RunNote
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
        """Import the query as `version` of the asset, unless it is registered already, and curate it.

        If an incremental import finds no new row, there is no such version. The reason of a failure is kept
        in a note beside the versions.
        """
        with self._noting_failure(version):
            # the first run may start before the role assignments of its deployment take effect
            if awaiting_roles(self._progress, self._asset.is_registered, version):
                self._progress.say("registered already", asset=self._spec.name, version=version)
                has_version = True
            else:
                awaiting_roles(self._progress, self._asset.register_committed)
                source = awaiting_roles(self._progress, self._source)
                has_version = self._asset.stored.is_committed(version) or self._write(version, source)
                if has_version:
                    self._asset.check_recipe(version)
            self._asset.clean_up()  # also of an earlier run, which may have crashed before
            if self._spec.curate is not None:
                # imports DuckDB, which most imports do not need
                from importer.job.curate.run import CleanAsset

                clean = CleanAsset(self._spec, self._spec.curate, self._workspace, self._progress)
                clean.make(version if has_version else None)

    @contextmanager
    def _noting_failure(self, version: str) -> Iterator[None]:
        """Keep a note of an error that the block raises."""
        started = datetime.now(UTC)
        try:
            yield
        except Exception as error:
            # the text of an unexpected error may contain a secret: keep its type only
            reason = str(error) if isinstance(error, ImporterError) else type(error).__name__
            now = datetime.now(UTC)
            self._asset.note(
                RunNote(version=version, outcome="failed", started=started, finished=now, error=reason)
            )
            raise

    def _write(self, version: str, source: Source) -> bool:
        """Read the rows and register them as the version; return False if there is nothing new."""
        self._progress.say("started", asset=self._spec.name, version=version)
        previous = self._previous(version)
        unchanged: Manifest | None = None
        with self._asset.new_version(version) as attempt:
            manifest = import_rows(self._spec, source, attempt, previous, self._progress, full=self._full)
            if self._is_wanted(manifest):
                attempt.complete(manifest)
            else:
                unchanged = manifest
        if unchanged is not None:
            self._note_unchanged(unchanged)
        return unchanged is None

    def _is_wanted(self, manifest: Manifest) -> bool:
        """Return whether a version with these rows is registered."""
        rules, step = self._spec.incremental, manifest.step
        return rules is None or step is None or rules.register_unchanged or not step.is_unchanged

    def _note_unchanged(self, manifest: Manifest) -> None:
        base, read = (manifest.step.base, manifest.step.read_rows) if manifest.step else (None, None)
        self._progress.say("unchanged", asset=manifest.asset, newest=base or "", read_rows=read or 0)
        self._asset.note(
            RunNote(
                version=manifest.version,
                outcome="unchanged",
                started=manifest.started,
                finished=manifest.finished,
                read_rows=read,
            )
        )

    def _source(self) -> Source:
        target = self._workspace.connection(self._spec.connection)
        return Source(target, stored_secret(target))

    def _previous(self, version: str) -> Previous | FullRead:
        """Return the version before this one, if a contract or an incremental import needs it."""
        if self._spec.incremental is None and self._spec.contract is None:
            return FullRead("it is not incremental")
        registered = [found.version for found in self._workspace.versions(self._spec.name)]
        return find_previous(version, registered, self._asset.stored)
