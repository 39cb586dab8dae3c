"""Rows held to a contract: as they stream by, in Snowflake, and by the footers of files."""

import re
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from snowflake.connector.constants import FIELD_NAME_TO_ID
from snowflake.connector.cursor import ResultMetadata

from importer.errors import ImporterError
from importer.job.contract.checks import Found, judge, plan_checks
from importer.job.contract.in_footers import FooterChecks
from importer.job.contract.in_snowflake import find_in_snowflake
from importer.job.contract.in_stream import StreamChecks
from importer.job.contract.keys import Keys
from importer.lake.contract_result import RuleResult
from importer.lake.parquet import Watcher, write_parts
from importer.spec.contract import Contract
from tests.unit.importer.job.contract.contracts import BIG, COLUMNS, NOW, columns, contract, one


def watched(rules: Contract, *groups: pa.Table) -> dict[str, RuleResult]:
    """Return the results, by their rules, of row groups that stream by."""
    known = set(groups[0].column_names)
    watch = StreamChecks(plan_checks("houses", rules, [c for c in COLUMNS if c.name in known]))
    see = watch.start()
    for group in groups:
        see(group)
    results = [judge(check, found, NOW) for check, found in zip(watch._checks, watch.finish(), strict=True)]
    watch.close()
    return {result.rule: result for result in results}


def breaches(rules: Contract, *groups: pa.Table) -> dict[str, str]:
    return {rule: result.measured for rule, result in watched(rules, *groups).items() if not result.passed}


def test_counts_and_examples_cover_all_row_groups() -> None:
    groups = [one("ID", [1, None, -5, 7], pa.int64()), one("ID", [-5, -6, None], pa.int64())]
    rules = columns(ID={"nullable": False, "min": 0, "max": 10, "allowed": [1, 7, -6], "unique": True})
    assert breaches(rules, *groups) == {
        "columns.ID.nullable": "2 NULLs",
        "columns.ID.min": "3 values below 0, such as -5, -6",
        "columns.ID.allowed": "2 values not allowed, such as -5",
        "columns.ID.unique": "1 row with a value that another row has, such as -5",
    }
    assert watched(rules, *groups)["columns.ID.max"].measured == "largest 7"


def test_examples_are_at_most_five_different_shortened_values() -> None:
    texts = [letter * 1000 for letter in "aaabcdefg"]
    result = breaches(columns(NAME={"max": "A"}), one("NAME", texts, pa.string()))["columns.NAME.max"]
    shown = ", ".join(f"'{letter * 60}…'" for letter in "abcde")
    assert result == f"9 values above 'A', such as {shown}"


