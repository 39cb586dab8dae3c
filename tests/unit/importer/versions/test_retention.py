"""Which versions retention deletes, given those in the workspace and in the lake."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from importer.errors import ImporterError
from importer.lake.manifest import UP, Manifest, Part
from importer.lake.stored_versions import StoredVersion, StoredVersions
from importer.progress import Progress
from importer.spec.import_spec import ImportSpec
from importer.spec.schedule import version_of
from importer.versions.retention import expired_versions, retire_versions
from importer.versions.workspace import AssetVersion, Workspace

NOW = datetime.now(UTC)
DAYS = [version_of(NOW - timedelta(days=9 - n)) for n in range(10)]


@dataclass
class Lake:
    """The versions of an asset with the days that each lists, in the lake and in the workspace."""

    lists: dict[int, list[int]]
    archived: set[int] = field(default_factory=set)
    uncommitted: set[int] = field(default_factory=set)
    without_manifest: set[int] = field(default_factory=set)
    done: list[str] = field(default_factory=list)
    asset: str = "houses"

    def versions(self, _: str) -> list[AssetVersion]:
        there = [d for d in self.lists if d not in self.archived | self.uncommitted]
        return [AssetVersion(DAYS[day], {}, None) for day in sorted(there, reverse=True)]

    def all(self) -> dict[str, StoredVersion]:
        return {
            DAYS[day]: StoredVersion({"a": NOW}, day not in self.uncommitted, False)
            for day in sorted(self.lists)
        }

    def all_versions(self, _: str) -> set[str]:
        return {DAYS[day] for day in self.lists if day not in self.uncommitted}

    def is_complete(self, version: str, _: str) -> bool:
        return DAYS.index(version) not in self.without_manifest

    def manifest(self, version: str, _: str) -> Manifest:
        if (day := DAYS.index(version)) in self.without_manifest:
            raise ImporterError("no manifest")
        parts = [Part(f"{UP}{DAYS[d]}/a/data/part", 1, 1) for d in self.lists[day]]
        return Manifest.model_construct(files=parts, rows=day)

    def committed_manifest(self, version: str) -> Manifest:
        return self.manifest(version, "a")

    def size(self, _: str) -> int:
        return 1

    def mark_retired(self, version: str) -> None:
        self.done.append(f"mark {DAYS.index(version)}")

    def archive(self, _: str, version: str) -> None:
        self.done.append(f"archive {DAYS.index(version)}")

    def delete(self, version: str) -> None:
        self.done.append(f"delete {DAYS.index(version)}")

    def say(self, *_: str, **__: object) -> None:
        pass

    @property
    def ends(self) -> tuple[Workspace, StoredVersions]:
        return cast(Workspace, self), cast(StoredVersions, self)


def spec(keep_versions: int, keep_days: int | None = None) -> ImportSpec:
    return ImportSpec(
        name="houses", connection="s", query="SELECT 1 AS A", keep_versions=keep_versions, keep_days=keep_days
    )


def fate(lake: Lake, keep_versions: int, keep_days: int | None = None) -> tuple[list[int], dict[int, int]]:
    """Return the days that are deleted, and those that are kept, each with the day that lists it."""
    found = expired_versions(spec(keep_versions, keep_days), *lake.ends)
    day = DAYS.index
    return (
        [day(f.version) for f in found if f.listed_by is None],
        {day(f.version): day(f.listed_by) for f in found if f.listed_by is not None},
    )


ALONE: dict[int, list[int]] = {day: [] for day in range(5, 10)}


@pytest.mark.parametrize(
    ("lake", "keep", "goes", "held"),
    [
        (Lake({}), (1,), [], {}),
        (Lake(ALONE), (1,), [5, 6, 7, 8], {}),
        (Lake(ALONE), (5,), [], {}),
        # within the last three days are 7, 8 and 9
        (Lake(ALONE), (1, 3), [5, 6], {}),
        (Lake(ALONE), (4, 3), [5], {}),
        # the newest is kept, however old
        (Lake({0: [], 1: []}), (1, 1), [0], {}),
        # a listed version is kept, with the versions that it lists itself
        (Lake({5: [], 6: [5], 7: [6], 8: [], 9: [7]}), (1,), [8], {7: 9, 6: 7, 5: 6}),
        (Lake({5: [], 6: [5], 7: [5, 6], 8: [], 9: []}), (2,), [5, 6, 7], {}),
        # an attempt that may be committed keeps what it lists; without a manifest it lists nothing yet
        (Lake({5: [], 6: [5], 9: []}, uncommitted={6}), (1,), [], {5: 6}),
        (Lake({5: [], 6: [5], 9: []}, uncommitted={6}, without_manifest={6}), (1,), [5], {}),
        # blobs of archived versions are deleted, unless newer versions list them or older ones are kept
        (Lake(ALONE, archived={5, 8}), (3,), [5], {}),
        (Lake({**ALONE, 9: [5]}, archived={5, 6}), (3,), [6], {5: 9}),
        (Lake(ALONE, archived={5}), (3, 9), [], {}),
        # an earlier run failed to delete all of its blobs
        (Lake(ALONE, archived={5}, without_manifest={5}), (4,), [5], {}),
    ],
)
def test_expired_versions_are_deleted_unless_a_kept_one_lists_them(
    lake: Lake, keep: tuple[int, ...], goes: list[int], held: dict[int, int]
) -> None:
    assert fate(lake, *keep) == (goes, held)


def test_version_with_a_number_is_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.DAYS", [*DAYS[:5], "9", *DAYS[6:]])
    assert fate(Lake(ALONE), 2) == ([5, 6, 7], {})


def test_unreadable_manifest_of_a_kept_version_raises_an_error() -> None:
    with pytest.raises(ImporterError, match="no manifest"):
        fate(Lake(ALONE, without_manifest={9}), 1)


def test_versions_are_marked_then_archived_then_deleted() -> None:
    lake = Lake({7: [], 8: [], 9: []}, archived={7})
    retire_versions(spec(1), *lake.ends, cast(Progress, lake))
    assert lake.done == ["mark 7", "mark 8", "archive 8", "delete 7", "delete 8"]


def test_version_listed_after_the_marks_were_set_is_kept() -> None:
    class Late(Lake):
        def mark_retired(self, version: str) -> None:
            super().mark_retired(version)
            self.lists[8] = [7]

    lake = Late({7: [], 9: []})
    retire_versions(spec(1), *lake.ends, cast(Progress, lake))
    assert lake.done == ["mark 7"]
