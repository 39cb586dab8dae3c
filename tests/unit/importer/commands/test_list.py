"""`importer list`: the rows it prints, and when it fails."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from importer.commands.import_status import ImportStatus, import_statuses
from importer.commands.last_jobs import check_last_jobs
from importer.commands.list import print_statuses
from importer.errors import ImporterError
from importer.lake.datastore import Datastore
from importer.lake.run_notes import RunNote
from importer.spec.curate import Curate
from importer.spec.import_spec import ImportSpec
from importer.spec.run_alerts import LateRule
from importer.versions.workspace import AssetVersion, ImportJob, ScheduledImport, Workspace

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)
SPEC = ImportSpec(name="houses", connection="snowflake", query="SELECT 1").model_dump_json()
OTHER = ImportSpec(name="flats", connection="snowflake", query="SELECT 1").model_dump_json()


def scheduled(**changes: Any) -> ScheduledImport:
    sound = ScheduledImport("houses", "import_houses", "0 6 * * *", "UTC", True, SPEC)
    return sound._replace(**changes)


class FakeWorkspace(Workspace):
    """A workspace with schedules only."""

    def __init__(self, *schedules: ScheduledImport) -> None:
        self._schedules = schedules

    def imports(self) -> list[ScheduledImport]:
        return list(self._schedules)

    def versions(self, asset: str) -> list[AssetVersion]:  # noqa: ARG002
        return []

    def jobs(self, scheduled: ScheduledImport) -> list[ImportJob]:  # noqa: ARG002
        return []


def test_schedule_without_cron_trigger_has_no_next_time_and_no_problem() -> None:
    (status,) = import_statuses(FakeWorkspace(scheduled(cron=None)), NOW)
    assert (status.cron, status.next, status.problem) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"spec_json": None}, "schedule import_houses: its job has no IMPORT_SPEC"),
        ({"spec_json": "{"}, "schedule import_houses: IMPORT_SPEC: Invalid JSON"),
        (
            {"spec_json": '{"name": "houses"}'},
            "schedule import_houses: IMPORT_SPEC: query: Field required",
        ),
        (
            {"spec_json": OTHER},
            "schedule import_houses: IMPORT_SPEC describes import flats, not houses: run import flats",
        ),
        ({"cron": "0 6 * * 9"}, "schedule import_houses: not a cron expression"),
        ({"time_zone": "Mars"}, "schedule import_houses: not a time zone"),
    ],
)
def test_broken_schedule_is_a_row_with_its_problem(
    changes: dict[str, Any], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = scheduled(name="flats", spec_json=OTHER)

    statuses = import_statuses(FakeWorkspace(whole, scheduled(**changes)), NOW)
    print_statuses(statuses, as_json=False)

    sound, broken = statuses
    assert (sound.problem, sound.next) == (None, datetime(2026, 11, 24, 6, tzinfo=UTC))
    assert str(broken.problem).startswith(problem)
    assert problem in capsys.readouterr().out
    with pytest.raises(ImporterError, match=f"import houses: {problem}"):
        check_last_jobs([broken])


class CleanWorkspace(FakeWorkspace):
    """A workspace with one version of the asset clean_houses, and two newer ones of houses."""

    def versions(self, asset: str) -> list[AssetVersion]:
        tags = {"rows": "2923", "bytes": "198212", "quarantined": "7"}
        if asset == "clean_houses":
            return [AssetVersion("20261123T060000Z", tags, NOW)]
        return [AssetVersion(f"202611{day}T060000Z", {}, NOW) for day in (25, 24, 23)]


def test_clean_version_is_a_row_below_its_import_and_a_note_says_that_it_is_behind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = ImportSpec.model_validate_json(SPEC).model_copy(
        update={"curate": Curate.model_validate({"asset": "clean_houses"})}
    )
    statuses = import_statuses(CleanWorkspace(scheduled(spec_json=spec.model_dump_json())), NOW)
    print_statuses(statuses, as_json=False)
    print_statuses(statuses, as_json=True)

    table, _, listed = capsys.readouterr().out.partition("[\n")
    assert " ".join(table.splitlines()[2].split()) == (
        "clean_houses 20261123T060000Z 2,923 198,212 2026-11-23 07:00Z 7 rows quarantined"
    )
    assert table.splitlines()[3] == (
        "houses: clean_houses is 2 versions behind; `importer curate houses` makes the newest"
    )
    assert ('"quarantined": 7' in listed, '"behind": 2' in listed) == (True, True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "std log.txt"
    path.write_text('{"event": "started"}\nerror: no such table\n\n')
    return path


def status(**changes: Any) -> ImportStatus:
    known = {"name": "houses", "schedule": "import_houses", "cron": "0 6 * * *", "time_zone": "UTC"}
    return ImportStatus.model_validate({**known, "enabled": True, "version": "v", **changes})


@pytest.mark.parametrize("ending", ["Failed", "Canceled", "NotResponding"])
def test_failed_last_job_is_an_error_with_the_last_line_of_its_local_log(ending: str, log: Path) -> None:
    (broken,) = import_statuses(JobWorkspace(ImportJob("j", ending, log.as_uri(), NOW)), NOW)
    with pytest.raises(ImporterError) as failed:
        check_last_jobs([status(name="sound", job="i", job_status="Completed"), broken])
    assert str(failed.value) == f"import houses: job j is {ending}: no such table; log: {log}"


class JobWorkspace(FakeWorkspace):
    """A workspace with one job, and a lake that cannot be read."""

    def __init__(self, job: ImportJob) -> None:
        super().__init__(scheduled())
        self._job = job

    def jobs(self, scheduled: ScheduledImport) -> list[ImportJob]:  # noqa: ARG002
        return [self._job]

    def datastore(self, name: str) -> Datastore:
        raise ImporterError(f"datastore {name}: the role is missing")


def test_remote_or_missing_log_is_an_error_with_its_address_only(tmp_path: Path) -> None:
    gone = tmp_path / "gone.txt"
    urls = {"https://ml.azure.com/runs/j": "https://ml.azure.com/runs/j", gone.as_uri(): str(gone)}
    for url, shown in urls.items():
        job = ImportJob("j", "Failed", url, NOW, "20261123T060000Z")
        with pytest.raises(ImporterError) as failed:
            check_last_jobs(import_statuses(JobWorkspace(job), NOW))
        assert str(failed.value) == f"import houses: job j is Failed: see its log; log: {shown}"


def test_job_that_failed_before_since_is_a_note_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    failed = status(job="j", job_status="Failed", job_started=NOW, job_error="no table")
    check_last_jobs([failed], since=NOW + timedelta(seconds=1))
    check_last_jobs([status(version=None)], since=NOW)
    for since in (NOW, None):
        with pytest.raises(ImporterError, match="job j is Failed: no table"):
            check_last_jobs([failed], since=since)
    print_statuses([failed], as_json=False)
    assert "houses: job j is Failed: no table; log: None\n" in capsys.readouterr().out


RULE = LateRule(timedelta(hours=1), datetime(2026, 11, 20, tzinfo=UTC))
FAILED_LINE = 'houses: alert "Import houses failed" fires within 15 minutes of 2026-11-23 06:01Z'
LATE_LINE = 'houses: alert "Import houses is late" fires within 15 minutes of 2026-11-23 07:00Z'


class NotedWorkspace(JobWorkspace):
    """A workspace with one job; if it failed, its run has left a note."""

    def __init__(self, status: str, **changes: Any) -> None:
        super().__init__(ImportJob("j", status, None, NOW, "20261123T060000Z"))
        self._schedules = (scheduled(**{"late_rule": RULE, **changes}),)


@pytest.mark.parametrize(
    ("ending", "changes", "lines"),
    [
        ("Failed", {}, [FAILED_LINE, LATE_LINE]),
        ("Running", {}, [LATE_LINE]),
        ("Completed", {}, []),
        ("Failed", {"is_enabled": False}, []),
        ("Failed", {"late_rule": None}, []),
        ("Failed", {"cron": None}, [FAILED_LINE]),
    ],
)
def test_alerts_that_fire_are_notes(
    ending: str,
    changes: dict[str, Any],
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    finished = datetime(2026, 11, 23, 6, 1, tzinfo=UTC)
    note = RunNote(version="v", outcome="failed", started=finished, finished=finished, error="no table")
    monkeypatch.setattr("importer.commands.import_status.failure_note", lambda *_: note)
    print_statuses(import_statuses(NotedWorkspace(ending, **changes), NOW), as_json=False)
    shown = [line for line in capsys.readouterr().out.splitlines() if ": alert " in line]
    assert shown == lines


def test_failure_before_the_look_back_of_the_alerts_is_no_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    finished = NOW - timedelta(days=2, seconds=1)
    note = RunNote(version="v", outcome="failed", started=finished, finished=finished, error="no table")
    monkeypatch.setattr("importer.commands.import_status.failure_note", lambda *_: note)
    (found,) = import_statuses(NotedWorkspace("Failed", cron=None), NOW)
    assert found.alerts == []


OVERTAKEN = "20261124T060000Z"


@pytest.mark.parametrize(
    ("newest", "clean", "is_overtaken"),
    [
        ("20261123T060000Z", None, False),
        ("20261124T060000Z", None, True),
        ("20261125T060000Z", None, True),
        ("20261125T060000Z", "20261123T060000Z", False),
        ("20261125T060000Z", "20261124T060000Z", True),
        (None, None, False),
    ],
)
def test_failed_job_is_overtaken_by_a_version_as_new_unless_the_clean_one_is_behind(
    newest: str | None, clean: str | None, is_overtaken: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    class Overtaken(JobWorkspace):
        def versions(self, asset: str) -> list[AssetVersion]:
            found = clean if asset == "clean_houses" else newest
            return [AssetVersion(found, {}, NOW)] if found else []

    spec = ImportSpec.model_validate_json(SPEC)
    if clean is not None:
        spec = spec.model_copy(update={"curate": Curate.model_validate({"asset": "clean_houses"})})
    workspace = Overtaken(ImportJob("j", "Failed", None, NOW, OVERTAKEN))
    workspace._schedules = (scheduled(spec_json=spec.model_dump_json()),)
    statuses = import_statuses(workspace, NOW)

    print_statuses(statuses, as_json=False)
    assert statuses[0].job_overtaken is is_overtaken
    assert (f"(overtaken: version {newest} is registered)" in capsys.readouterr().out) is is_overtaken
    if is_overtaken:
        check_last_jobs(statuses)
    else:
        with pytest.raises(ImporterError, match="job j is Failed"):
            check_last_jobs(statuses)


def test_last_job_is_shown_with_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    print_statuses([status(job="j", job_status="Completed", job_started=NOW)], as_json=False)
    assert " ".join(capsys.readouterr().out.split()).endswith("Completed 2026-11-23 07:00Z")


def test_import_without_job_and_version_is_an_error_unless_disabled() -> None:
    with pytest.raises(ImporterError, match="import houses: it has neither a job nor a version"):
        check_last_jobs([status(version=None)])
    check_last_jobs([status(version=None, enabled=False)])
    check_last_jobs([status(version=None, job="j", job_status="Completed")])


def test_json_contains_the_problem(capsys: pytest.CaptureFixture[str]) -> None:
    print_statuses([status(problem="changed", cron=None)], as_json=True)
    (printed,) = json.loads(capsys.readouterr().out)
    assert (printed["problem"], printed["cron"]) == ("changed", None)
