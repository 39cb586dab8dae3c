"""Which requests to Azure are retried, and after which pauses."""

import random
from http import HTTPStatus
from typing import Any

from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.policies import RetryPolicy

_RETRIES = 5
_TOTAL_SECONDS = 120
_LONGEST_PAUSE = 60


class ArmRetryPolicy(RetryPolicy[Any, Any]):
    """Retries for Azure Resource Manager: azure-core's, with jitter and limits, and for conflicts.

    azure-core retries timeouts, connection resets, 408 and 5xx, and waits as long as Retry-After says
    (https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling).
    This policy also retries 429 for every method and a 409 while another operation is in progress, and adds
    jitter. It stops after 6 attempts, after 2 minutes, or when the server asks for a pause of over a minute.
    """

    def __init__(self) -> None:
        super().__init__(
            retry_total=_RETRIES,
            retry_connect=_RETRIES,
            retry_read=_RETRIES,
            retry_status=_RETRIES,
            retry_backoff_max=_LONGEST_PAUSE,
            timeout=_TOTAL_SECONDS,
        )

    def is_retry(self, settings: dict[str, Any], response: PipelineResponse[Any, Any]) -> bool:
        """Return whether a later attempt may succeed."""
        status = response.http_response.status_code
        if (self.get_retry_after(response) or 0) > _LONGEST_PAUSE:
            return False
        if status == HTTPStatus.CONFLICT:
            return "progress" in response.http_response.text().lower()
        return status == HTTPStatus.TOO_MANY_REQUESTS or bool(super().is_retry(settings, response))

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Return the pause in seconds if the server names none: half of it is fixed, half is random."""
        doubled = settings["backoff"] * 2 ** len(settings["history"])
        return float(min(settings["max_backoff"], doubled) * random.uniform(0.5, 1))  # noqa: S311 - not for a secret
