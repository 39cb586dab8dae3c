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
