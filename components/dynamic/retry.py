"""When a request to Azure is tried again, and how long until then."""

import random
from http import HTTPStatus
from typing import Any

from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.policies import RetryPolicy

_RETRIES = 5
_TOTAL_SECONDS = 120
_LONGEST_PAUSE = 60


class ArmRetryPolicy(RetryPolicy[Any, Any]):
    """azure-core's retries as Azure Resource Manager needs them: with jitter, a bound, and for conflicts.

    azure-core itself tries timeouts, connection resets, 408 and 5xx again, and keeps to its Retry-After
    (https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling).
    Added: 429 for every method, a 409 that only says that another operation is in progress, random pauses,
    and an end: after 6 tries, after 2 minutes, or where the server asks for a pause of more than one.
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
        """Return whether the answer is one that a later try can better."""
        status = response.http_response.status_code
        if (self.get_retry_after(response) or 0) > _LONGEST_PAUSE:
            return False
        if status == HTTPStatus.CONFLICT:
            return "progress" in response.http_response.text().lower()
        return status == HTTPStatus.TOO_MANY_REQUESTS or bool(super().is_retry(settings, response))

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Return the pause in seconds where the server names none: half of it fixed, half by chance."""
        doubled = settings["backoff"] * 2 ** len(settings["history"])
        return float(min(settings["max_backoff"], doubled) * random.uniform(0.5, 1))  # noqa: S311 - no secret
