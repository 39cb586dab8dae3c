"""Incremental imports end to end, in both modes: rows are added, changed and deleted in Snowflake."""

# ruff: noqa: S608 - the tables are the tests' own

import json
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector

from importer.errors import ImporterError
from importer.job.run import Import
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.contract_result import ContractBreachError
from importer.lake.manifest import Manifest
from importer.lake.run_notes import RunNotes
from importer.lake.stored_versions import StoredVersions
from importer.progress import JsonLines
from importer.spec.contract import Contract
from importer.spec.import_spec import ImportSpec
from importer.spec.incremental import Incremental
from importer.versions.workspace import Workspace
from localcloud.home import Home
from tests import data_cloud
from tests.data_cloud import V1, attempts, blob_names, container, crash, deployer

mltable = pytest.importorskip("mltable")  # no wheel for Apple silicon

SCHEMA = "GLOBOREALTY.REAL_ESTATE"
COLUMNS = "ID INT, CHANGED TIMESTAMP_NTZ, NOTE VARCHAR"

Row = tuple[Any, ...]


def version(day: int) -> str:
    return f"202611{day:02}T060000Z"


class Table:
    """A table of a test's own, its import, and the rows that each version has."""

    def __init__(self, home: Home, mode: str, name: str, columns: str = COLUMNS, **incremental: Any) -> None:
        self.home, self.mode, self.name = home, mode, f"{name}_{mode}"
        self.rules: dict[str, Any] = {"column": "CHANGED", **incremental}
        self.sql(f"CREATE OR REPLACE TABLE {self.table} ({columns})")

    @property
    def table(self) -> str:
        return f"{SCHEMA}.T_{self.name.upper()}"

    @property
    def retype(self) -> str:
        return f"CREATE OR REPLACE TABLE {self.table} AS SELECT ID, CHANGED, ID AS NOTE FROM {self.table}"

    def sql(self, statement: str) -> None:
        with closing(snowflake.connector.connect(**deployer())) as connection:
            connection.cursor().execute(statement)

    def add(self, *rows: str) -> None:
        """Insert rows, given as SQL."""
        self.sql(f"INSERT INTO {self.table} SELECT * FROM VALUES {', '.join(f'({row})' for row in rows)}")

    def spec(self, **fields: Any) -> ImportSpec:
        given = {"query": f"SELECT * FROM {self.table} -- all", "mode": self.mode, **fields}
        return data_cloud.spec(self.name, incremental=Incremental.model_validate(self.rules), **given)

    def run(self, day: int, *, full: bool = False, **fields: Any) -> Manifest:
        self.try_to_run(day, full=full, **fields)
        return self.manifest(day)

    def try_to_run(self, day: int, *, full: bool = False, **fields: Any) -> None:
        """Run the import, which may find nothing new and then makes no version."""
        Import(self.spec(**fields), Workspace(), JsonLines(), full=full).run(version(day))

    @property
    def registered(self) -> list[str]:
        """The registered versions, oldest first."""
        return sorted(found.version for found in Workspace().versions(self.name))

    @property
    def notes(self) -> RunNotes:
        return RunNotes(AssetBlobs(Workspace().datastore("rawdata"), self.name))

    def manifest(self, day: int) -> Manifest:
        stored = StoredVersions(AssetBlobs(Workspace().datastore("rawdata"), self.name))
        return stored.committed_manifest(version(day))

    def rows(self, day: int, tmp_path: Path, *, loads: bool = False) -> list[Row]:
        """Return the rows of a version in order, as a reader of the downloaded asset gets them."""
        found = self.manifest(day)
        folder = tmp_path / str(day)
        for name in container(self.home).list_blob_names(name_starts_with=f"{self.name}/"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(container(self.home).download_blob(name).readall())
        attempt = folder / self.name / version(day) / found.attempt
        tables = [pq.read_table(attempt / part.name) for part in found.files]
        listed = [line[10:] for line in (attempt / "MLTable").read_text().splitlines() if "file: " in line]
        assert [name.removeprefix("./") for name in listed] == [part.name for part in found.files]
        assert [table.num_rows for table in tables] == [part.rows for part in found.files]
        whole = pa.concat_tables(tables)
        assert found.rows == whole.num_rows
        assert found.bytes == sum((attempt / part.name).stat().st_size for part in found.files)
        if loads:
            loaded = mltable.load(str(attempt)).to_pandas_dataframe()
            assert loaded.to_dict("list") == whole.to_pandas().to_dict("list")
        return sorted((tuple(row.values()) for row in whole.to_pylist()), key=str)


def at(hour: int, microseconds: int = 0) -> datetime:
    return datetime(2026, 11, 1) + timedelta(hours=hour, microseconds=microseconds)


def row(id_: int | None, hour: int | None, note: str = "") -> str:
    moment = "NULL" if hour is None else f"'{at(hour)}'::TIMESTAMP_NTZ"
    return f"{'NULL' if id_ is None else id_}, {moment}, '{note}'"


@pytest.fixture(params=["stream", "unload"])
def table(home: Home, request: pytest.FixtureRequest) -> Callable[..., Table]:
    """Makes a table, whose import has one of the modes."""
    return lambda name, **given: Table(home, request.param, name, **given)


def test_version_lists_new_rows_beside_the_parts_of_the_previous_one(
    table: Callable[..., Table], tmp_path: Path
) -> None:
    t = table("adds")
    t.add(row(1, 1), row(2, 2))
    first = t.run(1)
    t.add(row(3, 3, "new"))
    second = t.run(2)

    assert t.rows(2, tmp_path, loads=True) == [(1, at(1), ""), (2, at(2), ""), (3, at(3), "new")]
    assert second.step is not None
    assert first.step is not None
    assert (first.step.full, first.step.base) == (True, None)
    assert str(first.step.watermark).startswith(f"{at(2)}.000000")
    assert (second.step.full, second.step.base, second.step.added_rows) == (False, version(1), 1)
    way = f"../../{version(1)}/{first.attempt}/"
    assert [part.name.startswith(way) for part in second.files] == [True, False]
    assert t.rows(1, tmp_path) == [(1, at(1), ""), (2, at(2), "")]
    tags = Workspace().versions(t.name)[0].tags
    assert (tags["step"], tags["watermark"], tags["rows"]) == ("incremental", second.step.watermark, "3")


def test_run_without_new_rows_registers_no_version_and_leaves_a_note(
    table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    t = table("unchanged", key=["ID"])
    t.add(row(1, 1), row(2, 2))
    t.run(1)
    capsys.readouterr()
    for _ in range(2):  # a retry does the same
        t.try_to_run(2)
        said = read_events(capsys.readouterr().out)
        assert said[-2:] == [
            {"event": "compared", "read_rows": 1, "new_rows": 0, "replaced_rows": 0},
            {"event": "unchanged", "asset": t.name, "newest": version(1), "read_rows": 1},
        ]
    assert t.registered == [version(1)]
    assert [name for name in blob_names(t.home, t.name) if version(2) in name] == []
    (note,) = t.notes.newest(10)
    assert (note.version, note.outcome, note.read_rows) == (version(2), "unchanged", 1)

    t.add(row(3, 3))  # a retry of the same time registers rows that came meanwhile
    assert t.run(2).rows == 3
    assert t.registered == [version(1), version(2)]


def test_unchanged_runs_count_for_full_every(
    table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    t = table("every_fifth", fullEvery=5)
    t.add(row(1, 1))
    t.run(1)
    for day in (2, 3):
        t.try_to_run(day)
    t.add(row(2, 2))
    step = t.run(4).step
    t.try_to_run(5)
    t.sql(f"DELETE FROM {t.table} WHERE ID = 1")
    capsys.readouterr()
    assert t.run(6).rows == 1
    assert step is not None
    assert step.steps == 3
    assert {"event": "reads all rows", "reason": "incremental.fullEvery"} in read_events(
        capsys.readouterr().out
    )


def test_broken_contract_fails_a_run_without_new_rows(table: Callable[..., Table]) -> None:
    t = table("stale")
    t.add("1, '2026-11-01'::TIMESTAMP_NTZ, ''")
    t.run(1)
    rules = Contract.model_validate({"rows": {"min": 2}})
    with pytest.raises(ContractBreachError):
        t.try_to_run(2, contract=rules)
    (note,) = t.notes.newest(10)
    assert (note.version, note.outcome) == (version(2), "failed")
    assert str(note.error).startswith(f"contract of {t.name}: rows.min: 1 row")


def test_version_without_new_rows_lists_the_same_parts_if_it_is_wanted(
    table: Callable[..., Table], tmp_path: Path
) -> None:
    t = table("nothing_new", registerUnchanged=True)
    t.add(row(1, 1))
    first = t.run(1)
    second = t.run(2)
    third = t.run(3)

    assert second.files == [first.files[0]._replace(name=second.files[0].name)]
    assert third.files == second.files
    assert third.step is not None
    assert (third.step.base, third.step.steps, third.step.added_rows) == (version(2), 2, 0)
    assert not [n for n in blob_names(t.home, t.name) if version(3) in n and n.endswith(".parquet")]
    assert t.rows(3, tmp_path) == [(1, at(1), "")]


def test_empty_table_is_read_in_full_until_it_has_a_watermark(
    table: Callable[..., Table], tmp_path: Path
) -> None:
    t = table("empty")
    assert t.run(1).rows == 0
    assert t.rows(1, tmp_path) == []
    t.add(row(1, None))
    second = t.run(2)
    assert second.step is not None
    assert (second.step.full, second.step.watermark, second.step.null_watermarks) == (True, None, 1)
    t.add(row(2, 1))
    assert t.run(3).rows == 2
    assert t.rows(3, tmp_path) == [(1, None, ""), (2, at(1), "")]


def test_without_a_key_late_tied_and_null_rows_come_with_the_next_full_version(
    table: Callable[..., Table], tmp_path: Path
) -> None:
    t = table("unseen")
    t.add(row(1, 5), row(2, None))
    t.run(1)
    t.add(row(3, 5, "tie"), row(4, 4, "late"), row(5, None), row(6, 6))
    t.sql(f"DELETE FROM {t.table} WHERE ID = 1")

    t.run(2)
    assert [r[0] for r in t.rows(2, tmp_path)] == [1, 2, 6]
    found = t.run(3, full=True)
    assert [r[0] for r in t.rows(3, tmp_path)] == [2, 3, 4, 5, 6]
    assert found.step is not None
    assert (found.step.full, found.step.null_watermarks) == (True, 2)
    assert found.step.base is None


def test_with_a_key_the_newest_row_of_each_is_kept(table: Callable[..., Table], tmp_path: Path) -> None:
    t = table("keyed", key=["ID"], registerUnchanged=True)
    t.add(row(1, 1, "old"), row(1, 2, "newer"), row(1, None, "least"), row(2, 3), row(3, 3))
    first = t.run(1)
    assert first.rows == 3
    assert t.rows(1, tmp_path) == [(1, at(2), "newer"), (2, at(3), ""), (3, at(3), "")]

    t.sql(f"UPDATE {t.table} SET NOTE = 'updated', CHANGED = '{at(4)}'::TIMESTAMP_NTZ WHERE ID = 2")
    t.add(row(4, 3, "tie"), row(5, 4, "twice"), row(5, 5, "twice, newer"))
    second = t.run(2)
    assert t.rows(2, tmp_path) == [
        (1, at(2), "newer"),
        (2, at(4), "updated"),
        (3, at(3), ""),
        (4, at(3), "tie"),
        (5, at(5), "twice, newer"),
    ]
    # the earlier version is as it was
    assert t.manifest(1) == first
    assert t.rows(1, tmp_path) == [(1, at(2), "newer"), (2, at(3), ""), (3, at(3), "")]
    third = t.run(3)  # the tie is read again, and is not new
    assert third.step is not None
    assert (third.rows, third.step.added_rows) == (5, 0)
    assert t.rows(3, tmp_path) == t.rows(2, tmp_path)
    assert second.step is not None
    assert second.step.added_rows == 3
    assert second.step.counts() == {"read_rows": 5, "new_rows": 2, "replaced_rows": 1}
    tags = {found.version: found.tags for found in Workspace().versions(t.name)}
    assert (tags[version(2)]["new_rows"], tags[version(2)]["replaced_rows"]) == ("2", "1")
    assert (tags[version(1)]["read_rows"], "new_rows" in tags[version(1)]) == ("5", False)


def test_overlap_finds_late_rows(table: Callable[..., Table], tmp_path: Path) -> None:
    t = table("late", key=["ID"], overlap="3h")
    t.add(row(1, 10))
    t.run(1)
    t.add(row(2, 7, "late"), row(3, 6, "too late"), row(1, 9, "older than what is there"))
    t.run(2)
    assert t.rows(2, tmp_path) == [(1, at(10), ""), (2, at(7), "late")]


def test_rows_with_a_null_in_the_key_are_all_kept(table: Callable[..., Table], tmp_path: Path) -> None:
    t = table("null_key", key=["ID", "NOTE"], overlap="5h", registerUnchanged=True)
    t.add(row(None, 1), row(None, 1), row(1, 1))
    t.run(1)
    t.add(row(None, 1), row(None, 2))
    t.run(2)
    t.run(3)
    assert t.rows(3, tmp_path) == [(1, at(1), ""), *[(None, at(1), "")] * 2, (None, at(2), "")]


def test_part_with_a_superseded_row_is_rewritten(
    table: Callable[..., Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.job.incremental.write._BATCH_ROWS", 3)
    t = table("rewritten", key=["ID"])
    t.add(*(row(n, n) for n in range(10)))
    t.run(1)
    t.add(*(row(n, n) for n in range(10, 20)))
    second = t.run(2)
    t.sql(f"UPDATE {t.table} SET CHANGED = '{at(50)}'::TIMESTAMP_NTZ WHERE ID IN (0, 3, 7)")
    t.add(row(100, 49))
    third = t.run(3)
    assert [r[0] for r in t.rows(3, tmp_path)] == [0, 1, 10, 100, *range(11, 20), 2, *range(3, 10)]
    assert [part.rows for part in third.files] == [7, 10, 4]
    assert third.files[1] == second.files[1]._replace(name=third.files[1].name)
    assert [r[1] for r in t.rows(3, tmp_path) if r[0] in (0, 3, 7)] == [at(50)] * 3

    t.sql(f"UPDATE {t.table} SET CHANGED = '{at(60)}'::TIMESTAMP_NTZ WHERE ID < 20")
    fourth = t.run(4)
    assert [(part.rows, part.name.startswith("../")) for part in fourth.files] == [(1, False), (20, False)]
    assert len(t.rows(4, tmp_path, loads=True)) == 21


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("DATE", ["'1950-01-31'::DATE", "'1969-12-31'::DATE", "'2999-12-31'::DATE"]),
        ("TIMESTAMP_NTZ", [f"'{t}'::TIMESTAMP_NTZ" for t in ("1950-01-01 00:00:00.000001", at(1), at(1, 1))]),
        ("TIMESTAMP_TZ", [f"'{t} +00:00'::TIMESTAMP_TZ" for t in (at(1), at(1, 1), at(1, 2))]),
        ("TIMESTAMP_LTZ", [f"'{t} +00:00'::TIMESTAMP_LTZ" for t in (at(1), at(1, 1), at(1, 2))]),
        ("NUMBER(12,2)", ["-0.02", "-0.01", "1234567890.12"]),
        ("NUMBER(38,10)", [f"1234567890123456789012345678.123456789{n}" for n in (0, 1, 2)]),
        ("INT", ["-5", "9007199254740993", "9007199254740994"]),
    ],
)
def test_watermark_of_every_type_is_exact(
    table: Callable[..., Table], tmp_path: Path, kind: str, values: list[str]
) -> None:
    name = "".join(c for c in kind.lower() if c.isalnum())
    t = table(f"exact_{name}", columns=f'ID INT, "w "".é" {kind}', column='w ".é', registerUnchanged=True)
    for day, value in enumerate(values, start=1):
        t.add(f"{day}, {value}")
        found = t.run(day)
        assert found.step is not None
        assert (found.step.full, found.step.added_rows, found.rows) == (day == 1, 1, day)
    again = t.run(len(values) + 1)
    assert again.step is not None
    assert (again.step.full, again.step.added_rows) == (False, 0)
    assert len(t.rows(len(values) + 1, tmp_path)) == len(values)


def test_number_watermark_accepts_a_number_as_overlap(table: Callable[..., Table], tmp_path: Path) -> None:
    t = table("overlap_number", columns="ID INT, CHANGED NUMBER(10,2), NOTE VARCHAR", key=["ID"], overlap=2)
    t.add("1, 10.50, ''")
    t.run(1)
    t.add("2, 8.50, ''", "3, 8.49, ''")
    t.run(2)
    assert [r[0] for r in t.rows(2, tmp_path)] == [1, 2]


def test_keys_of_every_type_are_compared_exactly(table: Callable[..., Table], tmp_path: Path) -> None:
    columns = (
        "CHANGED INT, A NUMBER(38,3), B VARCHAR, C DATE, D TIMESTAMP_TZ, E BOOLEAN, F FLOAT, G TIME, H BINARY"
    )
    key = "1.5, 'Zoë ☃', '1950-01-01'::DATE, '{}'::TIMESTAMP_TZ, TRUE, 0.1, '01:02:03'::TIME, TO_BINARY('AB')"
    t = table("keys", columns=columns, key=list("ABCDEFGH"))
    t.add(f"1, {key.format('2020-01-01 00:00:00.000001 +00:00')}")
    t.run(1)
    t.add(f"2, {key.format('2020-01-01 00:00:00.000001 +00:00')}")
    t.add(f"2, {key.format('2020-01-01 00:00:00.000002 +00:00')}")
    t.run(2)
    assert [r[0] for r in t.rows(2, tmp_path)] == [2, 2]


def read_events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_full_every_makes_every_nth_version_full(
    table: Callable[..., Table], capsys: pytest.CaptureFixture[str]
) -> None:
    t = table("every_third", fullEvery=3, registerUnchanged=True)
    t.add(row(1, 1))
    steps = [t.run(day).step for day in range(1, 6)]
    assert [step.full for step in steps if step] == [True, False, False, True, False]
    assert [step.steps for step in steps if step] == [0, 1, 2, 0, 1]
    reasons = [e["reason"] for e in read_events(capsys.readouterr().out) if "reason" in e]
    assert reasons == ["it is the first", "incremental.fullEvery"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t.run(2, query=f"SELECT * FROM {t.table} WHERE ID > 0"), "the query changed"),
        (lambda t: (t.rules.update(key=["ID"]), t.run(2)), "incremental.column or incremental.key changed"),
        (
            lambda t: (t.sql(f"ALTER TABLE {t.table} ADD COLUMN X INT"), t.run(2)),
            "the query's columns changed",
        ),
        (lambda t: (t.sql(t.retype), t.run(2)), "the types of the query's columns changed"),
        (lambda t: t.run(2, full=True), "--full"),
    ],
    ids=["query", "key", "columns", "types", "asked"],
)
def test_changed_query_key_or_columns_read_all_rows_in_the_same_run(
    table: Callable[..., Table],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    change: Callable[[Table], object],
    reason: str,
) -> None:
    t = table(f"changed_{request.node.callspec.id.split('-')[1]}", registerUnchanged=True)
    t.add(row(1, 2))
    t.run(1)
    t.add(row(2, 1, "late"), row(3, 3))
    capsys.readouterr()
    change(t)
    assert [e["reason"] for e in read_events(capsys.readouterr().out) if "reason" in e] == [reason]
    assert [r[0] for r in t.rows(2, tmp_path)] == [1, 2, 3]
    parts = [n for n in blob_names(t.home, t.name) if version(2) in n and n.endswith(".parquet")]
    assert len(parts) == len(t.manifest(2).files) == 1
    again: dict[str, Any] = (
        {"query": f"SELECT * FROM {t.table} WHERE ID > 0"} if reason == "the query changed" else {}
    )
    third = t.run(3, **again)
    assert third.step is not None
    assert third.step.base == version(2)


@pytest.mark.parametrize(
    ("columns", "rules", "message"),
    [
        (
            COLUMNS,
            {"column": "changed"},
            r"incremental.column: the query returns no column changed; did you mean CHANGED\?",
        ),
        (
            COLUMNS,
            {"key": ["NO"]},
            r"incremental.key: the query returns no column NO; did you mean NOTE\?",
        ),
        (
            "ID INT, CHANGED VARCHAR",
            {},
            "incremental.column: CHANGED is a VARCHAR: use a DATE, TIMESTAMP or",
        ),
        ("ID INT, CHANGED FLOAT", {}, "incremental.column: CHANGED is a FLOAT: use a DATE"),
    ],
    ids=["column", "key", "text", "float"],
)
def test_column_without_a_watermark_raises_an_error_before_a_write(
    home: Home, request: pytest.FixtureRequest, columns: str, rules: dict[str, Any], message: str
) -> None:
    t = Table(home, "stream", f"wrong_{request.node.callspec.id}", columns=columns, **rules)
    with pytest.raises(ImporterError, match=message):
        t.run(1)
    assert blob_names(home, t.name) == []


def test_overlap_of_another_type_raises_an_error(home: Home) -> None:
    t = Table(home, "stream", "misfit", key=["ID"])
    t.add(row(1, 1))
    t.run(1)
    t.rules["overlap"] = 5
    with pytest.raises(
        ImporterError, match=r"incremental\.overlap: must be a time span such as 6h, as CHANGED is a moment"
    ):
        t.run(2)


@pytest.mark.parametrize(
    ("owner", "step", "after"),
    [(AssetBlobs, "write", True), (StoredVersions, "commit", False), (Workspace, "register", False)],
    ids=["after-the-first-part", "before-the-commit", "before-the-registration"],
)
def test_rerun_after_a_crash_makes_one_version(
    home: Home, tmp_path: Path, owner: type, step: str, after: bool
) -> None:
    t = Table(home, "stream", f"crash_{step}", key=["ID"])
    t.add(row(1, 1), row(2, 1))
    t.run(1)
    t.add(row(2, 2, "newer"), row(3, 3))
    crash(t.spec(), owner, step, after=after)  # of V1, which is of day 23
    assert len(attempts(home, t.name, V1)) == 1

    t.run(23)
    assert t.rows(23, tmp_path) == [(1, at(1), ""), (2, at(2), "newer"), (3, at(3), "")]
    assert len(attempts(home, t.name, V1)) == 1
    assert sorted(found.version for found in Workspace().versions(t.name)) == [version(1), V1]


def test_older_version_adds_to_the_one_before_it_and_leaves_newer_ones_unchanged(
    home: Home, tmp_path: Path
) -> None:
    t = Table(home, "stream", "older")
    t.add(row(1, 1))
    t.run(1)
    t.add(row(2, 2))
    newer = t.run(3)
    t.add(row(3, 3))
    found = t.run(2)
    assert found.step is not None
    assert (found.step.base, found.rows) == (version(1), 3)
    assert t.manifest(3) == newer
    assert len(t.rows(3, tmp_path)) == 2


def test_deleted_parts_of_the_base_make_the_next_version_full(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    t = Table(home, "stream", "gone", registerUnchanged=True)
    t.add(row(1, 1))
    t.run(1)
    t.run(2)
    (part,) = [name for name in blob_names(home, t.name) if name.endswith(".parquet")]
    container(home).delete_blob(part)
    t.run(3)
    assert f"parts of version {version(2)} are gone" in capsys.readouterr().out
    assert t.rows(3, tmp_path) == [(1, at(1), "")]


def test_unreadable_manifest_of_the_base_makes_the_next_version_full(home: Home) -> None:
    t = Table(home, "stream", "unreadable")
    t.add(row(1, 1))
    t.run(1)
    (name,) = [name for name in blob_names(home, t.name) if name.endswith("_manifest.json")]
    container(home).upload_blob(name, b"{", overwrite=True)
    found = t.run(2)
    assert found.step is not None
    assert found.step.full


def test_part_deleted_before_the_commit_raises_an_error(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    t = Table(home, "stream", "lost", registerUnchanged=True)
    t.add(row(1, 1))
    t.run(1)
    commit = StoredVersions.commit

    def lose_first(self: StoredVersions, manifest: Manifest) -> None:
        (part,) = [name for name in blob_names(home, t.name) if name.endswith(".parquet")]
        container(home).delete_blob(part)
        commit(self, manifest)

    monkeypatch.setattr(StoredVersions, "commit", lose_first)
    with pytest.raises(
        ImporterError, match=rf"{version(1)}/.* in .* was deleted or changed before the commit: import again"
    ):
        t.run(2)
    assert [found.version for found in Workspace().versions(t.name)] == [version(1)]


def test_command_with_full_reads_all_rows(home: Home) -> None:
    t = Table(home, "stream", "asked_on_the_line")
    t.add(row(1, 1))
    t.run(1)
    result = data_cloud.command("run", t.name, "--full", "--version", "2026-11-02T06:00:00Z", spec=t.spec())
    assert result.returncode == 0, result.stderr
    assert {"event": "reads all rows", "reason": "--full"} in read_events(result.stdout)
