"""`importer list --wait`: waits for the imports' jobs, and fails if a last job failed."""

from datetime import datetime

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from importer.commands.failure import log_place
from importer.commands.import_status import ImportStatus
from importer.errors import ImporterError
from importer.versions.workspace import FAILED_STATUSES, ImportJob, Workspace

_POLL_SECONDS = 1


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


def check_last_jobs(statuses: list[ImportStatus], since: datetime | None = None) -> None:
    """Raise an ImporterError that names each enabled import that is broken or whose last job failed.

    A failed job does not count if a newer version is registered. With `since`, only a job that started since
    then counts, and an import need not have run.
    """
    failures = [
        f"import {status.name}: {failure}"
        for status in statuses
        if status.enabled and (failure := _failure(status, since)) is not None
    ]
    if failures:
        raise ImporterError("; ".join(failures))


def _failure(status: ImportStatus, since: datetime | None) -> str | None:
    if status.problem is not None:
        return status.problem
    if (failed := failed_job(status)) is not None:
        is_earlier = since is not None and status.job_started is not None and status.job_started < since
        return None if status.job_overtaken or is_earlier else failed
    if status.job is None and status.version is None and since is None:
        return "it has neither a job nor a version"
    return None


def failed_job(status: ImportStatus) -> str | None:
    """Return in one line which job failed, why, and where its log is; None if the last job did not fail."""
    if status.job_status not in FAILED_STATUSES:
        return None
    reason = status.job_error or "see its log"
    return f"job {status.job} is {status.job_status}: {reason}; log: {log_place(status.job_url)}"
