"""Runs that crash, overlap, or find a version of another query: each time exactly one version."""

import json
import threading
from datetime import timedelta

import pytest

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.manifest import Manifest
from importer.lake.stored_versions import StoredVersions
from importer.versions.workspace import Workspace
from localcloud.home import Home
from tests.data_cloud import (
    ALL_SALES,
    V1,
    V2,
    V3,
    attempts,
    blob_names,
    command,
    container,
    crash,
    error_line,
    never,
    run,
    spec,
)


def test_version_of_another_query_stays_and_is_an_error(home: Home) -> None:
    run(spec("changed"))
    before = blob_names(home, "changed")
    other = spec("changed", f"{ALL_SALES} WHERE 1 = 0")

    line = error_line(command("run", "changed", "--version", "2026-11-23T06:00:00Z", spec=other))

    assert (
        f"asset changed:{V1} exists already and was made by another query: import as another --version"
        in line
    )
    assert blob_names(home, "changed") == before


def test_committed_attempt_of_another_query_is_registered_and_is_an_error(home: Home) -> None:
    crash(spec("left"), Workspace, "register", after=False)
    left = attempts(home, "left", V1)
    with pytest.raises(ImporterError, match="was made by another query"):
        run(spec("left", f"{ALL_SALES} WHERE 1 = 0"))
    assert attempts(home, "left", V1) == left
    (registered,) = Workspace().versions("left")
    assert registered.tags["rows"] == "2930"


@pytest.mark.usefixtures("home")
def test_run_overtaken_by_another_query_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = StoredVersions.commit

    def overtaken(self: StoredVersions, manifest: Manifest) -> None:
        monkeypatch.setattr(StoredVersions, "commit", commit)
        run(spec("lost", f"{ALL_SALES} WHERE 1 = 0"))
        commit(self, manifest)

    monkeypatch.setattr(StoredVersions, "commit", overtaken)
    with pytest.raises(ImporterError, match="was made by another query"):
        run(spec("lost"))


def test_two_concurrent_runs_make_one_version(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # both have written all they write before either commits
    both = threading.Barrier(2, timeout=60)
    commit = StoredVersions.commit
    monkeypatch.setattr(
        StoredVersions, "commit", lambda self, manifest: (both.wait(), commit(self, manifest))[1]
    )
    threads = [threading.Thread(target=run, args=(spec("race"),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (attempt,) = attempts(home, "race", V1)
    (registered,) = Workspace().versions("race")
    committed = json.loads(container(home).download_blob(f"race/{V1}/_committed.json").readall())
    assert attempt == committed["attempt"]
    assert registered.tags["rows"] == "2930"


def test_run_overtaken_by_another_one_succeeds(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = StoredVersions.commit

    def overtaken(self: StoredVersions, manifest: Manifest) -> None:
        monkeypatch.setattr(StoredVersions, "commit", commit)
        run(spec("overtaken"))
        assert manifest.attempt not in attempts(home, "overtaken", V1)
        commit(self, manifest)

    monkeypatch.setattr(StoredVersions, "commit", overtaken)
    run(spec("overtaken"))

    assert len(attempts(home, "overtaken", V1)) == 1
    assert [found.version for found in Workspace().versions("overtaken")] == [V1]


@pytest.mark.parametrize(
    ("owner", "step", "after"),
    [(AssetBlobs, "write", True), (StoredVersions, "commit", False), (Workspace, "register", True)],
    ids=["after-the-first-part", "before-the-commit", "after-the-registration"],
)
def test_rerun_after_a_crash_makes_one_version(home: Home, owner: type, step: str, after: bool) -> None:
    asset = f"crash_{owner.__name__}_{step}".lower()
    crash(spec(asset), owner, step, after=after)
    left = attempts(home, asset, V1)
    assert len(left) == 1

    run(spec(asset))

    assert [found.version for found in Workspace().versions(asset)] == [V1]
    assert len(attempts(home, asset, V1)) == 1
    assert (attempts(home, asset, V1) == left) is (step == "register")


def test_committed_attempt_is_registered_without_reading_rows_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash(spec("committed"), Workspace, "register", after=False)
    assert Workspace().versions("committed") == []
    left = attempts(home, "committed", V1)
    with monkeypatch.context() as patch:
        patch.setattr("importer.job.import_rows.connect", never)
        run(spec("committed"))
    assert attempts(home, "committed", V1) == left
    assert [found.version for found in Workspace().versions("committed")] == [V1]


@pytest.mark.usefixtures("home")
def test_next_version_registers_the_committed_one_before_it() -> None:
    crash(spec("next_tick"), Workspace, "register", after=False)

    run(spec("next_tick"), V2)

    newest, oldest = Workspace().versions("next_tick")
    assert (oldest.version, newest.version) == (V1, V2)
    assert newest.tags["previous_version"] == V1


def test_attempt_of_a_crashed_run_is_deleted_after_a_while_without_writes(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash(spec("dead"), StoredVersions, "commit", after=False)
    run(spec("dead"), V2)
    assert len(attempts(home, "dead", V1)) == 1  # it may still be running

    monkeypatch.setattr("importer.versions.retention.ABANDONED_AFTER", timedelta(0))
    run(spec("dead"), V3)

    assert attempts(home, "dead", V1) == set()
    assert len(attempts(home, "dead", V2)) == len(attempts(home, "dead", V3)) == 1


def test_attempt_with_a_missing_file_is_not_committed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = StoredVersions.commit

    def lose_first(self: StoredVersions, manifest: Manifest) -> None:
        container(home).delete_blob(
            self.blobs.attempt_folder(V1, manifest.attempt) + "data/part-00000.parquet"
        )
        commit(self, manifest)

    monkeypatch.setattr(StoredVersions, "commit", lose_first)
    with pytest.raises(
        ImporterError,
        match=r"part-00000\.parquet in .* was deleted or changed before the commit: import again",
    ):
        run(spec("swept"))
    assert Workspace().versions("swept") == []
