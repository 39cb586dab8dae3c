"""Telemetry: each run of an import sends Azure Monitor one record of how it ended.

A run that could not send one (no image, no node, killed) is noticed by its absence: the import is late.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from importer.errors import ImporterError
from importer.spec.run_record import FAILED, LOG_ENDPOINT_VARIABLE, LOG_RULE_VARIABLE, STREAM, SUCCEEDED
from importer.spec.schedule import version_of

if TYPE_CHECKING:
    from importer.progress import Progress

_Record = dict[str, str | int | float | None]


class _RegistrationNotes:
    """Passes progress on, and notes the size of the version when it is registered."""

    def __init__(self, progress: "Progress", version: str) -> None:
        self._progress = progress
        self._version = version
        self.notes: dict[str, str | int] = {}

    def say(self, event: str, **details: str | int) -> None:
        """Pass an event on; note the rows and bytes of the registered version."""
        if event == "registered" and details["version"] == self._version:
            self.notes = {"Rows": details["rows"], "Bytes": details["bytes"]}
        self._progress.say(event, **details)

    def rows(self, done: int, total: int) -> None:
        """Pass the count on."""
        self._progress.rows(done, total)


@contextmanager
def recording(name: str, scheduled: datetime, progress: "Progress") -> "Iterator[Progress]":
    """Send a record of how the run of an import ends, if the environment says where to.

    The run reports to the progress that this yields. The record has rows only if this run registered the
    version. A failure to send the record is reported, and does not fail the run.
    """
    endpoint, rule = os.environ.get(LOG_ENDPOINT_VARIABLE), os.environ.get(LOG_RULE_VARIABLE)
    if not endpoint or not rule:
        yield progress
        return
    started = time.monotonic()
    noting = _RegistrationNotes(progress, version_of(scheduled))
    outcome, message = FAILED, ""
    try:
        yield noting
        outcome = SUCCEEDED
    except ImporterError as error:
        message = str(error)
        raise
    except BaseException as error:
        # the text of an unexpected error may contain a secret: record its type only
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
            **noting.notes,
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
