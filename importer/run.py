"""One import: exactly one version for each scheduled time, whatever crashes and however often it is run.

What is written lies in `<asset>/version=<v>/attempt=<id>/`. An attempt becomes the version when
`<asset>/version=<v>/_committed.json`, which can be created once, names it; only then is it registered.
"""

import uuid
from contextlib import closing, suppress
from datetime import UTC, datetime

from importer import __version__
from importer.azure import read_secret
from importer.blob import ABANDONED_AFTER, AssetBlobs
from importer.errors import ImporterError
from importer.manifest import MANIFEST_NAME, MLTABLE_NAME, Manifest, ManifestColumn, mltable, schema_hash
from importer.parquet import arrow_schema, write_parts
from importer.progress import Progress
from importer.query import query_hash
from importer.snowflake import arrow_batches, connect, execute, type_text
from importer.spec import ImportSpec
from importer.workspace import Workspace


class Import:
    """One import of the workspace, ready to run; nothing is read or written before `run`."""

    def __init__(self, spec: ImportSpec, workspace: Workspace, progress: Progress) -> None:
        self._spec = spec
        self._workspace = workspace
        self._progress = progress

    def run(self, version: str) -> None:
        """Import the query as `version` of the asset, unless that is registered already."""
        name = self._spec.name
        if self._workspace.has_version(name, version):
            self._progress.say("registered already", asset=name, version=version)
            return
        blobs = AssetBlobs(self._workspace.datastore(self._spec.datastore), name)
        self._register_committed(blobs)
        if not blobs.is_committed(version):
            self._progress.say("started", asset=name, version=version)
            manifest = self._write_attempt(blobs, version)
            self._register(blobs, version, blobs.commit(manifest))
        self._clean_up(blobs)

    def _register_committed(self, blobs: AssetBlobs) -> None:
        """Register the versions whose run ended between commit and registration, oldest first."""
        registered = self._workspace.all_versions(self._spec.name)
        for version, found in blobs.versions().items():
            if found.is_committed and version not in registered:
                self._register(blobs, version, blobs.committed(version))

    def _register(self, blobs: AssetBlobs, version: str, attempt: str) -> None:
        manifest = blobs.manifest(version, attempt)
        self._workspace.register(manifest, self._spec.datastore, blobs.attempt_path(version, attempt))
        self._progress.say(
            "registered",
            asset=manifest.asset,
            version=version,
            rows=manifest.rows,
            bytes=manifest.bytes,
            files=len(manifest.files),
        )

    def _write_attempt(self, blobs: AssetBlobs, version: str) -> Manifest:
        """Write a complete attempt; where that fails, delete what was written of it."""
        attempt = uuid.uuid4().hex[:12]
        try:
            manifest = self._write_parts(blobs, version, attempt)
            folder = blobs.attempt_path(version, attempt)
            blobs.write(folder + MLTABLE_NAME, mltable(manifest.files))
            blobs.write(folder + MANIFEST_NAME, manifest.model_dump_json(indent=2))
        except BaseException:
            with suppress(ImporterError):  # the next run deletes what this one cannot
                blobs.delete_attempt(version, attempt)
            raise
        return manifest

    def _write_parts(self, blobs: AssetBlobs, version: str, attempt: str) -> Manifest:
        spec, started = self._spec, datetime.now(UTC)
        folder = blobs.attempt_path(version, attempt)
        target = self._workspace.connection(spec.connection)
        secret = read_secret(target.secret_uri) if target.secret_uri else None
        with closing(connect(target, secret, f"ai-platform import {spec.name}:{version}")) as connection:
            cursor = execute(connection, spec.query)
            total = cursor.rowcount or 0
            parts, schema = write_parts(
                lambda: arrow_batches(cursor),
                arrow_schema(cursor.description),
                lambda name, file: blobs.write(folder + name, file),
                lambda rows: self._progress.rows(rows, total),
            )
        rows = sum(part.rows for part in parts)
        if rows != total:
            raise ImporterError(
                f"Snowflake reports {total} rows, but {rows} were written; nothing is registered"
            )
        columns = [
            ManifestColumn(column.name, type_text(column), str(field.type))
            for column, field in zip(cursor.description, schema, strict=True)
        ]
        return Manifest(
            asset=spec.name,
            version=version,
            attempt=attempt,
            files=parts,
            rows=rows,
            bytes=sum(part.bytes for part in parts),
            columns=columns,
            schema_hash=schema_hash(columns),
            query_hash=query_hash(spec.query),
            query_id=cursor.sfqid or "",
            started=started,
            finished=datetime.now(UTC),
            importer_version=__version__,
        )

    def _clean_up(self, blobs: AssetBlobs) -> None:
        """Retire versions beyond `keep_versions`, and delete attempts that will never be a version.

        The version is registered by now, so a failure is told but does not fail the import.
        """
        try:
            self._retire_versions(blobs)
            self._delete_attempts(blobs)
        except ImporterError as error:
            self._progress.say("clean-up failed", error=str(error))

    def _retire_versions(self, blobs: AssetBlobs) -> None:
        active = [found.version for found in self._workspace.versions(self._spec.name)]
        kept, retired = active[: self._spec.keep_versions], active[self._spec.keep_versions :]
        for version in retired:
            self._workspace.archive(self._spec.name, version)
        for version, found in blobs.versions().items() if retired else ():
            # also what an earlier run archived and then could not delete
            if found.is_committed and version < kept[-1]:
                blobs.delete_version(version)
                self._progress.say("retired", asset=self._spec.name, version=version)

    def _delete_attempts(self, blobs: AssetBlobs) -> None:
        """Delete the attempts that lost to a committed one, and those that died before they could be."""
        abandoned_before = datetime.now(UTC) - ABANDONED_AFTER
        for version, found in blobs.versions().items():
            lost = {name for name, last_write in found.attempts.items() if last_write < abandoned_before}
            if found.is_committed:
                lost = found.attempts.keys() - {blobs.committed(version)}
            for attempt in lost:
                blobs.delete_attempt(version, attempt)
