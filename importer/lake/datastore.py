"""A datastore of the workspace: the Blob container behind it, and the client that calls it."""

import time
from http import HTTPStatus
from typing import NamedTuple

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.rest import HttpRequest, HttpResponse
from azure.storage.blob import BlobServiceClient, ExponentialRetry

from importer.lake.azure import TIMEOUTS, credential
from importer.lake.emulator import is_emulator

_Response = PipelineResponse[HttpRequest, HttpResponse]

#: The longest pause that a throttled service may ask for, in seconds.
_LONGEST_PAUSE = 60


class Datastore(NamedTuple):
    """Where a datastore of the workspace keeps its blobs."""

    name: str
    account: str
    container: str
    protocol: str
    endpoint: str
    uri: str | None = None
    """Its root as Azure ML's readers address it; None for an emulator, which they cannot reach."""

    @property
    def account_url(self) -> str:
        """The address of the storage account's blob service."""
        if is_emulator(self.endpoint):
            return f"{self.protocol}://{self.endpoint}/{self.account}"
        return f"{self.protocol}://{self.account}.blob.{self.endpoint}"

    def snowflake_url(self, folder: str = "") -> str:
        """Return the address of a folder as Snowflake writes it.

        https://docs.snowflake.com/en/sql-reference/sql/copy-into-location
        """
        return f"azure:{self.account_url.removeprefix(f'{self.protocol}:')}/{self.container}/{folder}"

    def open_account(self) -> BlobServiceClient:
        """Return a client of the storage account's blob service."""
        return BlobServiceClient(
            self.account_url,
            credential(),
            retry_policy=_Retries(initial_backoff=1, increment_base=2, retry_total=4),
            **TIMEOUTS,
        )


class _Retries(ExponentialRetry):
    """The retries of azure-storage-blob, and retries of status 429, which it does not retry itself."""

    def send(self, request: PipelineRequest[HttpRequest]) -> _Response:
        """Send a request; while it is throttled, send it again after the pause that the service asks for."""
        pauses = iter((1, 2, 4, 8))
        while True:
            response: _Response = super().send(request)  # type: ignore[no-untyped-call]
            pause = next(pauses, None)
            if response.http_response.status_code != HTTPStatus.TOO_MANY_REQUESTS or pause is None:
                return response
            asked_for = response.http_response.headers.get("Retry-After", "")
            time.sleep(min(int(asked_for), _LONGEST_PAUSE) if asked_for.isdecimal() else pause)
