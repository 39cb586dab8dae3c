"""Schedules and connections of several stacks in one workspace: which stack may change and delete them."""

from typing import Any, NamedTuple

import pytest

from components.dynamic.import_schedule import ImportScheduleProvider
from components.dynamic.provider import ManagedProvider, ResourceError
from components.dynamic.snowflake_connection import SnowflakeConnectionProvider
from components.dynamic.workspace import WorkspaceRef
from tests.unit.components.dynamic.fake_workspace import ROOT, WORKSPACE, FakeWorkspace

OURS, OTHERS, RENAMED = "ai-platform/dev/thing", "ai-platform/other/thing", "ai-platform/test/thing"


class Kind(NamedTuple):
    """A kind of resource: its provider, what a program declares, and where the service keeps the mark."""

    provider: ManagedProvider[Any]
    path: str
    given: dict[str, Any]
    kept_in: str

    @property
    def id(self) -> str:
        return f"{ROOT}/{self.path}"

    def declared(self, mark: str | None = OURS, *, adopt: bool = False) -> dict[str, Any]:
        """Return the checked properties that a program declares."""
        given = {**self.given, "workspace": WORKSPACE, "adopt": adopt}
        result = self.provider.check({}, given | ({"managed_by_stack": mark} if mark else {}))
        assert result.failures == []
        return result.inputs

    def create(self, mark: str | None = OURS, *, adopt: bool = False) -> dict[str, Any]:
        outs = self.provider.create(self.declared(mark, adopt=adopt)).outs
        assert outs is not None
        return outs

    def marks(self, workspace: FakeWorkspace) -> dict[str, str]:
        """Return the live tags or metadata."""
        marks: dict[str, str] = workspace.documents[self.path]["properties"][self.kept_in]
        return marks


SCHEDULE = Kind(
    ImportScheduleProvider(),
    "schedules/import_houses",
    {
        "spec": {"name": "houses", "connection": "snowflake", "query": "SELECT 1"},
        "cron": "0 6 * * *",
        "time_zone": "UTC",
        "image": "importer:1",
        "run_on_create": False,
        "scheduled_since": "2026-11-24T05:00:00Z",
    },
    "tags",
)
CONNECTION = Kind(
    SnowflakeConnectionProvider(),
    "connections/snowflake",
    {
        "connection_name": "snowflake",
        "account": "globo",
        "host": "globo.snowflakecomputing.com",
        "warehouse": "IMPORT_WH",
        "role": "IMPORTER",
        "sign_in": "workload_identity",
        "queries": {"houses": "SELECT 1"},
    },
    "metadata",
)


