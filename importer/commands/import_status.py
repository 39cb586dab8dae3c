"""The status of each import of a workspace: its schedule, newest versions and last job."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pydantic import BaseModel

from importer.commands.failure import failure_reason, last_line_of_log
from importer.errors import ImporterError
from importer.spec.import_spec import ImportSpec
from importer.spec.schedule import next_tick
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


class ImportStatus(BaseModel):
    """An import with its schedule, its newest version (None before the first) and its last job (likewise).

    `cron` and `next` are None if the schedule has another kind of trigger. `problem` says why the schedule
    can no longer import. `job_error` says why the last job failed; `job_overtaken` is whether the versions
    that it should have made, or newer ones, are registered now.
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
    for last in workspace.jobs(scheduled)[:1]:
        _add_job(status, last, spec, workspace)
    return status


def _add_job(status: ImportStatus, job: ImportJob, spec: ImportSpec | None, workspace: Workspace) -> None:
    status.job, status.job_status = job.name, job.status
    status.job_started, status.job_url = job.started, job.url
    if job.has_failed:
        status.job_error = failure_reason(job, spec, workspace) if spec else last_line_of_log(job.url)
        status.job_overtaken = _is_overtaken(job, status)


def _is_overtaken(job: ImportJob, status: ImportStatus) -> bool:
    """Return whether the raw version of a failed job, and its clean one, are there or have newer ones."""
    newest = [status.version] if status.clean is None else [status.version, status.clean.version]
    return job.version is not None and all(found is not None and found >= job.version for found in newest)


def _clean_status(asset: str, raw: list[AssetVersion], workspace: Workspace) -> CleanStatus:
    for newest in workspace.versions(asset)[:1]:
        return CleanStatus(
            asset=asset,
            version=newest.version,
            rows=number_of(newest, "rows"),
            bytes=number_of(newest, "bytes"),
            quarantined=number_of(newest, "quarantined"),
            registered=newest.registered,
            behind=sum(found.version > newest.version for found in raw),
        )
    return CleanStatus(asset=asset, behind=len(raw))


def number_of(version: AssetVersion, tag: str) -> int | None:
    """Return the number that a version has as a tag, if it has that tag."""
    return int(version.tags[tag]) if tag in version.tags else None
