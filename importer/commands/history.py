"""`importer history`: the runs of an import, from its jobs, its versions' tags and the notes in the lake."""

import json
from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel

from importer.commands.failure import last_line_of_log, log_place, run_notes
from importer.commands.import_status import number_of
from importer.commands.table import moment, number, print_table
from importer.lake.run_notes import Outcome, RunNote
from importer.versions.workspace import FAILED_STATUSES, AssetVersion, ImportJob, Workspace

_HEADINGS = ("VERSION", "STARTED", "SECONDS", "READ", "NEW", "REPLACED", "ROWS", "OUTCOME", "JOB")
_NUMBERS = frozenset({"SECONDS", "READ", "NEW", "REPLACED", "ROWS"})

#: The outcome of a job that succeeded, until it is known what it made.
_COMPLETED = "completed"

#: The outcomes of jobs whose run may have left a note.
_NOTED_AS: dict[Outcome, frozenset[str]] = {
    "failed": frozenset(status.lower() for status in FAILED_STATUSES),
    "unchanged": frozenset({_COMPLETED, "registered already"}),
}


class Run(BaseModel):
    """A run of an import: its scheduled time as a version, how it ended, and what it read.

    `outcome` is `registered`, `registered already`, `unchanged` (nothing was new), `failed`, or the status of
    the job. `new` and `replaced` are rows of an incremental import, `rows` those of the whole version. `job`
    is None if a person ran it; `log` is the file or the address of its log.
    """

    version: str
    outcome: str
    started: datetime | None = None
    seconds: int | None = None
    read: int | None = None
    new: int | None = None
    replaced: int | None = None
    rows: int | None = None
    job: str | None = None
    error: str | None = None
    log: str | None = None


def show_history(name: str, *, count: int, as_json: bool) -> None:
    """Print the newest runs of an import of the workspace in the environment."""
    workspace = Workspace()
    scheduled = workspace.scheduled(name)
    notes = run_notes(scheduled.spec(), workspace).newest(count)
    versions = workspace.past_versions(name)
    found = past_runs(workspace.jobs(scheduled), versions, notes)[:count]
    if as_json:
        print(json.dumps([run.model_dump(mode="json") for run in found], indent=2))  # noqa: T201
        return
    print_table(_HEADINGS, [_cells(run) for run in found], right=_NUMBERS)
    for run in found:
        if run.error is not None:
            print(_error_line(run))  # noqa: T201


def past_runs(
    jobs: Sequence[ImportJob], versions: Sequence[AssetVersion], notes: Sequence[RunNote]
) -> list[Run]:
    """Return the runs, newest first: one for each job, and those without a job."""
    made = {found.version: found for found in versions}
    ticks = {*made, *(note.version for note in notes), *(job.version or "" for job in jobs)}
    runs = [
        run
        for tick in ticks
        for run in _runs_of(
            tick,
            [job for job in jobs if (job.version or "") == tick],
            made.get(tick),
            [note for note in notes if note.version == tick],
        )
    ]
    return sorted(runs, key=_order, reverse=True)


def _order(run: Run) -> tuple[str, float]:
    return run.version, run.started.timestamp() if run.started else 0.0


def _runs_of(tick: str, jobs: list[ImportJob], made: AssetVersion | None, notes: list[RunNote]) -> list[Run]:
    """Return the runs of one scheduled time.

    Its version counts as made by the first job that succeeded; if none did, by the first job: that failed
    after the registration, at the clean version.
    """
    runs = sorted((_run_of_job(tick, job) for job in jobs), key=_order)
    if made is not None:
        maker = next((run for run in runs if run.outcome == _COMPLETED), runs[0] if runs else None)
        if maker is None:
            maker = Run(version=tick, outcome=_COMPLETED, started=made.registered)
            runs.append(maker)
        _add_counts(maker, made)
        for run in runs:
            if run.outcome == _COMPLETED:
                run.outcome = "registered" if run is maker else "registered already"
    for note in notes:
        noted = next((run for run in reversed(runs) if _is_of(note, run)), None)
        if noted is None:
            noted = Run(version=tick, outcome=note.outcome, started=note.started)
            runs.append(noted)
        noted.outcome, noted.error, noted.read = note.outcome, note.error, note.read_rows
        noted.seconds = round((note.finished - note.started).total_seconds())
    return runs


def _run_of_job(tick: str, job: ImportJob) -> Run:
    return Run(
        version=tick,
        outcome=job.status.lower(),
        started=job.started,
        job=job.name,
        error=last_line_of_log(job.url) if job.has_failed else None,
        log=log_place(job.url),
    )


def _is_of(note: RunNote, run: Run) -> bool:
    """Return whether a note can be that of a job's run."""
    is_later = run.started is None or note.finished >= run.started
    return run.job is not None and is_later and run.outcome in _NOTED_AS[note.outcome]


def _add_counts(run: Run, made: AssetVersion) -> None:
    run.seconds, run.rows = number_of(made, "seconds"), number_of(made, "rows")
    run.read = number_of(made, "read_rows")
    run.new, run.replaced = number_of(made, "new_rows"), number_of(made, "replaced_rows")
    if run.read is None and "step" not in made.tags:
        run.read = run.rows  # a full import reads what it registers


def _error_line(run: Run) -> str:
    log = f"; log: {run.log}" if run.log else ""
    return f"{run.version}, {run.job or 'by hand'}: {run.error}{log}"


def _cells(run: Run) -> list[str]:
    return [
        run.version,
        moment(run.started),
        number(run.seconds),
        number(run.read),
        number(run.new),
        number(run.replaced),
        number(run.rows),
        run.outcome,
        run.job or "by hand",
    ]
