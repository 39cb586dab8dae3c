"""`importer list`: the imports of a workspace, when they run next, and how their last jobs ended."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from importer.errors import ImporterError
from importer.spec.schedule import next_tick
from importer.versions.workspace import AssetVersion, ImportJob, ScheduledImport, Workspace

_POLL_SECONDS = 1

#: How many imports are asked for at once; each takes two calls.
_IMPORTS_AT_ONCE = 8


class CleanStatus(BaseModel):
    """The newest clean version of an import, and how many rows its rules have quarantined."""

    asset: str
    version: str
    rows: int | None = None
    bytes: int | None = None
    quarantined: int | None = None
    registered: datetime | None = None


class ImportStatus(BaseModel):
    """An import with its schedule, its newest version (None before the first) and its last job (likewise).

    `cron` and `next` are None if the schedule has another kind of trigger. `problem` says why the
    schedule can no longer import.
    """

    name: str
    schedule: str
    cron: str | None
    time_zone: str
    enabled: bool
    next: datetime | None = None
    problem: str | None = None
    version: str | None = None
    rows: int | None = None
    bytes: int | None = None
    registered: datetime | None = None
    job: str | None = None
    job_status: str | None = None
    job_url: str | None = None
    clean: CleanStatus | None = None


def list_imports(*, as_json: bool, wait_seconds: float | None) -> None:
    """Print the imports of the workspace in the environment, as a table or as JSON.

    With `wait_seconds`, first wait that long until no import is running, and raise an ImporterError after
    printing if an enabled import is broken or its last job failed.
    """
    workspace = Workspace()
    if wait_seconds is not None:
        wait_for_jobs(workspace, wait_seconds)
    statuses = import_statuses(workspace, datetime.now(UTC))
    print_statuses(statuses, as_json=as_json)
    if wait_seconds is not None:
        check_last_jobs(statuses)


def import_statuses(workspace: Workspace, now: datetime) -> list[ImportStatus]:
    """Return the status of each import of the workspace, by name."""
    with ThreadPoolExecutor(_IMPORTS_AT_ONCE) as pool:
        return list(pool.map(lambda scheduled: _status(scheduled, workspace, now), workspace.imports()))


def _status(scheduled: ScheduledImport, workspace: Workspace, now: datetime) -> ImportStatus:
    status = ImportStatus(
        name=scheduled.name,
        schedule=scheduled.schedule,
        cron=scheduled.cron,
        time_zone=scheduled.time_zone,
        enabled=scheduled.is_enabled,
    )
    try:
        spec = scheduled.spec()
        if spec.curate is not None:
            status.clean = _clean_status(spec.curate.asset, workspace)
        if scheduled.is_enabled and scheduled.cron is not None:
            status.next = next_tick(scheduled.cron, scheduled.time_zone, now)
    except ImporterError as error:
        status.problem = str(error)
    except ValueError as error:
        status.problem = f"schedule {scheduled.schedule}: {error}"
    for newest in workspace.versions(scheduled.name)[:1]:
        status.version = newest.version
        status.rows, status.bytes = _number(newest, "rows"), _number(newest, "bytes")
        status.registered = newest.registered
    for last in workspace.jobs(scheduled)[:1]:
        status.job, status.job_status, status.job_url = last.name, last.status, last.url
    return status


def _clean_status(asset: str, workspace: Workspace) -> CleanStatus | None:
    for newest in workspace.versions(asset)[:1]:
        return CleanStatus(
            asset=asset,
            version=newest.version,
            rows=_number(newest, "rows"),
            bytes=_number(newest, "bytes"),
            quarantined=_number(newest, "quarantined"),
            registered=newest.registered,
        )
    return None


def _number(version: AssetVersion, tag: str) -> int | None:
    return int(version.tags[tag]) if tag in version.tags else None


def wait_for_jobs(workspace: Workspace, timeout: float) -> None:
    """Wait until no import's job is running; raise an ImporterError after `timeout` seconds."""

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
    """Raise an ImporterError that names each enabled import that is broken or whose last job failed."""
    failures = [
        f"import {status.name}: {failure}"
        for status in statuses
        if status.enabled and (failure := _failure(status)) is not None
    ]
    if failures:
        raise ImporterError("; ".join(failures))


def _failure(status: ImportStatus) -> str | None:
    if status.problem is not None:
        return status.problem
    if status.job_status in ("Failed", "Canceled", "NotResponding"):
        return f"job {status.job} is {status.job_status}, {_log_text(status.job_url)}"
    if status.job is None and status.version is None:
        return "it has neither a job nor a version"
    return None


def _log_text(url: str | None) -> str:
    """Return where a job's log is, with its last line if it is a file (as in the local cloud)."""
    # azure-ai-ml appends the tenant that the studio needs
    parts = urlsplit((url or "").partition("&tid=")[0])
    if parts.scheme != "file":
        return f"log: {url}"
    log = Path(url2pathname(parts.path))
    lines = log.read_text(errors="replace").split("\n") if log.is_file() else []
    last = next((line for line in reversed(lines) if line.strip()), "no output")
    return f"log: {log}: {last}"


def print_statuses(statuses: list[ImportStatus], *, as_json: bool) -> None:
    """Print the statuses as a table, or as a JSON array."""
    if as_json:
        print(json.dumps([status.model_dump(mode="json") for status in statuses], indent=2))  # noqa: T201
        return
    table = Table(box=None, pad_edge=False)
    headings = ["IMPORT", "CRON", "TIME ZONE", "NEXT", "VERSION", "ROWS", "BYTES", "REGISTERED", "LAST JOB"]
    if any(status.problem for status in statuses):
        headings.append("PROBLEM")
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("ROWS", "BYTES") else "left")
    for status in statuses:
        table.add_row(*_cells(status)[: len(headings)])
        if status.clean is not None:
            table.add_row(*_clean_cells(status.clean))
    # a pipe has no width: rich would wrap at 80 columns
    Console(markup=False, width=None if sys.stdout.isatty() else 250).print(table)


def _cells(status: ImportStatus) -> list[str]:
    no_next = "unknown" if status.enabled else "disabled"
    return [
        status.name,
        status.cron or "no cron",
        status.time_zone,
        f"{status.next:%Y-%m-%d %H:%MZ}" if status.next else no_next,
        status.version or "none yet",
        *_size_cells(status.rows, status.bytes, status.registered),
        status.job_status or "none yet",
        status.problem or "",
    ]


def _clean_cells(clean: CleanStatus) -> list[str]:
    size = _size_cells(clean.rows, clean.bytes, clean.registered)
    quarantined = f"{clean.quarantined:,} rows quarantined" if clean.quarantined else ""
    return [f"  {clean.asset}", "", "", "", clean.version, *size, quarantined]


def _size_cells(rows: int | None, size: int | None, registered: datetime | None) -> list[str]:
    return [
        "" if rows is None else f"{rows:,}",
        "" if size is None else f"{size:,}",
        f"{registered:%Y-%m-%d %H:%MZ}" if registered else "",
    ]
