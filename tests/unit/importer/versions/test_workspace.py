"""The versions of an asset in the workspace."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from azure.ai.ml.entities import Data

from importer.job.curate.run import CleanAsset
from importer.versions.workspace import Workspace

TICKS = ["20261124T060000Z", "20261123T060000Z"]


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace whose assets have versions that the importer made, and two with numbers."""
    monkeypatch.setattr(Workspace, "__init__", lambda _: None)
    monkeypatch.setattr(
        Workspace,
        "_list_versions",
        lambda *_: [Data(name="a", version=v, path="p") for v in ("9", *reversed(TICKS), "10")],
    )
    return Workspace()


def test_versions_of_scheduled_times_come_before_numbers(workspace: Workspace) -> None:
    assert [found.version for found in workspace.versions("a")] == [*TICKS, "10", "9"]


def test_raw_version_with_a_number_is_not_newer_than_a_clean_one(workspace: Workspace) -> None:
    clean: Any = SimpleNamespace(_workspace=workspace, _spec=SimpleNamespace(name="a"))
    assert CleanAsset._newer_than(cast(CleanAsset, clean), TICKS[1]) == [TICKS[0]]
    assert CleanAsset.newest_source(cast(CleanAsset, clean)) == TICKS[0]