@pytest.mark.parametrize(
    ("name", "values", "kind", "rules", "breached"),
    [
        ("ID", [0, 1], pa.int64(), {"min": 0.5}, {"min": 1}),
        ("ID", [0, 1], pa.int64(), {"min": "-0.5", "max": "1.0"}, {}),
        ("ID", [0, 1], pa.int64(), {"min": 2**63}, {"min": 2}),
        ("ID", [0, 1], pa.int64(), {"max": -(2**63) - 1}, {"max": 2}),
        ("ID", [-(2**63), 2**63 - 1], pa.int64(), {"min": str(-BIG), "max": str(BIG)}, {}),
        ("ID", [0, 1], pa.int64(), {"allowed": [0, 0.5, str(BIG)]}, {"allowed": 1}),
        ("ID", [Decimal(BIG), Decimal(-BIG)], pa.decimal128(38, 0), {"max": str(BIG - 1)}, {"max": 1}),
        ("ID", [Decimal(BIG)], pa.decimal128(38, 0), {"allowed": [str(BIG)]}, {}),
        ("PRICE", [Decimal("0.10")], pa.decimal128(12, 2), {"min": 0.1, "max": 0.1, "allowed": ["0.1"]}, {}),
        (
            "PRICE",
            [Decimal("0.10")],
            pa.decimal128(12, 2),
            {"max": 0.099, "allowed": [0.101]},
            {"max": 1, "allowed": 1},
        ),
        (
            "PRICE",
            [Decimal("0.10")],
            pa.decimal128(12, 2),
            {"max": str(BIG), "allowed": [str(BIG)]},
            {"allowed": 1},
        ),
        (
            "R",
            [float("nan"), 1.0],
            pa.float64(),
            {"min": 0, "max": 2, "allowed": [1]},
            {"min": 1, "max": 1, "allowed": 1},
        ),
        ("R", [float("inf")], pa.float64(), {"max": 1e308}, {"max": 1}),
        ("NAME", ["Z", "z", "é", "🏠"], pa.string(), {"min": "a", "max": "é"}, {"min": 1, "max": 1}),
        ("NAME", [""], pa.string(), {"allowed": ["x"], "min": ""}, {"allowed": 1}),
        (
            "D",
            [date(1066, 10, 14)],
            pa.date32(),
            {"min": "1066-10-14", "allowed": ["1066-10-15"]},
            {"allowed": 1},
        ),
        ("D", [3_000_000], pa.date32(), {"max": "9999-12-31"}, {"max": 1}),
        ("T", [time(8), time(8, 0, 0, 1)], pa.time64("ns"), {"min": "08:00", "max": "08:00"}, {"max": 1}),
        ("AT", [-1], pa.timestamp("ns"), {"min": "1970-01-01", "max": "2400-01-01"}, {"min": 1}),
        (
            "AT",
            [10**18],
            pa.timestamp("ns"),
            {"min": "2001-09-09T01:46:40", "max": "2001-09-09T01:46:40"},
            {},
        ),
        ("AT", [-1], pa.timestamp("us"), {"allowed": ["1969-12-31T23:59:59.999999"]}, {}),
        ("TZ", [0], pa.timestamp("us", "UTC"), {"min": "1970-01-01T02:00+02:00", "max": "1970-01-01"}, {}),
        ("B", [True, False], pa.bool_(), {"allowed": [True]}, {"allowed": 1}),
        *(
            (name, [None, None], kind, {"min": "1", "max": "2", "unique": True}, {})
            for name, kind in (("ID", pa.int64()), ("R", pa.float64()), ("NAME", pa.string()))
        ),
        ("D", [], pa.date32(), {"min": "2020-01-01", "unique": True, "allowed": ["2020-01-01"]}, {}),
    ],
)
def test_values_of_every_type_are_compared_exactly(
    name: str, values: list[Any], kind: pa.DataType, rules: dict[str, Any], breached: dict[str, int]
) -> None:
    found = breaches(columns(**{name: rules}), one(name, values, kind))
    counts = {rule.rpartition(".")[2]: int(text.split()[0]) for rule, text in found.items()}
    assert counts == breached


@pytest.mark.parametrize(
    ("name", "values", "kind", "repeated"),
    [
        ("ID", [Decimal(BIG), Decimal(BIG - 1), Decimal(BIG)], pa.decimal128(38, 0), 1),
        ("AT", [1, 2, 2], pa.timestamp("ns"), 1),
        ("T", [1, 2], pa.time64("ns"), 0),
        ("NAME", ["a", "A", "a ", "a\0", "a\0"], pa.string(), 1),
        ("BIN", [b"\0", b"\0\0", b"\0"], pa.binary(), 1),
        ("B", [True, None, None, True, True], pa.bool_(), 2),
        ("R", [float("nan"), float("nan"), 0.5], pa.float64(), 1),
    ],
)
def test_keys_are_compared_exactly(name: str, values: list[Any], kind: pa.DataType, repeated: int) -> None:
    table = one(name, values, kind)
    found = breaches(columns(**{name: {"unique": True}}), table.slice(0, 1), table.slice(1))
    assert [int(text.split()[0]) for text in found.values()] == ([repeated] if repeated else [])


def test_unique_group_ignores_rows_with_a_null_in_the_group() -> None:
    table = pa.table({"ID": [1, 1, 1, 1, 2], "NAME": ["a", "b", None, None, "a"]})
    assert breaches(contract(unique=[["NAME", "ID"]]), table, table.slice(0, 1)) == {
        "unique[0]": "1 row with values of NAME, ID that another row has, such as ('a', 1)"
    }


def test_long_keys_are_compared_in_the_memory_of_short_keys() -> None:
    keys = Keys()
    for group in range(20):
        keys.add("k", [pa.chunked_array([[f"{'é' * 200_000}{group}-{n}" for n in range(20)]])])
    assert keys.repeated("k", 5)[0] == 0
    keys.add("k", [pa.chunked_array([["é" * 200_000 + "3-7", None, "é"]])])
    count, found = keys.repeated("k", 5)
    assert (count, found["c0"].to_pylist()[0][:32]) == (1, "é" * 32)
    keys.close()


