"""Retention end to end: which versions are deleted, and which are kept because newer ones list them."""

import json
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

import pytest

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.manifest import Manifest, part_path
from importer.lake.stored_versions import StoredVersions
from importer.progress import JsonLines
from importer.spec.import_spec import ImportSpec
from importer.spec.incremental import Incremental
from importer.versions.retention import retire_versions
from importer.versions.workspace import Workspace
from localcloud.home import Home
from tests import data_cloud
from tests.data_cloud import V1, V2, blob_names, command, container, crash, run

ONE_ROW = "SELECT 1 AS ID, 5 AS CHANGED"
GROWING = Incremental.model_validate({"column": "CHANGED", "registerUnchanged": True})


def version(day: int) -> str:
    return f"202611{day:02}T060000Z"


def spec(name: str, **fields: Any) -> ImportSpec:
    return data_cloud.spec(name, ONE_ROW, **fields)


def import_days(name: str, days: range, **fields: Any) -> None:
    for day in days:
        run(spec(name, **fields), version(day))


def registered(name: str) -> list[str]:
    return sorted(found.version for found in Workspace().versions(name))


def stored(home: Home, name: str) -> list[str]:
    """Return the versions that have Parquet files."""
    return sorted({n.split("/")[1] for n in blob_names(home, name) if n.endswith(".parquet")})


def stored_versions(name: str) -> StoredVersions:
    return StoredVersions(AssetBlobs(Workspace().datastore("rawdata"), name))


def days(*numbers: int) -> list[str]:
    return [version(number) for number in numbers]


def lines(*arguments: str, spec: ImportSpec) -> list[dict[str, Any]]:
    result = command(*arguments, spec=spec)
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_dry_run_lists_the_versions_that_the_command_then_deletes(home: Home) -> None:
    import_days("dry", range(1, 5))
    kept = spec("dry", keep_versions=2)
    sizes = container(home).list_blobs(name_starts_with=f"dry/{version(1)}/")
    frees = sum(blob.size for blob in sizes)

    would = lines("retire", "dry", "--dry-run", spec=kept)
    assert [(line["event"], line["version"], line["rows"]) for line in would] == [
        ("would retire", version(1), 1),
        ("would retire", version(2), 1),
    ]
    assert would[0]["bytes"] == frees
    assert registered("dry") == stored(home, "dry") == days(1, 2, 3, 4)

    did = lines("retire", "dry", spec=kept)
    assert [(line["event"], line["version"], line["bytes"]) for line in did] == [
        ("retired", line["version"], line["bytes"]) for line in would
    ]
    assert registered("dry") == stored(home, "dry") == days(3, 4)
    assert not [name for name in blob_names(home, "dry") if version(1) in name]
    nothing = [{"event": "nothing to retire", "asset": "dry", "versions": 2}]
    assert lines("retire", "dry", spec=kept) == nothing
    assert lines("retire", "dry", "--dry-run", spec=kept) == nothing


