"""The statements of the checks in Snowflake."""

import re
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from importer.job.contract.checks import Found, plan_checks
from importer.job.contract.in_snowflake import find_in_snowflake
from importer.snowflake.columns import DescribedColumn
from importer.spec.snowflake_types import SnowflakeType
from tests.unit.importer.job.contract.contracts import COLUMNS, NOW, contract


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
    described = [*COLUMNS, DescribedColumn(name, SnowflakeType.VARCHAR)]
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
