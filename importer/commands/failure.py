"""Why a job of an import failed: from the run's note in the lake, or from the log of a local job."""

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.run_notes import RunNote, RunNotes
from importer.spec.import_spec import ImportSpec
from importer.versions.workspace import ImportJob, Workspace


def run_notes(spec: ImportSpec, workspace: Workspace) -> RunNotes:
    """Return the notes of an import's runs."""
    return RunNotes(AssetBlobs(workspace.datastore(spec.datastore), spec.name))


def failure_note(job: ImportJob, spec: ImportSpec, workspace: Workspace) -> RunNote | None:
    """Return the note that a failed job's run left, if it left one that can be read."""
    if job.version is None:
        return None
    try:
        note = run_notes(spec, workspace).failure(job.version)
    except ImporterError:  # the lake cannot be read: the log has the reason too
        return None
    is_of_job = note is not None and (job.started is None or note.finished >= job.started)
    return note if is_of_job else None


def log_place(url: str | None) -> str | None:
    """Return where a person finds a job's log: a file's path, or the address in the studio."""
    log = _log_file(url)
    return str(log) if log else url


def _log_file(url: str | None) -> Path | None:
    """Return the file that is a job's log, as in the local cloud; None if the log is in the studio."""
    parts = urlsplit(url or "")
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def last_line_of_log(url: str | None) -> str | None:
    """Return the last line of a job's log, if the log is a file with text."""
    log = _log_file(url)
    if log is None or not log.is_file():
        return None
    lines = log.read_text(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), None)
    return last.removeprefix("error: ") if last else None
