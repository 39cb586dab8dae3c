"""The checks on rows that stream by."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from importer.errors import ImporterError
from importer.job.contract.checks import judge, plan_checks
from importer.job.contract.in_stream import StreamChecks
from importer.lake.contract_result import RuleResult
from importer.lake.parquet import row_groups
from importer.spec.contract import Contract
from tests.unit.importer.job.contract.contracts import BIG, COLUMNS, NOW, columns, contract, one


def watched(rules: Contract, *groups: pa.Table) -> dict[str, RuleResult]:
    """Return the results, by their rules, of row groups that stream by."""
    known = set(groups[0].column_names)
    watch = StreamChecks(plan_checks("houses", rules, [c for c in COLUMNS if c.name in known]))
    watch.start()
    for group in groups:
        watch.see(group)
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


def test_restarted_stream_forgets_earlier_rows_and_keys() -> None:
    watch = StreamChecks(plan_checks("houses", columns(ID={"max": 9, "unique": True}), COLUMNS[:1]))
    tables = [one("ID", [10, 10], pa.int64()), one("ID", [Decimal(2**70)], pa.decimal128(38, 0))]
    folders: list[Path] = []

    def see_all(schema: pa.Schema) -> None:
        watch.start()
        assert watch._keys
        folders.append(Path(watch._keys._folder.name))
        for group in row_groups(tables, schema, 1):
            watch.see(group)

    with pytest.raises(ImporterError, match="beyond 64 bits"):
        see_all(tables[0].schema)
    see_all(tables[1].schema)
    bound, unique = watch.finish()
    assert [folder.exists() for folder in folders] == [False, True]
    watch.close()
    assert (bound.count, bound.examples) == (3, [(Decimal(10),), (Decimal(2**70),)])
    assert (unique.count, unique.examples) == (1, [(Decimal(10),)])
