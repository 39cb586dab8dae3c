"""The status of each import of a workspace: its schedule, newest versions and last job."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from pydantic import BaseModel

from importer.commands.failure import failure_note, last_line_of_log
from importer.errors import ImporterError
from importer.lake.run_notes import RunNote
from importer.spec.import_spec import ImportSpec
from importer.spec.run_alerts import FAILED_TITLE, LATE_TITLE, LOOK_BACK_DAYS
from importer.spec.schedule import is_older, next_tick
from importer.versions.workspace import AssetVersion, ImportJob, ScheduledImport, Workspace

#: How many imports are asked for at once; each takes two calls.
_IMPORTS_AT_ONCE = 8


class CleanStatus(BaseModel):
    """The newest clean version of an import, None before the first, and how many rows are in quarantine.

    `behind` is the number of raw versions that are newer.
    """

    asset: str
    version: str | None = None
    rows: int | None = None
    bytes: int | None = None
    quarantined: int | None = None
    registered: datetime | None = None
    behind: int = 0


class Alert(BaseModel):
    """An alert whose condition holds, and since when; it fires when it is evaluated next."""

    title: str
    since: datetime


class ImportStatus(BaseModel):
    """An import with its schedule, its newest version (None before the first) and its last job (likewise).

    `cron` and `next` are None if the schedule has another kind of trigger. `problem` says why the schedule
    can no longer import. `job_error` says why the last job failed; `job_overtaken` is whether the versions
    that it should have made, or newer ones, are registered now. `alerts` is empty too if the stack makes no
    alerts on imports.
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
    job_started: datetime | None = None
    job_error: str | None = None
    job_overtaken: bool = False
    job_url: str | None = None
    clean: CleanStatus | None = None
    alerts: list[Alert] = []


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
    spec: ImportSpec | None = None
    versions = workspace.versions(scheduled.name)
    try:
        spec = scheduled.spec()
        if spec.curate is not None:
            status.clean = _clean_status(spec.curate.asset, versions, workspace)
        if scheduled.is_enabled and scheduled.cron is not None:
            status.next = next_tick(scheduled.cron, scheduled.time_zone, now)
    except ImporterError as error:
        status.problem = str(error)
    except ValueError as error:
        status.problem = f"schedule {scheduled.schedule}: {error}"
    for newest in versions[:1]:
        status.version = newest.version
        status.rows, status.bytes = number_of(newest, "rows"), number_of(newest, "bytes")
        status.registered = newest.registered
    jobs = workspace.jobs(scheduled)
    for last in jobs[:1]:
        note = failure_note(last, spec, workspace) if spec and last.has_failed else None
        _add_job(status, last, note)
        if note is not None and scheduled.late_rule is not None:
            _add_failed_alert(status, note, now)
    _add_late_alert(status, scheduled, jobs, now)
    return status


def _add_failed_alert(status: ImportStatus, note: RunNote, now: datetime) -> None:
    if status.enabled and note.finished >= now - timedelta(days=LOOK_BACK_DAYS):
        status.alerts.append(Alert(title=FAILED_TITLE.format(status.name), since=note.finished))


def _add_late_alert(
    status: ImportStatus, scheduled: ScheduledImport, jobs: list[ImportJob], now: datetime
) -> None:
    rule, cron = scheduled.late_rule, scheduled.cron
    if rule is None or cron is None or not status.enabled or status.problem is not None:
        return
    succeeded = [job.version for job in jobs if job.version and job.status == "Completed"]
    due = rule.overdue(cron, scheduled.time_zone, succeeded, now)
    if due is not None:
        status.alerts.append(Alert(title=LATE_TITLE.format(status.name), since=due + rule.late_after))


def _add_job(status: ImportStatus, job: ImportJob, note: RunNote | None) -> None:
    status.job, status.job_status = job.name, job.status
    status.job_started, status.job_url = job.started, job.url
    if job.has_failed:
        status.job_error = (note.error if note else None) or last_line_of_log(job.url)
        status.job_overtaken = _is_overtaken(job, status)


def _is_overtaken(job: ImportJob, status: ImportStatus) -> bool:
    """Return whether the raw version of a failed job, and its clean one, are there or have newer ones."""
    newest = [status.version] if status.clean is None else [status.version, status.clean.version]
    return job.version is not None and all(
        found is not None and not is_older(found, job.version) for found in newest
    )


def _clean_status(asset: str, raw: list[AssetVersion], workspace: Workspace) -> CleanStatus:
    for newest in workspace.versions(asset)[:1]:
        return CleanStatus(
            asset=asset,
            version=newest.version,
            rows=number_of(newest, "rows"),
            bytes=number_of(newest, "bytes"),
            quarantined=number_of(newest, "quarantined"),
            registered=newest.registered,
            behind=sum(is_older(newest.version, found.version) for found in raw),
        )
    return CleanStatus(asset=asset, behind=len(raw))


def number_of(version: AssetVersion, tag: str) -> int | None:
    """Return the number that a version has as a tag, if it has that tag."""
    return int(version.tags[tag]) if tag in version.tags else None