def test_keys_that_do_not_fit_in_memory_are_an_error_that_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.job.contract.keys._LONGEST", 10**9)
    keys = Keys()

    def fill() -> None:
        for group in range(20):
            keys.add("k", [pa.chunked_array([[f"canary{'x' * 1_000_000}{group}-{n}" for n in range(20)]])])

    with pytest.raises(ImporterError, match="unique: the keys do not fit in 64 MB of memory") as refused:
        fill()
    assert "canary" not in str(refused.value)
    keys.close()


def test_keys_are_on_disk_until_they_are_closed() -> None:
    keys = Keys()
    folder = Path(keys._folder.name)
    setting = "SELECT current_setting('memory_limit'), current_setting('temp_directory')"
    assert keys._database.query(setting).fetchall() == [("61.0 MiB", str(folder))]
    keys.add("k", [pa.chunked_array([["a", "b"], ["a"]])])
    assert (folder / "keys.duckdb").is_file()
    keys.close()
    assert not folder.exists()


def test_restarted_stream_forgets_earlier_rows_and_keys() -> None:
    watch = StreamChecks(plan_checks("houses", columns(ID={"max": 9, "unique": True}), COLUMNS[:1]))
    tables = [one("ID", [10, 10], pa.int64()), one("ID", [Decimal(2**70)], pa.decimal128(38, 0))]
    folders: list[Path] = []

    def start() -> Watcher:
        see = watch.start()
        assert watch._keys
        folders.append(Path(watch._keys._folder.name))
        return see

    def upload(_: str, blocks: Iterable[bytes]) -> None:
        assert b"".join(blocks)

    write_parts(lambda: tables, tables[0].schema, upload, start, row_group_bytes=1)
    bound, unique = watch.finish()
    assert [folder.exists() for folder in folders] == [False, True]
    watch.close()
    assert (bound.count, bound.examples) == (3, [(Decimal(10),), (Decimal(2**70),)])
    assert (unique.count, unique.examples) == (1, [(Decimal(10),)])


@pytest.mark.parametrize(
    ("name", "newest", "kind", "breach"),
    [
        ("TZ", NOW - timedelta(hours=6), pa.timestamp("us", "UTC"), None),
        (
            "TZ",
            NOW - timedelta(hours=6, minutes=1),
            pa.timestamp("us", "UTC"),
            "the newest is 2026-11-24 05:59:00Z, 6 h 1 min old, expected at most 6 h old",
        ),
        ("AT", datetime(2026, 11, 24, 6), pa.timestamp("ns"), None),
        ("AT", datetime(2030, 1, 1), pa.timestamp("us"), None),
        (
            "D",
            date(2026, 11, 24),
            pa.date32(),
            "the newest is 2026-11-24, 12 h old, expected at most 6 h old",
        ),
        ("D", None, pa.date32(), "the column has no value"),
    ],
)
def test_age_of_the_newest_value_is_compared_with_max_age(
    name: str, newest: Any, kind: pa.DataType, breach: str | None
) -> None:
    older = None if newest is None else newest - timedelta(days=1)
    found = breaches(columns(**{name: {"maxAge": "6h"}}), one(name, [newest], kind), one(name, [older], kind))
    assert found == ({f"columns.{name}.maxAge": breach} if breach else {})


