"""One import: exactly one version for each scheduled time, whatever crashes and however often it is run.

What is written lies in `<asset>/version=<v>/attempt=<id>/`. An attempt becomes the version when
`<asset>/version=<v>/_committed.json`, which can be created once, names it; only then is it registered. From
then on the version stays as it is: a run of the same version with another query fails, and changes nothing.
"""

import uuid
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from azure.storage.blob import UserDelegationKey
from snowflake.connector import SnowflakeConnection

from importer import __version__
from importer.azure import awaiting_roles, read_secret
from importer.blob import ABANDONED_AFTER, AssetBlobs
from importer.errors import ImporterError
from importer.manifest import MANIFEST_NAME, MLTABLE_NAME, Manifest, Written, mltable, schema_hash
from importer.progress import Progress
from importer.query import query_hash
from importer.snowflake import connect, execute
from importer.spec import ImportSpec, SnowflakeTarget
from importer.stream import stream
from importer.unload import UNLOAD_TIMEOUT, unload
from importer.workspace import Workspace


@dataclass(frozen=True)
class _Ends:
    """The two ends of an import: where it reads, with the secret for it, and where it writes."""

    target: SnowflakeTarget
    secret: str | None = field(repr=False)
    blobs: AssetBlobs
    delegation_key: UserDelegationKey | None = field(repr=False)


class Import:
    """One import of the workspace, ready to run; nothing is read or written before `run`."""

    def __init__(self, spec: ImportSpec, workspace: Workspace, progress: Progress) -> None:
        self._spec = spec
        self._workspace = workspace
        self._progress = progress

    def run(self, version: str) -> None:
        """Import the query as `version` of the asset, unless that is registered already."""
        name = self._spec.name
        # the first run may be earlier than the role assignments that were made along with it
        ends = awaiting_roles(
            lambda: self._open(version), lambda: self._progress.say("waiting for role assignments")
        )
        if ends is None:
            self._progress.say("registered already", asset=name, version=version)
            return
        if not ends.blobs.is_committed(version):
            self._progress.say("started", asset=name, version=version)
            ends.blobs.commit(self._write_attempt(ends, version))
            self._register(ends.blobs, version)
        self._check_query(version, self._committed(ends.blobs, version).query_hash)
        self._clean_up(ends.blobs)

    def _open(self, version: str) -> _Ends | None:
        """Return the ends, or None where the version is registered; what earlier runs committed is by now.

        It can be called again: it calls every service of Azure that the import needs.
        """
        registered = self._workspace.version(self._spec.name, version)
        if registered is not None:
            self._check_query(version, registered.tags.get("query_hash"))
            return None
        blobs = AssetBlobs(self._workspace.datastore(self._spec.datastore), self._spec.name)
        self._register_committed(blobs)
        target = self._workspace.connection(self._spec.connection)
        secret = read_secret(target.secret_uri) if target.secret_uri else None
        needs_key = self._spec.mode == "unload" and self._spec.storage_integration is None
        return _Ends(target, secret, blobs, blobs.delegation_key(UNLOAD_TIMEOUT) if needs_key else None)

    def _check_query(self, version: str, made_by: str | None) -> None:
        """Raise an ImporterError unless `made_by`, the `query_hash` of the version, is this import's."""
        if made_by != query_hash(self._spec.query):
            raise ImporterError(
                f"asset {self._spec.name}:{version} is there already, and was made by another query: "
                "choose another --version"
            )

    def _register_committed(self, blobs: AssetBlobs) -> None:
        """Register the versions whose run ended between commit and registration, oldest first."""
        registered = self._workspace.all_versions(self._spec.name)
        for version, found in blobs.versions().items():
            if found.is_committed and version not in registered:
                self._register(blobs, version)

    def _committed(self, blobs: AssetBlobs, version: str) -> Manifest:
        return blobs.manifest(version, blobs.committed(version))

    def _register(self, blobs: AssetBlobs, version: str) -> None:
        manifest = self._committed(blobs, version)
        folder = blobs.attempt_path(version, manifest.attempt)
        self._workspace.register(manifest, self._spec.datastore, folder)
        self._progress.say(
            "registered",
            asset=manifest.asset,
            version=version,
            rows=manifest.rows,
            bytes=manifest.bytes,
            files=len(manifest.files),
        )

    def _write_attempt(self, ends: _Ends, version: str) -> Manifest:
        """Write a complete attempt; where that fails, delete what was written of it."""
        blobs, attempt = ends.blobs, uuid.uuid4().hex[:12]
        try:
            manifest = self._write_parts(ends, version, attempt)
            folder = blobs.attempt_path(version, attempt)
            blobs.write(folder + MLTABLE_NAME, mltable(manifest.files))
            blobs.write(folder + MANIFEST_NAME, manifest.model_dump_json(indent=2))
        except BaseException:
            with suppress(ImporterError):  # the next run deletes what this one cannot
                blobs.delete_attempt(version, attempt)
            raise
        return manifest

    def _write_parts(self, ends: _Ends, version: str, attempt: str) -> Manifest:
        spec, started = self._spec, datetime.now(UTC)
        folder = ends.blobs.attempt_path(version, attempt)
        tag = f"ai-platform import {spec.name}:{version}"
        with closing(connect(ends.target, ends.secret, tag)) as connection:
            if spec.mode == "unload":
                written = unload(connection, spec, ends.blobs, folder, ends.delegation_key)
            else:
                written = self._stream(connection, ends.blobs, folder)
        rows = sum(part.rows for part in written.parts)
        if rows != written.rows:
            raise ImporterError(
                f"Snowflake reports {written.rows} rows, but {rows} were written; nothing is registered"
            )
        return Manifest(
            asset=spec.name,
            version=version,
            attempt=attempt,
            files=written.parts,
            rows=rows,
            bytes=sum(part.bytes for part in written.parts),
            columns=written.columns,
            casts=written.casts,
            schema_hash=schema_hash(written.columns),
            query_hash=query_hash(spec.query),
            query_id=written.query_id,
            started=started,
            finished=datetime.now(UTC),
            importer_version=__version__,
        )

    def _stream(self, connection: SnowflakeConnection, blobs: AssetBlobs, folder: str) -> Written:
        """Run the query and write its rows into `folder` as they come."""
        return stream(
            execute(connection, self._spec.query),
            self._spec.memory_mb,
            lambda name, blocks: blobs.write(folder + name, blocks),
            self._progress.rows,
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
