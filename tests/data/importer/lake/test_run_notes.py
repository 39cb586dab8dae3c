"""Notes of runs in Blob Storage: which are kept, and when a run leaves none."""

from datetime import UTC, datetime

import pytest

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.run_notes import Outcome, RunNote, RunNotes
from importer.versions.workspace import Workspace
from localcloud.home import Home
from tests.data_cloud import blob_names, run, spec

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def notes(name: str) -> RunNotes:
    return RunNotes(AssetBlobs(Workspace().datastore("rawdata"), name))


def note(version: str, outcome: Outcome = "failed", error: str | None = None) -> RunNote:
    return RunNote(version=version, outcome=outcome, started=NOW, finished=NOW, error=error)


@pytest.mark.usefixtures("home")
def test_second_failure_of_a_time_replaces_the_first() -> None:
    found = notes("replaced")
    for error in ("first", "second"):
        found.write(note("1", error=error))
    assert found.failure("1") == note("1", error="second")
    assert found.failure("2") is None
    assert found.newest(10) == [note("1", error="second")]


@pytest.mark.usefixtures("home")
def test_oldest_notes_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.lake.run_notes._KEPT", 2)
    found = notes("pruned")
    for version in ("1", "3", "2"):
        found.write(note(version))
    assert [kept.version for kept in found.newest(10)] == ["3", "2"]
    assert [kept.version for kept in found.newest(1)] == ["3"]


@pytest.mark.usefixtures("home")
def test_unchanged_times_between_two_versions_are_counted() -> None:
    found = notes("counted")
    for version in ("1", "2", "3", "4"):
        found.write(note(version, "unchanged"))
    found.write(note("3"))
    assert found.unchanged_between("1", "4") == 2


def test_run_that_fails_because_of_the_lake_leaves_no_note(home: Home) -> None:
    with pytest.raises(ImporterError):
        run(spec("unreached", datastore="down"))
    assert blob_names(home, "_runs/unreached") == []


def test_unexpected_error_is_noted_by_its_type_only(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("password hunter2 is wrong")

    monkeypatch.setattr("importer.job.run.import_rows", fail)
    with pytest.raises(ValueError, match="hunter2"):
        run(spec("unexpected"))
    (noted,) = notes("unexpected").newest(10)
    assert noted.error == "ValueError"
    assert len(blob_names(home, "_runs/unexpected")) == 1
