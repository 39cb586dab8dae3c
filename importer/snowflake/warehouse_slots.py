"""How many imports at once ask one warehouse: each holds the lease of one of as many blobs.

Whoever dies leaves its lease to end by itself, within a minute.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from zlib import crc32

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobLeaseClient, ContainerClient
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random

from importer.errors import ImporterError
from importer.lake.azure import calling
from importer.progress import Progress
from importer.spec.snowflake_target import SnowflakeTarget

#: The longest that a lease lasts by itself, in seconds
#: (https://learn.microsoft.com/rest/api/storageservices/lease-blob).
_LEASE_SECONDS = 60
_RENEWED_AFTER = 15.0


class _NoRoomError(Exception):
    """Other imports hold all slots."""


#: How long an import waits for its turn, and how often it asks.
PATIENCE = timedelta(hours=6)
TURNS = Retrying(
    retry=retry_if_exception_type(_NoRoomError),
    stop=stop_after_delay(PATIENCE),
    wait=wait_random(5, 15),
    reraise=True,
)


@contextmanager
def import_slot(
    container: ContainerClient, target: SnowflakeTarget, name: str, progress: Progress
) -> Iterator[None]:
    """Hold one of the warehouse's slots in `container`; wait for one where all are taken.

    `name`, the import's, says where the search starts: imports of a lake mostly find a slot at once.
    A lease that is lost on the way ends no import: the limit is for the warehouse's sake.
    """

    def tell(state: RetryCallState) -> None:
        if state.attempt_number == 1:
            progress.say(
                "waiting for other imports", warehouse=target.warehouse, at_once=target.concurrent_imports
            )

    try:
        lease = TURNS.copy(before_sleep=tell)(_take, container, target, name)
    except _NoRoomError:
        raise ImporterError(
            f"warehouse {target.warehouse} had no room for another import in {PATIENCE}: raise "
            "snowflake.concurrentImports, or spread the schedules"
        ) from None
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, ended), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        with suppress(AzureError):  # it ends by itself
            lease.release()


def _take(container: ContainerClient, target: SnowflakeTarget, name: str) -> BlobLeaseClient:
    """Return the lease of a free slot; a _NoRoomError says that there is none."""
    count = target.concurrent_imports
    for offset in range(count):
        number = (crc32(name.encode()) + offset) % count
        lease = _lease(container, f"_slots/{target.account}/{target.warehouse}/{number}")
        if lease is not None:
            return lease
    raise _NoRoomError


def _lease(container: ContainerClient, path: str) -> BlobLeaseClient | None:
    blob = container.get_blob_client(path)
    with calling(f"{path} in container {container.url}"):
        try:
            return _acquire(BlobLeaseClient(blob))
        except ResourceNotFoundError:
            # another import may make it at the same time, and take it
            with suppress(ResourceExistsError, ResourceModifiedError):
                blob.upload_blob(b"")
            return _acquire(BlobLeaseClient(blob))


def _acquire(lease: BlobLeaseClient) -> BlobLeaseClient | None:
    """Return the lease, held, or None where another import holds it."""
    try:
        lease.acquire(_LEASE_SECONDS)
    except HttpResponseError as error:
        if getattr(error, "error_code", None) != "LeaseAlreadyPresent":
            raise
        return None
    return lease


def _keep(lease: BlobLeaseClient, ended: threading.Event) -> None:
    while not ended.wait(_RENEWED_AFTER):
        with suppress(AzureError):
            lease.renew()
