"""How the imports of a workspace stand: when they run next, what they made last, and how their jobs ended."""

import json
import sys
from datetime import datetime

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from importer.errors import ImporterError
from importer.schedule import next_tick
from importer.workspace import ImportJob, ScheduledImport, Workspace

_POLL_SECONDS = 1


class ImportStatus(BaseModel):
    """One import: its schedule, its newest version (None before the first), its last job (None before it)."""

    name: str
    schedule: str
    cron: str
    time_zone: str
    enabled: bool
    next: datetime | None
    version: str | None = None
    rows: int | None = None
    bytes: int | None = None
    registered: datetime | None = None
    job: str | None = None
    job_status: str | None = None
    job_url: str | None = None


def import_statuses(workspace: Workspace, now: datetime) -> list[ImportStatus]:
    """Return the status of each import of the workspace, by name."""
    return [_status(scheduled, workspace, now) for scheduled in workspace.imports()]


def _status(scheduled: ScheduledImport, workspace: Workspace, now: datetime) -> ImportStatus:
    status = ImportStatus(
        name=scheduled.spec.name,
        schedule=scheduled.schedule,
        cron=scheduled.cron,
        time_zone=scheduled.time_zone,
        enabled=scheduled.is_enabled,
        next=next_tick(scheduled.cron, scheduled.time_zone, now) if scheduled.is_enabled else None,
    )
    for newest in workspace.versions(scheduled.spec.name)[:1]:
        status.version = newest.version
        status.rows = int(newest.tags["rows"]) if "rows" in newest.tags else None
        status.bytes = int(newest.tags["bytes"]) if "bytes" in newest.tags else None
        status.registered = newest.registered
    for last in workspace.jobs(scheduled)[:1]:
        status.job, status.job_status, status.job_url = last.name, last.status, last.url
    return status


def wait_for_jobs(workspace: Workspace, timeout: float) -> None:
    """Return when no job of an import is running; an ImporterError after `timeout` seconds."""

    def running() -> list[ImportJob]:
        imports = workspace.imports()
        return [job for scheduled in imports for job in workspace.jobs(scheduled) if job.is_running]

    wait = Retrying(
        retry=retry_if_result(bool), stop=stop_after_delay(timeout), wait=wait_fixed(_POLL_SECONDS)
    )
    try:
        wait(running)
    except RetryError as error:
        names = ", ".join(job.name for job in error.last_attempt.result())
        raise ImporterError(f"still running after {timeout:.0f} seconds: {names}") from None


def check_last_jobs(statuses: list[ImportStatus]) -> None:
    """Raise an ImporterError that names the imports whose last job failed, and where its log is."""
    failed = [status for status in statuses if status.job_status == "Failed"]
    if failed:
        raise ImporterError(
            "; ".join(f"import {s.name}: job {s.job} failed, log: {s.job_url}" for s in failed)
        )


def print_statuses(statuses: list[ImportStatus], *, as_json: bool) -> None:
    """Print the statuses as a table, or as a JSON array."""
    if as_json:
        print(json.dumps([status.model_dump(mode="json") for status in statuses], indent=2))  # noqa: T201
        return
    table = Table(box=None, pad_edge=False)
    headings = ("IMPORT", "CRON", "TIME ZONE", "NEXT", "VERSION", "ROWS", "BYTES", "REGISTERED", "LAST JOB")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("ROWS", "BYTES") else "left")
    for status in statuses:
        table.add_row(*_cells(status))
    # a pipe has no width to fit into
    Console(markup=False, width=None if sys.stdout.isatty() else 250).print(table)


def _cells(status: ImportStatus) -> list[str]:
    return [
        status.name,
        status.cron,
        status.time_zone,
        f"{status.next:%Y-%m-%d %H:%MZ}" if status.next else "disabled",
        status.version or "none yet",
        "" if status.rows is None else f"{status.rows:,}",
        "" if status.bytes is None else f"{status.bytes:,}",
        f"{status.registered:%Y-%m-%d %H:%MZ}" if status.registered else "",
        status.job_status or "none yet",
    ]
