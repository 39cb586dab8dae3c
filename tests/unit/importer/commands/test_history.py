"""`importer history`: which job a version, and a note in the lake, belong to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from importer.commands.history import past_runs
from importer.lake.run_notes import Outcome, RunNote
from importer.versions.workspace import AssetVersion, ImportJob

TICK = "20261123T060000Z"
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
TAGS = {"rows": "5", "seconds": "7", "step": "incremental", "read_rows": "3", "new_rows": "2"}


def job(name: str, status: str, minute: int = 0) -> ImportJob:
    return ImportJob(name, status, None, NOW + timedelta(minutes=minute), TICK)


def version(**tags: str) -> AssetVersion:
    return AssetVersion(TICK, tags, NOW)


def note(outcome: Outcome, minute: int, error: str | None = None) -> RunNote:
    end = NOW + timedelta(minutes=minute)
    started = end - timedelta(seconds=30)
    return RunNote(version=TICK, outcome=outcome, started=started, finished=end, error=error)


def test_first_completed_job_has_the_counts_of_the_version() -> None:
    first, second = job("a", "Completed"), job("b", "Completed", 5)
    later, registered = past_runs([second, first], [version(**TAGS)], [])
    assert (registered.job, registered.outcome, registered.seconds, registered.rows) == (
        "a",
        "registered",
        7,
        5,
    )
    assert (registered.read, registered.new, registered.replaced) == (3, 2, None)
    assert (later.job, later.outcome, later.rows) == ("b", "registered already", None)


def test_full_import_reads_the_rows_that_it_registers() -> None:
    (found,) = past_runs([job("a", "Completed")], [version(rows="5")], [])
    assert (found.read, found.rows, found.seconds) == (5, 5, None)


def test_version_without_a_job_was_run_by_hand() -> None:
    (found,) = past_runs([], [version(**TAGS)], [])
    assert (found.job, found.outcome, found.started) == (None, "registered", NOW)


def test_job_that_failed_after_the_registration_is_failed_and_has_the_counts() -> None:
    (found,) = past_runs([job("a", "Failed")], [version(**TAGS)], [note("failed", 1, "curate: no column")])
    assert (found.outcome, found.error, found.rows) == ("failed", "curate: no column", 5)


def test_failure_note_is_that_of_the_last_failed_job_before_it() -> None:
    jobs = [job("c", "Failed", 10), job("b", "Failed", 2), job("a", "Failed")]
    found = past_runs(jobs, [], [note("failed", 3, "no table")])
    assert [(run.job, run.error) for run in found] == [("c", None), ("b", "no table"), ("a", None)]


def test_failure_note_without_a_failed_job_is_a_run_by_hand() -> None:
    found = past_runs([job("a", "Completed", 5)], [version(**TAGS)], [note("failed", 3, "no table")])
    assert [(run.job, run.outcome) for run in found] == [("a", "registered"), (None, "failed")]


def test_completed_job_that_found_nothing_new_is_unchanged() -> None:
    (found,) = past_runs([job("a", "Completed")], [], [note("unchanged", 1)])
    assert (found.job, found.outcome, found.seconds) == ("a", "unchanged", 30)


@pytest.mark.parametrize("status", ["Running", "Canceled", "Completed"])
def test_job_without_version_and_note_has_its_own_status(status: str) -> None:
    (found,) = past_runs([job("a", status)], [], [])
    assert found.outcome == status.lower()


def test_failed_local_job_without_a_note_has_the_last_line_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "std_log.txt"
    log.write_text("error: no workspace\n")
    (found,) = past_runs([job("a", "Failed")._replace(url=log.as_uri())], [], [])
    assert (found.error, found.log) == ("no workspace", str(log))


def test_job_in_azure_has_its_address_in_the_studio_unchanged() -> None:
    studio = "https://ml.azure.com/runs/a?wsid=/subscriptions/s/resourcegroups/g/workspaces/w&tid=t"
    (found,) = past_runs([job("a", "Failed")._replace(url=studio)], [], [])
    assert found.log == studio
