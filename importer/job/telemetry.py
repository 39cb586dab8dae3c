"""What a run of an import tells Azure Monitor: one record of how it ended.

Runs that were never recorded (no image, no node, killed) are found by their absence: the import is late.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from importer.errors import ImporterError
from importer.spec.schedule import version_of

if TYPE_CHECKING:
    from importer.progress import Progress

#: The table of Log Analytics, and the stream of the data collection rule, that records go to. A custom table
#: ends in `_CL`, a stream for one starts with `Custom-`
#: (https://learn.microsoft.com/azure/azure-monitor/data-collection/data-collection-rule-structure).
TABLE = "Imports_CL"
STREAM = f"Custom-{TABLE}"

#: The columns of a record, with their types as a data collection rule calls them.
COLUMNS = {
    "TimeGenerated": "datetime",
    "Import": "string",
    "Scheduled": "datetime",
    "Version": "string",
    "Outcome": "string",
    "Rows": "long",
    "Bytes": "long",
    "Seconds": "real",
    "Error": "string",
}
SUCCEEDED = "succeeded"
FAILED = "failed"

#: The environment variables that say where records go: the endpoint's URL, and the rule's immutable id.
#: Where one of them is missing, runs are not recorded.
LOG_ENDPOINT_VARIABLE = "IMPORT_LOG_ENDPOINT"
LOG_RULE_VARIABLE = "IMPORT_LOG_RULE"

_Record = dict[str, str | int | float | None]


class _Noting:
    """Progress that also notes what of a version has been registered."""

    def __init__(self, progress: "Progress", version: str) -> None:
        self._progress = progress
        self._version = version
        self.noted: dict[str, str | int] = {}

    def say(self, event: str, **details: str | int) -> None:
        """Pass on, and note the size of the version."""
        if event == "registered" and details["version"] == self._version:
            self.noted = {"Rows": details["rows"], "Bytes": details["bytes"]}
        self._progress.say(event, **details)

    def rows(self, done: int, total: int) -> None:
        """Pass on."""
        self._progress.rows(done, total)


@contextmanager
def recording(name: str, scheduled: datetime, progress: "Progress") -> "Iterator[Progress]":
    """Send a record of how the run of an import ends, where the environment says to.

    The run says what it does to the progress that this yields. A run that has registered its version before
    succeeds without rows. A record that cannot be sent is told, and changes nothing of the run.
    """
    endpoint, rule = os.environ.get(LOG_ENDPOINT_VARIABLE), os.environ.get(LOG_RULE_VARIABLE)
    if not endpoint or not rule:
        yield progress
        return
    started = time.monotonic()
    noting = _Noting(progress, version_of(scheduled))
    outcome, message = FAILED, ""
    try:
        yield noting
        outcome = SUCCEEDED
    except ImporterError as error:
        message = str(error)
        raise
    except BaseException as error:
        # what the text of any other error holds is not ours to know: it may be a secret
        message = type(error).__name__
        raise
    finally:
        record: _Record = {
            "TimeGenerated": _iso(datetime.now(UTC)),
            "Import": name,
            "Scheduled": _iso(scheduled),
            "Version": version_of(scheduled),
            "Outcome": outcome,
            "Rows": None,
            "Bytes": None,
            "Seconds": round(time.monotonic() - started, 3),
            "Error": message,
            **noting.noted,
        }
        _send(record, endpoint, rule, progress)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _send(record: _Record, endpoint: str, rule: str, progress: "Progress") -> None:
    from azure.monitor.ingestion import LogsIngestionClient

    from importer.lake.azure import TIMEOUTS, calling, credential

    client = LogsIngestionClient(endpoint, credential(), retry_total=4, **TIMEOUTS)
    try:
        with calling("Azure Monitor"):
            client.upload(rule, STREAM, [record])
    except ImporterError as error:
        progress.say("not recorded", error=str(error))
