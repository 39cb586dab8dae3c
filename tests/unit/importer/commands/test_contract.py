"""The first contract of an import, from what its rows are like."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import yaml

from importer.commands.column_profile import ColumnProfile, Profile
from importer.commands.contract import render
from importer.job.contract.values import Family
from importer.spec.contract import Contract
from tests.unit.importer.job.contract.contracts import BIG, NOW


def profiled(name: str, family: Family, kind: str, **fields: Any) -> ColumnProfile:
    known: dict[str, Any] = {
        "decimals": 0,
        "nulls": 0,
        "distinct": None,
        "low": None,
        "high": None,
        "values": [],
    }
    return ColumnProfile(**{"name": name, "family": family, "type": kind, **known, **fields})


@pytest.mark.parametrize(
    ("column", "rules"),
    [
        (profiled("N", Family.NUMBER, "NUMBER(38,0)", low=3, high=97), {"min": 0, "max": 107}),
        (profiled("N", Family.NUMBER, "NUMBER(38,0)", low=5, high=5), {"min": 4, "max": 6}),
        (profiled("N", Family.NUMBER, "NUMBER(38,0)", low=-97, high=-3), {"min": -107, "max": 0}),
        (
            profiled("N", Family.NUMBER, "NUMBER(38,0)", low=0, high=2**60),
            {"min": 0, "max": "1300000000000000000"},
        ),
        (profiled("N", Family.NUMBER, "NUMBER(38,0)", low=-BIG, high=BIG), {}),
        (
            profiled(
                "N", Family.NUMBER, "NUMBER(12,2)", decimals=2, low=Decimal("0.05"), high=Decimal("0.07")
            ),
            {"min": 0.04, "max": 0.08},
        ),
        (profiled("R", Family.FLOAT, "FLOAT", low=-1e308, high=1.7e308), {"min": -1.3e308}),
        (profiled("R", Family.FLOAT, "FLOAT", low=0.0, high=float("inf")), {}),
        (profiled("ID", Family.NUMBER, "NUMBER(38,0)", low=1, high=9, distinct=10), {"unique": True}),
        (profiled("orderId", Family.TEXT, "VARCHAR", distinct=10), {"unique": True}),
        (profiled("PAID", Family.TEXT, "VARCHAR", distinct=10), {}),
        (profiled("D", Family.DATE, "DATE", low=date(1, 1, 1), high=date(2020, 1, 1)), {}),
        (
            profiled("D", Family.DATE, "DATE", low=date(2020, 1, 1), high=date(2026, 11, 22)),
            {"min": "2019-04-24", "maxAge": "5d"},
        ),
        (
            profiled("D", Family.DATE, "DATE", low=date(2027, 1, 1), high=date(2027, 1, 1)),
            {"min": "2026-12-31"},
        ),
    ],
)
def test_first_bounds_leave_a_tenth_of_the_range(column: ColumnProfile, rules: dict[str, Any]) -> None:
    written = yaml.safe_load(render("houses", Profile(10, [column]), NOW))["contract"]
    Contract.model_validate(written)
    assert written["columns"] == {column.name: {"type": column.type, "nullable": False, **rules}}
    assert written["rows"] == {"min": 5, "maxDecrease": 20}


def whole(name: str, low: int, high: int) -> ColumnProfile:
    return profiled(name, Family.NUMBER, "NUMBER(38,0)", low=low, high=high)


def real(name: str, low: float, high: float) -> ColumnProfile:
    return profiled(name, Family.FLOAT, "FLOAT", low=low, high=high)


@pytest.mark.parametrize(
    ("column", "rules"),
    [
        (whole("MO_SOLD", 2, 11), {"min": 1, "max": 12}),
        (whole("saleMonth", 2, 11), {"min": 1, "max": 12}),
        (whole("DAY", 2, 29), {"min": 1, "max": 31}),
        (whole("DAY_OF_YEAR", 2, 300), {"min": 1, "max": 366}),
        (whole("WEEKDAY", 0, 4), {"min": 0, "max": 6}),
        (whole("DAY_OF_WEEK", 2, 7), {"min": 1, "max": 7}),
        (whole("dayOfWeek", 1, 5), {"min": 0, "max": 7}),
        (whole("WEEK", 3, 50), {"min": 1, "max": 53}),
        (whole("QUARTER", 1, 3), {"min": 1, "max": 4}),
        (whole("PICKUP_HOUR", 5, 22), {"min": 0, "max": 23}),
        (whole("YEAR_BUILT", 1872, 2010), {"min": 1800, "max": 2100}),
        (whole("PCT_FULL", 3, 97), {"min": 0, "max": 100}),
        (real("PERCENT_FULL", 0.03, 0.97), {"min": 0, "max": 1}),
        (real("CHURN_RATE", 0.03, 0.4), {"min": 0, "max": 1}),
        (real("LATITUDE", 41.9, 42.1), {"min": -90, "max": 90}),
        (real("pickup_lng", -93.7, -93.5), {"min": -180, "max": 180}),
        (whole("ROOM_COUNT", 1, 9), {"min": 0}),
        (whole("N_ROOMS", 1, 9), {"min": 0}),
        (whole("CUSTOMER_ID", 1000, 9000), {}),
        (whole("ZIP_CODE", 10115, 99998), {}),
        (whole("IS_SOLD", 0, 1), {"allowed": [0, 1]}),
    ],
    ids=lambda value: value.name if isinstance(value, ColumnProfile) else "",
)
def test_name_and_values_that_mean_something_give_its_limits(
    column: ColumnProfile, rules: dict[str, Any]
) -> None:
    text = render("houses", Profile(100, [column]), NOW)
    written = yaml.safe_load(text)["contract"]
    Contract.model_validate(written)
    assert written["columns"] == {column.name: {"type": column.type, "nullable": False, **rules}}
    assert f", observed {column.low} to {column.high}\n" in text


@pytest.mark.parametrize(
    "column",
    [
        whole("MO_SOLD", 0, 14),
        real("MONTH", 1.5, 7.5),
        whole("YEAR", 1, 99),
        whole("CALLS_PER_DAY", 1, 20),
        whole("HOURS", 1, 20),
        whole("FLATS", 1, 20),
        whole("SECOND_FLOOR_AREA", 0, 50),
        whole("HEART_RATE", 0, 1),
        real("EXCHANGE_RATE", 0.8, 0.95),
        real("TAX_RATE", 7.0, 19.0),
        whole("IS_SOLD", 0, 2),
        whole("N", 1, 9),
    ],
    ids=lambda column: column.name,
)
def test_name_that_its_values_contradict_gives_the_observed_range(column: ColumnProfile) -> None:
    text = render("houses", Profile(100, [column]), NOW)
    rules = yaml.safe_load(text)["contract"]["columns"][column.name]
    assert rules["max"] > column.high
    assert f"}}  # observed {column.low} to {column.high}\n" in text


def test_text_that_yaml_would_read_as_another_type_is_quoted() -> None:
    odd = [
        "no",
        "1e5",
        "0x1F",
        "2020-01-01",
        "~",
        " a",
        "é: {",
        "\x85\u2028\x07\x7f",
        "'\"\\",
        "12:30",
        "",
        "NaN",
        "Y",
    ]
    column = profiled("on", Family.TEXT, "VARCHAR", values=odd, nulls=1)
    text = render("houses", Profile(100, [column]), NOW)
    contract = Contract.model_validate(yaml.safe_load(text)["contract"])
    assert contract.columns["on"].allowed == odd
    assert '"on": {type: VARCHAR, allowed: ["no", "1e5", "0x1F", "2020-01-01", "~", ' in text
    assert all(line.startswith("      ") for line in text.splitlines())


def test_empty_result_contract_has_only_types() -> None:
    text = render("houses", Profile(0, [profiled("N", Family.NUMBER, "NUMBER(38,0)", distinct=0)]), NOW)
    assert yaml.safe_load(text)["contract"] == {"columns": {"N": {"type": "NUMBER(38,0)"}}}