class Snowflake:
    """Answers statements in turn, and keeps them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[tuple[Any, ...]]) -> None:
        self.statements: list[str] = []
        self._answers = list(answers)
        monkeypatch.setattr("importer.snowflake.query_rows.execute", self._execute)

    def _execute(self, _: object, statement: str) -> SimpleNamespace:
        self.statements.append(statement)
        return SimpleNamespace(fetchall=lambda: self._answers.pop(0))


def test_checks_in_snowflake_are_one_statement_and_one_for_each_breach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = 'a "b'
    described = [*COLUMNS, ResultMetadata(name, FIELD_NAME_TO_ID["TEXT"], None, None, None, None, True)]
    rules = contract(
        columns={
            "PRICE": {"nullable": False, "min": "0.005", "allowed": [1, 0.001]},
            "R": {"max": 0.1},
            name: {"allowed": ["it's \\"], "max": "z"},
            "TZ": {"min": "2020-01-01T02:00+02:00", "maxAge": "1d"},
            "B": {"allowed": [True]},
        },
        unique=[["ID", "D"]],
    )
    connection: Any = None
    answer = (9, 0, None, 0, 1, 0, None, 0, 2.5, 3, None, 0, None, 0, NOW, 0, NOW, 0, None, 2, None)
    snowflake = Snowflake(monkeypatch, [answer], [("x",), ("y",)], [(7, date(2020, 1, 1))])
    checks = plan_checks("houses", rules, described)
    rows, found = find_in_snowflake(connection, "SELECT * FROM HOUSES -- all", checks)
    assert [re.sub(r'"importer_(\d+)"', r"V\1", text) for text in snowflake.statements] == [
        'SELECT COUNT(*) AS V0, COUNT_IF("PRICE" IS NULL) AS V1, NULL AS V2, COUNT_IF("PRICE" < 0.01) AS V3, '
        'MIN("PRICE") AS V4, COUNT_IF(NOT "PRICE" IN (1)) AS V5, NULL AS V6, '
        'COUNT_IF("R" > CAST(\'0.1\' AS DOUBLE) OR "R" = CAST(\'NaN\' AS DOUBLE)) AS V7, MAX("R") AS V8, '
        'COUNT_IF("a ""b" > \'z\') AS V9, NULL AS V10, '
        'COUNT_IF(NOT "a ""b" IN (\'it\\\'s \\\\\')) AS V11, NULL AS V12, '
        'COUNT_IF("TZ" < CAST(\'2020-01-01 00:00:00+00:00\' AS TIMESTAMPTZ)) AS V13, MIN("TZ") AS V14, '
        '0 AS V15, MAX("TZ") AS V16, COUNT_IF(NOT "B" IN (TRUE)) AS V17, NULL AS V18, '
        'COUNT_IF(NOT "ID" IS NULL AND NOT "D" IS NULL) - COUNT(DISTINCT "ID", "D") AS V19, NULL AS V20\n'
        "FROM (\nSELECT * FROM HOUSES -- all\n)",
        'SELECT "a ""b" AS V0\nFROM (\nSELECT * FROM HOUSES -- all\n)\n'
        'WHERE "a ""b" > \'z\'\nGROUP BY "a ""b"\nLIMIT 5',
        'SELECT "ID" AS V0, "D" AS V1\nFROM (\nSELECT * FROM HOUSES -- all\n)\n'
        'WHERE NOT "ID" IS NULL AND NOT "D" IS NULL\nGROUP BY "ID", "D"\nHAVING COUNT(*) > 1\nLIMIT 5',
    ]
    assert rows == 9
    breached = {c.rule: f for c, f in zip(checks, found, strict=True) if f.count}
    assert breached == {
        f"columns.{name}.max": Found(3, [("x",), ("y",)]),
        "unique[0]": Found(2, [(7, date(2020, 1, 1))]),
    }


def footer(table: pa.Table) -> pq.FileMetaData:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=2)
    return pq.read_metadata(pa.BufferReader(sink.getvalue()))


def test_footers_show_nulls_and_values_out_of_range() -> None:
    rules = columns(
        ID={"nullable": False, "min": 0, "max": 9},
        PRICE={"max": "1.50"},
        R={"max": 2},
        D={"min": "1960-01-01"},
        AT={"min": "1960-01-01"},
        TZ={"max": "2020-01-01T00:00Z"},
        NAME={"min": "x", "nullable": False},
        BIN={"nullable": False},
    )
    table = pa.table(
        {
            "ID": [1, None, None, -3],
            "PRICE": pa.array([Decimal("1.51"), None, None, None], pa.decimal128(12, 2)),
            "R": [2.0, float("nan"), None, None],
            "D": pa.array([date(1959, 12, 31), None, None, None], pa.date32()),
            "AT": pa.array([datetime(1960, 1, 1)] * 4, pa.timestamp("us")),
            "TZ": pa.array([datetime(2020, 1, 1, 1)] * 4, pa.timestamp("us")),
            "NAME": ["a", "b", "c", "d"],
            "BIN": pa.array([b"", b"", b"", b""]),
        }
    )
    watch = FooterChecks(plan_checks("houses", rules, COLUMNS))
    watch.see(footer(table))
    assert {
        result.rule: result.measured.partition(", since the table")[0] for result in watch.breached()
    } == {
        "columns.ID.nullable": "2 NULLs",
        "columns.ID.min": "a value is -3, expected at least 0",
        "columns.PRICE.max": "a value is 1.51, expected at most 1.50",
        "columns.D.min": "a value is 1959-12-31, expected at least 1960-01-01",
        "columns.TZ.max": "a value is 2020-01-01 01:00:00Z, expected at most 2020-01-01 00:00:00Z",
    }