@pytest.fixture
def workspace(monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    fake = FakeWorkspace()
    monkeypatch.setattr(WorkspaceRef, "client", lambda _: fake.client())
    return fake


@pytest.fixture(params=[SCHEDULE, CONNECTION], ids=["schedule", "connection"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def test_created_resource_has_the_mark(workspace: FakeWorkspace, kind: Kind) -> None:
    outs = kind.create()
    assert kind.marks(workspace)["managed_by_stack"] == OURS
    assert kind.provider.read(kind.id, outs).outs == outs


def test_retried_create_adopts_the_resource_with_its_mark(workspace: FakeWorkspace, kind: Kind) -> None:
    first = kind.create()
    assert kind.create() == first
    assert kind.marks(workspace)["managed_by_stack"] == OURS


@pytest.mark.parametrize(
    ("mark", "said"),
    [(OTHERS, f"belongs to {OTHERS}"), (None, "has no mark of a stack (managed_by_stack)")],
    ids=["another stack's", "unmarked"],
)
def test_create_of_an_existing_resource_that_is_not_ours_is_one_line(
    workspace: FakeWorkspace, kind: Kind, mark: str | None, said: str
) -> None:
    kind.create(mark)
    before = dict(kind.marks(workspace))
    with pytest.raises(ResourceError) as caught:
        kind.create()
    assert str(caught.value) == (
        f"{kind.path} in workspace mlw: it exists already and {said}: choose another name, delete it, or "
        "take it over with `adopt` (docs/alone.md)"
    )
    assert kind.marks(workspace) == before


@pytest.mark.parametrize("mark", [OTHERS, None], ids=["another stack's", "unmarked"])
def test_create_with_adopt_takes_over_the_resource(
    workspace: FakeWorkspace, kind: Kind, mark: str | None
) -> None:
    kind.create(mark)
    outs = kind.create(adopt=True)
    assert kind.marks(workspace)["managed_by_stack"] == OURS
    assert kind.provider.read(kind.id, outs).outs == outs
    # the setting can go afterwards
    assert kind.provider.diff(kind.id, outs, kind.declared()).changes is False


def test_delete_of_our_resource_deletes_it(
    workspace: FakeWorkspace, kind: Kind, capsys: pytest.CaptureFixture[str]
) -> None:
    kind.provider.delete(kind.id, kind.create())
    assert kind.path not in workspace.documents
    assert capsys.readouterr().err == ""


def test_delete_of_a_resource_that_another_stack_took_over_leaves_it(
    workspace: FakeWorkspace, kind: Kind, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = kind.create()
    kind.create(OTHERS, adopt=True)
    kind.provider.delete(kind.id, outs)
    assert kind.path in workspace.documents
    said = f"{kind.path} in workspace mlw is not deleted: it belongs to {OTHERS}\n"
    assert capsys.readouterr().err == said


def test_delete_of_a_resource_that_has_lost_its_mark_leaves_it(
    workspace: FakeWorkspace, kind: Kind, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = kind.create()
    del kind.marks(workspace)["managed_by_stack"]
    kind.provider.delete(kind.id, outs)
    assert kind.path in workspace.documents
    said = f"{kind.path} in workspace mlw is not deleted: it has lost its mark {OURS}\n"
    assert capsys.readouterr().err == said


def test_lost_mark_shows_after_a_refresh_and_an_update_restores_it(
    workspace: FakeWorkspace, kind: Kind
) -> None:
    outs = kind.create()
    del kind.marks(workspace)["managed_by_stack"]
    live = kind.provider.read(kind.id, outs).outs or {}
    assert kind.provider.changes(live, kind.declared()) == ["managed_by_stack"]
    kind.provider.update(kind.id, live, kind.declared())
    assert kind.marks(workspace)["managed_by_stack"] == OURS


@pytest.mark.parametrize("is_refreshed", [True, False])
def test_update_of_a_resource_that_another_stack_took_over_is_refused(
    workspace: FakeWorkspace, kind: Kind, is_refreshed: bool
) -> None:
    state = kind.create()
    kind.create(OTHERS, adopt=True)
    if is_refreshed:
        state = kind.provider.read(kind.id, state).outs or {}
        assert kind.provider.changes(state, kind.declared()) == ["managed_by_stack"]
    with pytest.raises(ResourceError, match=f"belongs to {OTHERS}"):
        kind.provider.update(kind.id, state, kind.declared())
    assert kind.marks(workspace)["managed_by_stack"] == OTHERS


def test_upgrade_marks_a_resource_from_before_the_marks_in_place(
    workspace: FakeWorkspace, kind: Kind
) -> None:
    state = kind.create(None)
    del state["adopt"]
    diff = kind.provider.diff(kind.id, state, kind.declared())
    assert (diff.changes, diff.replaces) == (True, [])
    updated = kind.provider.update(kind.id, state, kind.declared()).outs or {}
    assert kind.marks(workspace)["managed_by_stack"] == OURS
    assert kind.provider.diff(kind.id, updated, kind.declared()).changes is False


def test_delete_of_a_resource_from_before_the_marks_deletes_it(workspace: FakeWorkspace, kind: Kind) -> None:
    kind.provider.delete(kind.id, kind.create(None))
    assert kind.path not in workspace.documents


def test_renamed_stack_marks_its_resource_again_in_place(workspace: FakeWorkspace, kind: Kind) -> None:
    state = kind.create()
    diff = kind.provider.diff(kind.id, state, kind.declared(RENAMED))
    assert (diff.changes, diff.replaces) == (True, [])
    kind.provider.update(kind.id, state, kind.declared(RENAMED))
    assert kind.marks(workspace)["managed_by_stack"] == RENAMED


def test_delete_of_a_connection_that_a_schedule_uses_leaves_it(
    workspace: FakeWorkspace, capsys: pytest.CaptureFixture[str]
) -> None:
    state = CONNECTION.create(None)
    schedule = SCHEDULE.create(OTHERS)
    CONNECTION.provider.delete(CONNECTION.id, state)
    assert CONNECTION.path in workspace.documents
    said = "connections/snowflake in workspace mlw is not deleted: used by import_houses\n"
    assert capsys.readouterr().err == said

    SCHEDULE.provider.delete(SCHEDULE.id, schedule)
    CONNECTION.provider.delete(CONNECTION.id, state)
    assert CONNECTION.path not in workspace.documents
