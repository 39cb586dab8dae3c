"""The checks on the footers of unloaded files."""

from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from importer.job.contract.checks import plan_checks
from importer.job.contract.in_footers import FooterChecks
from tests.unit.importer.job.contract.contracts import COLUMNS, columns


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


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_are_compared_whether_or_not_the_file_says_that_they_are_in_utc(zone: str | None) -> None:
    rules = columns(AT={"max": "2020-01-01"}, TZ={"max": "2020-01-01T00:00Z"})
    late = pa.array([datetime(2020, 1, 1, 1)], pa.timestamp("us", zone))
    watch = FooterChecks(plan_checks("houses", rules, COLUMNS))
    watch.see(footer(pa.table({"AT": late, "TZ": late})))
    assert [result.rule for result in watch.breached()] == ["columns.AT.max", "columns.TZ.max"]
