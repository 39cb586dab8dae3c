"""The blobs of one asset: `<asset>/version=<v>/attempt=<id>/…`, and which attempt is the version."""

import json
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.rest import HttpRequest, HttpResponse
from azure.storage.blob import (
    BlobServiceClient,
    ContainerClient,
    ExponentialRetry,
    UserDelegationKey,
    generate_blob_sas,
)
from pydantic import ValidationError

from importer.errors import ImporterError
from importer.lake.azure import TIMEOUTS, calling, credential
from importer.lake.emulator import is_emulator
from importer.lake.manifest import MANIFEST_NAME, MLTABLE_NAME, Manifest, mltable, part_path
from importer.lake.upload import BLOCK_BYTES

#: The blob whose creation makes an attempt the version; it can be created once.
_COMMIT_NAME = "_committed.json"

#: The blob that says that a version is on its way out: nothing new may be built on it.
_RETIRED_NAME = "_retired.json"
_PATH = re.compile(r"[^/]+/version=([^/]+)/(?:attempt=([^/]+)/.*|(_committed|_retired)\.json)")

#: What unloading takes, of one folder: read, add, create, write, list
#: (https://docs.snowflake.com/en/user-guide/data-load-azure-config, "Generate the SAS token").
_UNLOAD_PERMISSIONS = "racwl"

#: Clocks may differ by as much
#: (https://learn.microsoft.com/azure/storage/common/storage-sas-overview#best-practices-when-using-sas).
_CLOCK_SKEW = timedelta(minutes=15)

#: An attempt that has written nothing for this long has died; one that has not will find its files gone.
ABANDONED_AFTER = timedelta(minutes=30)


class Datastore(NamedTuple):
    """Where a datastore of the workspace keeps its blobs."""

    name: str
    account: str
    container: str
    protocol: str
    endpoint: str
    uri: str | None = None
    """Its root as Azure ML's readers take it; None where they cannot reach it, as in an emulator."""

    @property
    def account_url(self) -> str:
        """The address of the storage account's blob service."""
        if is_emulator(self.endpoint):
            return f"{self.protocol}://{self.endpoint}/{self.account}"
        return f"{self.protocol}://{self.account}.blob.{self.endpoint}"


class VersionBlobs(NamedTuple):
    """What lies in a version's folder: its attempts with their last writes, and whether one is committed."""

    attempts: dict[str, datetime]
    is_committed: bool
    is_retired: bool


_Answer = PipelineResponse[HttpRequest, HttpResponse]


class _Retries(ExponentialRetry):
    """The retries of azure-storage-blob, and some for 429, which it takes for an answer like any other."""

    def send(self, request: PipelineRequest[HttpRequest]) -> _Answer:
        """Send a request again for as long as it is throttled, each time when the service asks for it."""
        pauses = iter((1, 2, 4, 8))
        while True:
            response: _Answer = super().send(request)  # type: ignore[no-untyped-call]
            pause = next(pauses, None)
            if response.http_response.status_code != HTTPStatus.TOO_MANY_REQUESTS or pause is None:
                return response
            asked_for = response.http_response.headers.get("Retry-After", "")
            time.sleep(min(int(asked_for), 60) if asked_for.isdecimal() else pause)


