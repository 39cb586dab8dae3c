"""The rules on a result's columns and on the number of its rows."""

from typing import Any

import pytest

from importer.job.contract.table_rules import check_columns, check_rows
from importer.spec.contract import RowRules
from tests.unit.importer.job.contract.contracts import COLUMNS, contract


def test_columns_are_compared_by_name_and_type() -> None:
    rules = contract(
        columns={"ID": {"type": "INT"}, "PRICE": {"type": "NUMBER(12,3)"}, "id": {}, "NAME": {}},
        unique=[["ID", "GONE"]],
        otherColumns=False,
    )
    assert [tuple(result) for result in check_columns(rules, COLUMNS[:5])] == [
        ("columns.ID.type", "NUMBER(38,0)", "NUMBER(38,0)", True),
        ("columns.PRICE.type", "NUMBER(12,3)", "the type is NUMBER(12,2), not NUMBER(12,3)", False),
        ("columns.id", "present", "the query returns no such column; did you mean ID?", False),
        ("columns.NAME", "present", "present", True),
        (
            "columns.GONE",
            "present",
            "the query returns no such column; the columns are ID, PRICE, R, NAME, D",
            False,
        ),
        ("otherColumns", "no others", "the query also returns R, D", False),
    ]


@pytest.mark.parametrize(
    ("rules", "rows", "before", "breached"),
    [
        ({"min": 10, "max": 10}, 10, None, {}),
        ({"min": 10}, 9, None, {"rows.min": "9 rows, expected at least 10"}),
        ({"max": 0}, 1, None, {"rows.max": "1 row, expected at most 0"}),
        ({"maxDecrease": 10, "maxIncrease": 10}, 90, 100, {}),
        ({"maxDecrease": 10, "maxIncrease": 10}, 110, 100, {}),
        (
            {"maxDecrease": 10},
            89,
            100,
            {"rows.maxDecrease": "89 rows after 100 (-11.0%), expected at most 10% fewer"},
        ),
        (
            {"maxIncrease": 0.5},
            101,
            100,
            {"rows.maxIncrease": "101 rows after 100 (+1.0%), expected at most 0.5% more"},
        ),
        ({"maxDecrease": 0, "maxIncrease": 0}, 5, None, {}),
        ({"maxDecrease": 0, "maxIncrease": 0}, 5, 0, {}),
    ],
)
def test_row_count_is_compared_with_the_rules_and_the_version_before(
    rules: dict[str, Any], rows: int, before: int | None, breached: dict[str, str]
) -> None:
    results = check_rows(RowRules.model_validate(rules), rows, before)
    assert {result.rule: result.measured for result in results if not result.passed} == breached


class _FutureRowRules(RowRules):
    """Rules with one that the importer does not know."""

    weekly: int | None = None


def test_declared_rule_of_the_row_count_without_a_check_is_an_error() -> None:
    with pytest.raises(
        NotImplementedError, match="no check is known for the rule weekly of the number of rows"
    ):
        check_rows(_FutureRowRules(), 1, None)
