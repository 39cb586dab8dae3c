"""Slots that limit how many imports query one warehouse at a time.

A slot is a blob, and the import that holds its lease has the slot. A crashed run frees its slot within a
minute: the lease expires.
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

#: The longest duration of a lease, in seconds
#: (https://learn.microsoft.com/rest/api/storageservices/lease-blob).
_LEASE_SECONDS = 60
_RENEWED_AFTER = 15.0


class _NoSlotError(Exception):
    """Other imports hold all slots."""


#: How long an import waits for a slot, and how often it tries.
PATIENCE = timedelta(hours=6)
TURNS = Retrying(
    retry=retry_if_exception_type(_NoSlotError),
    stop=stop_after_delay(PATIENCE),
    wait=wait_random(5, 15),
    reraise=True,
)


@contextmanager
def import_slot(
    container: ContainerClient, target: SnowflakeTarget, name: str, progress: Progress
) -> Iterator[None]:
    """Hold one of the warehouse's slots in `container`; wait while all are taken.

    The search starts at a slot that depends on the import's `name`, so most imports find one at once. An
    import that loses its lease goes on: the limit only protects the warehouse.
    """

    def report(state: RetryCallState) -> None:
        if state.attempt_number == 1:
            progress.say(
                "waiting for other imports", warehouse=target.warehouse, at_once=target.concurrent_imports
            )

    try:
        lease = TURNS.copy(before_sleep=report)(_take, container, target, name)
    except _NoSlotError:
        raise ImporterError(
            f"no slot of warehouse {target.warehouse} was free for {PATIENCE}: raise "
            "snowflake.concurrentImports, or schedule imports at different times"
        ) from None
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, ended), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
        with suppress(AzureError):  # the lease expires anyway
            lease.release()


def _take(container: ContainerClient, target: SnowflakeTarget, name: str) -> BlobLeaseClient:
    """Return the lease of a free slot, or raise a _NoSlotError."""
    count = target.concurrent_imports
    for offset in range(count):
        number = (crc32(name.encode()) + offset) % count
        lease = _lease(container, f"_slots/{target.account}/{target.warehouse}/{number}")
        if lease is not None:
            return lease
    raise _NoSlotError


def _lease(container: ContainerClient, path: str) -> BlobLeaseClient | None:
    blob = container.get_blob_client(path)
    with calling(f"{path} in container {container.url}"):
        try:
            return _acquire(BlobLeaseClient(blob))
        except ResourceNotFoundError:
            # another import may create it at the same time, and take it
            with suppress(ResourceExistsError, ResourceModifiedError):
                blob.upload_blob(b"")
            return _acquire(BlobLeaseClient(blob))


def _acquire(lease: BlobLeaseClient) -> BlobLeaseClient | None:
    """Acquire the lease and return it, or None if another import holds it."""
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