class AssetBlobs:
    """The blobs of one asset in a container."""

    def __init__(self, datastore: Datastore, asset: str) -> None:
        self._asset = asset
        self._service = f"container {datastore.container} of {datastore.account_url}"
        self._datastore = datastore
        self._account = BlobServiceClient(
            datastore.account_url,
            credential(),
            retry_policy=_Retries(initial_backoff=1, increment_base=2, retry_total=4),
            **TIMEOUTS,
            max_block_size=BLOCK_BYTES,
            max_single_put_size=BLOCK_BYTES,
        )
        self._container = self._account.get_container_client(datastore.container)

    @property
    def container(self) -> ContainerClient:
        """The container that the asset shares with others."""
        return self._container

    @property
    def asset(self) -> str:
        """The asset's name."""
        return self._asset

    @property
    def earlier_address(self) -> str:
        """What an MLTable has instead of the `../../` by which a manifest names parts of earlier attempts.

        A table that is loaded from where it lies must not go up
        (https://learn.microsoft.com/python/api/mltable/mltable.mltable.mltable, "save"),
        and a mounted one cannot.
        """
        uri = self._datastore.uri
        return f"{uri}{self._asset}/" if uri else "../../"

    def attempt_path(self, version: str, attempt: str) -> str:
        """Return the folder of an attempt, with a slash at its end."""
        return f"{self._version_path(version)}attempt={attempt}/"

    def _version_path(self, version: str) -> str:
        return f"{self._asset}/version={version}/"

    def versions(self) -> dict[str, VersionBlobs]:
        """Return what there is of each version, oldest first."""
        attempts: dict[str, dict[str, datetime]] = defaultdict(dict)
        marked: dict[str, set[str]] = {"_committed": set(), "_retired": set()}
        with calling(self._service):
            for blob in self._container.list_blobs(name_starts_with=f"{self._asset}/version="):
                if (found := _PATH.fullmatch(blob.name)) is None:
                    continue
                version, attempt, mark = found.groups()
                if attempt is None:
                    marked[mark].add(version)
                    continue
                last = attempts[version].get(attempt, blob.last_modified)
                attempts[version][attempt] = max(last, blob.last_modified)
        committed, retired = marked.values()
        return {
            v: VersionBlobs(attempts[v], v in committed, v in retired)
            for v in sorted({*attempts, *committed, *retired})
        }

    def write(self, path: str, content: Iterable[bytes] | str) -> None:
        """Write one blob, in place of what was there, in blocks; it is not there before it is whole."""
        with calling(self._service):
            self._container.upload_blob(path, content, overwrite=True, max_concurrency=2)

    def write_attempt(self, version: str, write_parts: Callable[[str], Manifest]) -> Manifest:
        """Write a complete attempt at a version; where that fails, delete what was written of it.

        `write_parts` is given the attempt's name, and returns the manifest of what it wrote.
        """
        attempt = uuid.uuid4().hex[:12]
        folder = self.attempt_path(version, attempt)
        try:
            manifest = write_parts(attempt)
            self.write(folder + MLTABLE_NAME, mltable(manifest.files, self.earlier_address))
            self.write(folder + MANIFEST_NAME, manifest.model_dump_json(indent=2))
        except BaseException:
            with suppress(ImporterError):  # the next run deletes what this one cannot
                self.delete_attempt(version, attempt)
            raise
        return manifest

    def commit(self, manifest: Manifest) -> None:
        """Make the attempt the version, unless another one is already.

        Raises an ImporterError where the attempt's files, and those of earlier attempts that it lists, are
        not as its manifest says.
        """
        lost = self.lost_parts(manifest)
        if lost and self.is_committed(manifest.version):  # who was first has cleaned up
            return
        if lost:
            with suppress(ImporterError):  # it holds what it lists; the next run deletes what this one cannot
                self.delete_attempt(manifest.version, manifest.attempt)
            raise ImporterError(f"{lost[0]} is not in {self._service} as it was written: import again")
        with calling(self._service), suppress(ResourceExistsError):
            self._container.upload_blob(
                self._version_path(manifest.version) + _COMMIT_NAME,
                json.dumps({"attempt": manifest.attempt}),
            )

    def lost_parts(self, manifest: Manifest) -> list[str]:
        """Return the paths of the files that are not there, of another size, or on their way out.

        Whoever retires a version says so before it looks who lists it, and the manifest is written before
        this looks who is retired: one of the two sees the other.
        """
        folder = self.attempt_path(manifest.version, manifest.attempt)
        files = (*manifest.files, *manifest.quarantine)
        paths = {part_path(folder, part): part.bytes for part in files}
        is_whole = all(path.startswith(folder) for path in paths)
        root = folder if is_whole else f"{self._asset}/"
        stored = {root + name: size for name, size in self.sizes(root).items()}
        return [
            path
            for path, size in paths.items()
            if stored.get(path) != size or path.split("attempt=")[0] + _RETIRED_NAME in stored
        ]

    def version_bytes(self, version: str) -> int:
        """Return how much all blobs of a version take."""
        return sum(self.sizes(self._version_path(version)).values())

    def mark_retired(self, version: str) -> None:
        """Say that a version is on its way out; from then on no attempt that lists it is committed.

        There is no way back, as another run may be deleting it.
        """
        self.write(self._version_path(version) + _RETIRED_NAME, "")

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size of each blob in a folder, by its name there."""
        with calling(self._service):
            found = list(self._container.list_blobs(name_starts_with=folder))
        return {blob.name.removeprefix(folder): blob.size for blob in found}

    def is_committed(self, version: str) -> bool:
        """Return whether an attempt is the version already."""
        with calling(self._service):
            return bool(self._container.get_blob_client(self._version_path(version) + _COMMIT_NAME).exists())

    def committed(self, version: str) -> str:
        """Return the attempt that is the version."""
        return str(json.loads(self._read(self._version_path(version) + _COMMIT_NAME))["attempt"])

    def committed_manifest(self, version: str) -> Manifest:
        """Return the manifest of the attempt that is the version."""
        return self.manifest(version, self.committed(version))

    def manifest(self, version: str, attempt: str) -> Manifest:
        """Return the manifest of an attempt."""
        path = self.attempt_path(version, attempt) + MANIFEST_NAME
        try:
            return Manifest.model_validate_json(self._read(path))
        except ValidationError as error:
            wrong = error.errors()[0]
            raise ImporterError(f"{path} in {self._service} is no manifest: {wrong['msg']}") from None

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Return the bytes of a blob from `start` to before `end`."""
        with calling(f"{path} in {self._service}"):
            return self._container.download_blob(path, offset=start, length=end - start).readall()

    def _read(self, path: str) -> bytes:
        with calling(f"{path} in {self._service}"):
            return self._container.download_blob(path).readall()

    def delegation_key(self, lifetime: timedelta) -> UserDelegationKey:
        """Return what signs tokens for the account's blobs in the importer's name.

        The account's role Storage Blob Delegator is for that.
        """
        now = datetime.now(UTC)
        with calling(self._service):
            return self._account.get_user_delegation_key(now - _CLOCK_SKEW, now + lifetime + _CLOCK_SKEW)

    def folder_token(self, folder: str, key: UserDelegationKey) -> str:
        """Return the shared access signature with which Snowflake unloads into a folder, over HTTPS only.

        The account must have a hierarchical namespace, as the data lake has
        (https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas).
        It ends with the key.
        """
        return generate_blob_sas(
            self._datastore.account,
            self._datastore.container,
            folder.rstrip("/"),
            is_directory=True,
            user_delegation_key=key,
            permission=_UNLOAD_PERMISSIONS,
            expiry=key.signed_expiry,
            protocol="https",
        )

    def snowflake_url(self, folder: str) -> str:
        """Return a folder's address as Snowflake writes it.

        https://docs.snowflake.com/en/sql-reference/sql/copy-into-location
        """
        address = urlsplit(self._container.url)
        return f"azure://{address.netloc}{address.path}/{folder}"

    def delete(self, path: str) -> None:
        """Delete one blob, if it is there."""
        with calling(self._service), suppress(ResourceNotFoundError):  # an earlier try may have deleted it
            self._container.delete_blob(path)

    def delete_attempt(self, version: str, attempt: str) -> None:
        """Delete what an attempt wrote."""
        self._delete(self.attempt_path(version, attempt))

    def delete_version(self, version: str) -> None:
        """Delete all blobs of a version."""
        self._delete(self._version_path(version))

    def _delete(self, folder: str) -> None:
        with calling(self._service):
            names = [blob.name for blob in self._container.list_blobs(name_starts_with=folder)]
            # backwards, so that a hierarchical account's directories come after what is in them
            for name in [*reversed(names), folder.rstrip("/")]:
                try:
                    self._container.delete_blob(name)
                except ResourceNotFoundError:
                    continue