def test_recent_versions_are_kept_beyond_keep_versions(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls(2026, 11, 5, 6, tzinfo=tz)

    monkeypatch.setattr("importer.versions.retention.datetime", Clock)
    import_days("recent", range(1, 5), keep_versions=1, keep_days=3)
    assert registered("recent") == stored(home, "recent") == days(2, 3, 4)
    import_days("recent", range(5, 6), keep_versions=4, keep_days=1)
    assert registered("recent") == days(2, 3, 4, 5)


def test_version_listed_by_a_kept_one_is_kept(home: Home) -> None:
    growing = {"incremental": GROWING, "keep_versions": 1}
    import_days("held", range(1, 4), **growing)
    # 2 and 3 list parts of 1 only: 2 goes
    assert registered("held") == days(1, 3)
    assert lines("retire", "held", "--dry-run", spec=spec("held", **growing)) == [
        {
            "event": "stays",
            "asset": "held",
            "version": version(1),
            "rows": 1,
            "bytes": stored_versions("held").size(version(1)),
            "listed_by": version(3),
        }
    ]
    # a full version lists nothing
    import_days("held", range(4, 5), keep_versions=1)
    assert registered("held") == stored(home, "held") == days(4)


def test_versions_not_made_by_the_importer_are_kept_and_not_counted(home: Home) -> None:
    import_days("foreign", range(1, 3))
    made = stored_versions("foreign").committed_manifest(version(1))
    for name in ("0", "by-hand", "20270101T000000Z"):
        Workspace().register(made.model_copy(update={"version": name}), "rawdata", "elsewhere/")
    import_days("foreign", range(3, 4), keep_versions=2)
    assert registered("foreign") == sorted(["0", "by-hand", "20270101T000000Z", *days(2, 3)])
    assert stored(home, "foreign") == days(2, 3)


def test_failed_deletion_is_retried_by_the_next_run(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import_days("immutable", range(1, 4))

    def refuse(_: AssetBlobs, folder: str, **_options: Collection[str]) -> None:
        raise ImporterError(f"{folder}: BlobImmutableDueToPolicy")

    with monkeypatch.context() as patch:
        patch.setattr(AssetBlobs, "delete_folder", refuse)
        import_days("immutable", range(4, 5), keep_versions=2)
    assert "clean-up failed" in capsys.readouterr().out
    assert registered("immutable") == days(3, 4)
    assert stored(home, "immutable") == days(1, 2, 3, 4)

    import_days("immutable", range(5, 6), keep_versions=2)
    assert registered("immutable") == stored(home, "immutable") == days(4, 5)


def test_archived_version_is_kept_until_older_ones_are_deleted(home: Home) -> None:
    import_days("archived", range(1, 4))
    Workspace().archive("archived", version(2))
    import_days("archived", range(4, 5), keep_versions=3)
    assert stored(home, "archived") == days(1, 2, 3, 4)
    import_days("archived", range(5, 6), keep_versions=3)
    assert registered("archived") == stored(home, "archived") == days(3, 4, 5)


def test_unreadable_manifest_keeps_all_versions(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    import_days("broken", range(1, 3), incremental=GROWING)
    (name,) = [n for n in blob_names(home, "broken") if version(2) in n and n.endswith("_manifest.json")]
    container(home).upload_blob(name, b"{}", overwrite=True)
    import_days("broken", range(3, 4), keep_versions=2)
    said = capsys.readouterr().out
    assert "clean-up failed" in said
    assert "is not a valid manifest: Field required" in said
    assert registered("broken") == days(1, 2, 3)
    assert stored(home, "broken") == days(1, 3)


@pytest.mark.parametrize("step", ["mark_retired", "delete"])
def test_next_run_completes_the_retention_of_a_crashed_run(home: Home, step: str) -> None:
    asset = f"died_{step}"
    import_days(asset, range(1, 4))
    crash(spec(asset, keep_versions=1), StoredVersions, step, after=step == "mark_retired")
    assert V1 in registered(asset)
    run(spec(asset, keep_versions=1), V2)
    assert registered(asset) == stored(home, asset) == [V2]
    assert not [name for name in blob_names(home, asset) if V2 not in name]


def growing_run(name: str, day: int) -> None:
    """Run the import of a version that lists parts of the one before."""
    run(spec(name, incremental=GROWING), version(day))


def test_version_listed_by_an_attempt_in_progress_is_kept(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing_run("about", 1)
    commit = StoredVersions.commit

    def overtaken(self: StoredVersions, manifest: Manifest) -> None:
        monkeypatch.setattr(StoredVersions, "commit", commit)
        run(spec("about", keep_versions=1), version(4))  # a full one, after which only it would stay
        assert stored(home, "about") == days(1, 4)
        commit(self, manifest)

    monkeypatch.setattr(StoredVersions, "commit", overtaken)
    growing_run("about", 3)
    assert registered("about") == days(1, 3, 4)
    assert is_whole(home, "about", 3)
    run(spec("about", keep_versions=1), version(5))
    assert registered("about") == stored(home, "about") == days(5)


@pytest.mark.parametrize("is_marked_first", [True, False])
def test_run_and_retention_of_a_version_it_lists_do_not_both_succeed(
    home: Home, monkeypatch: pytest.MonkeyPatch, is_marked_first: bool
) -> None:
    name = f"at_once_{is_marked_first}".lower()
    growing_run(name, 1)
    run(spec(name), version(4))
    mark = StoredVersions.mark_retired

    def meanwhile(self: StoredVersions, retired: str) -> None:
        if is_marked_first:
            mark(self, retired)
            with pytest.raises(
                ImporterError, match=r"was deleted or changed before the commit: import again"
            ):
                growing_run(name, 3)
        else:
            growing_run(name, 3)
            mark(self, retired)

    monkeypatch.setattr(StoredVersions, "mark_retired", meanwhile)
    # the plan was made before the mark was there
    monkeypatch.setattr(StoredVersions, "lost_parts", first_whole(StoredVersions.lost_parts))
    retire_versions(spec(name, keep_versions=1), Workspace(), stored_versions(name), JsonLines())
    monkeypatch.undo()

    assert registered(name) == (days(4) if is_marked_first else days(1, 3, 4))
    growing_run(name, 3)
    assert is_whole(home, name, 3)


def first_whole(lost_parts: Callable[[StoredVersions, Manifest], list[str]]) -> Callable[..., list[str]]:
    """Return a `lost_parts` that finds nothing lost the first time."""
    calls: list[Manifest] = []

    def pretend(self: StoredVersions, manifest: Manifest) -> list[str]:
        calls.append(manifest)
        return lost_parts(self, manifest) if len(calls) > 1 else []

    return pretend


def is_whole(home: Home, name: str, day: int) -> bool:
    """Return whether all parts that a version lists are there."""
    kept = stored_versions(name)
    made = kept.committed_manifest(version(day))
    folder = kept.blobs.attempt_folder(made.version, made.attempt)
    return {part_path(folder, part) for part in made.files} <= set(blob_names(home, name))
