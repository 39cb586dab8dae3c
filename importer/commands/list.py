"""`importer list`: the imports of a workspace, when they run next, and how their last jobs ended."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from importer.commands.import_status import CleanStatus, ImportStatus, import_statuses
from importer.commands.last_jobs import check_last_jobs, failed_job, wait_for_jobs
from importer.commands.table import moment, number, print_table
from importer.spec.run_alerts import FREQUENCY_MINUTES
from importer.versions.workspace import Workspace

_HEADINGS = (
    "IMPORT",
    "CRON",
    "TIME ZONE",
    "NEXT",
    "VERSION",
    "ROWS",
    "BYTES",
    "REGISTERED",
    "LAST JOB",
    "AT",
)
_NUMBERS = frozenset({"ROWS", "BYTES"})


def list_imports(*, as_json: bool, wait_seconds: float | None, since: datetime | None) -> None:
    """Print the imports of the workspace in the environment, as a table or as JSON.

    With `wait_seconds`, first wait that long until no import is running, and raise an ImporterError after
    printing if an enabled import is broken or its last job failed. With `since`, a job that started earlier
    does not count.
    """
    workspace = Workspace()
    if wait_seconds is not None:
        wait_for_jobs(workspace, wait_seconds)
    statuses = import_statuses(workspace, datetime.now(UTC))
    print_statuses(statuses, as_json=as_json)
    if wait_seconds is not None:
        check_last_jobs(statuses, since)


def print_statuses(statuses: list[ImportStatus], *, as_json: bool) -> None:
    """Print the statuses as a table with notes below it, or as a JSON array."""
    if as_json:
        print(json.dumps([status.model_dump(mode="json") for status in statuses], indent=2))  # noqa: T201
        return
    rows = []
    for status in statuses:
        rows.append(_cells(status))
        if status.clean is not None:
            rows.append(_clean_cells(status.clean))
    print_table(_HEADINGS, rows, right=_NUMBERS)
    for status in statuses:
        for note in _notes(status):
            print(f"{status.name}: {note}")  # noqa: T201


def _cells(status: ImportStatus) -> list[str]:
    no_next = "unknown" if status.enabled else "disabled"
    return [
        status.name,
        status.cron or "no cron",
        status.time_zone,
        moment(status.next) or no_next,
        status.version or "none yet",
        number(status.rows),
        number(status.bytes),
        moment(status.registered),
        status.job_status or "none yet",
        moment(status.job_started),
    ]


def _clean_cells(clean: CleanStatus) -> list[str]:
    return [
        f"  {clean.asset}",
        "",
        "",
        "",
        clean.version or "none yet",
        number(clean.rows),
        number(clean.bytes),
        moment(clean.registered),
        f"{clean.quarantined:,} rows quarantined" if clean.quarantined else "",
        "",
    ]


def _notes(status: ImportStatus) -> Iterator[str]:
    """Yield what is wrong with an import, a sentence each."""
    if status.problem is not None:
        yield status.problem
    if (failed := failed_job(status)) is not None:
        yield (
            f"{failed} (overtaken: version {status.version} is registered)"
            if status.job_overtaken
            else failed
        )
    for alert in status.alerts:
        yield f'alert "{alert.title}" fires within {FREQUENCY_MINUTES} minutes of {moment(alert.since)}'
    clean = status.clean
    if clean is not None and clean.behind:
        versions = "1 version" if clean.behind == 1 else f"{clean.behind} versions"
        yield f"{clean.asset} is {versions} behind; `importer curate {status.name}` makes the newest"
