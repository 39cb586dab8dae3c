"""Which versions go, by what the workspace and the lake have of them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from importer.errors import ImporterError
from importer.lake.blob import AssetBlobs, VersionBlobs
from importer.lake.manifest import MANIFEST_NAME, UP, Manifest, Part
from importer.progress import Progress
from importer.spec.import_spec import ImportSpec
from importer.spec.schedule import version_of
from importer.versions.retention import fates, retire_versions
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

    def versions(self, *_: str) -> Any:
        if _:  # the workspace is asked for an asset's
            there = [d for d in self.lists if d not in self.archived | self.uncommitted]
            return [AssetVersion(DAYS[day], {}, None) for day in sorted(there, reverse=True)]
        return {
            DAYS[day]: VersionBlobs({"a": NOW}, day not in self.uncommitted, False)
            for day in sorted(self.lists)
        }

    def all_versions(self, _: str) -> set[str]:
        return {DAYS[day] for day in self.lists if day not in self.uncommitted}

    def committed(self, _: str) -> str:
        return "a"

    def attempt_path(self, version: str, attempt: str) -> str:
        return f"{version}/{attempt}/"

    def sizes(self, folder: str) -> dict[str, int]:
        return {} if DAYS.index(folder.split("/")[0]) in self.without_manifest else {MANIFEST_NAME: 1}

    def manifest(self, version: str, _: str) -> Manifest:
        if (day := DAYS.index(version)) in self.without_manifest:
            raise ImporterError("no manifest")
        parts = [Part(f"{UP}version={DAYS[d]}/attempt=a/part", 1, 1) for d in self.lists[day]]
        return Manifest.model_construct(files=parts, rows=day)

    def committed_manifest(self, version: str) -> Manifest:
        return self.manifest(version, self.committed(version))

    def version_bytes(self, _: str) -> int:
        return 1

    def mark_retired(self, version: str) -> None:
        self.done.append(f"mark {DAYS.index(version)}")

    def archive(self, _: str, version: str) -> None:
        self.done.append(f"archive {DAYS.index(version)}")

    def delete_version(self, version: str) -> None:
        self.done.append(f"delete {DAYS.index(version)}")

    def say(self, *_: str, **__: object) -> None:
        pass

    @property
    def ends(self) -> tuple[Workspace, AssetBlobs]:
        return cast(Workspace, self), cast(AssetBlobs, self)


def spec(keep_versions: int, keep_days: int | None = None) -> ImportSpec:
    return ImportSpec(
        name="houses", connection="s", query="SELECT 1 AS A", keep_versions=keep_versions, keep_days=keep_days
    )


def fate(lake: Lake, keep_versions: int, keep_days: int | None = None) -> tuple[list[int], dict[int, int]]:
    """Return which days go, and which stay for whom."""
    found = fates(spec(keep_versions, keep_days), *lake.ends)
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
        # the newest stays, however old
        (Lake({0: [], 1: []}), (1, 1), [0], {}),
        # what is listed stays, with what it lists itself
        (Lake({5: [], 6: [5], 7: [6], 8: [], 9: [7]}), (1,), [8], {7: 9, 6: 7, 5: 6}),
        (Lake({5: [], 6: [5], 7: [5, 6], 8: [], 9: []}), (2,), [5, 6, 7], {}),
        # who is about to be committed holds what it lists; without a manifest it lists nothing yet
        (Lake({5: [], 6: [5], 9: []}, uncommitted={6}), (1,), [], {5: 6}),
        (Lake({5: [], 6: [5], 9: []}, uncommitted={6}, without_manifest={6}), (1,), [5], {}),
        # archived ones are gone but for their blobs, unless newer ones list them or older ones are there
        (Lake(ALONE, archived={5, 8}), (3,), [5], {}),
        (Lake({**ALONE, 9: [5]}, archived={5, 6}), (3,), [6], {5: 9}),
        (Lake(ALONE, archived={5}), (3, 9), [], {}),
        # one that an earlier run could not delete as a whole
        (Lake(ALONE, archived={5}, without_manifest={5}), (4,), [5], {}),
    ],
)
def test_what_goes_and_what_stays(
    lake: Lake, keep: tuple[int, ...], goes: list[int], held: dict[int, int]
) -> None:
    assert fate(lake, *keep) == (goes, held)


def test_a_manifest_of_what_stays_that_cannot_be_read_stops_it() -> None:
    with pytest.raises(ImporterError, match="no manifest"):
        fate(Lake(ALONE, without_manifest={9}), 1)


def test_all_is_marked_then_archived_then_deleted() -> None:
    lake = Lake({7: [], 8: [], 9: []}, archived={7})
    retire_versions(spec(1), *lake.ends, cast(Progress, lake))
    assert lake.done == ["mark 7", "mark 8", "archive 8", "delete 7", "delete 8"]


def test_nothing_goes_that_a_version_lists_which_came_after_the_marks() -> None:
    class Late(Lake):
        def mark_retired(self, version: str) -> None:
            super().mark_retired(version)
            self.lists[8] = [7]

    lake = Late({7: [], 9: []})
    retire_versions(spec(1), *lake.ends, cast(Progress, lake))
    assert lake.done == ["mark 7"]
