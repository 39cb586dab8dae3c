"""The checks that follow from the rules of a contract."""

from typing import Any

import pytest

from importer.errors import ImporterError
from importer.job.contract.checks import plan_checks
from importer.spec.contract import ColumnRules, Contract
from tests.unit.importer.job.contract.contracts import COLUMNS, columns


@pytest.mark.parametrize(
    ("column", "rules", "message"),
    [
        (
            "V",
            {"min": 1},
            "contract.columns.V.min: the column's values are semi-structured or spatial, which has",
        ),
        ("V", {"unique": True}, "contract.columns.V.unique: "),
        ("BIN", {"allowed": ["AB"]}, "contract.columns.BIN.allowed: "),
        ("B", {"max": "true"}, "contract.columns.B.max: "),
        ("B", {"allowed": ["true"]}, r"contract.columns.B.allowed\[0\]: 'true' is not true or false"),
        (
            "ID",
            {"maxAge": "1d"},
            "contract.columns.ID.maxAge: the column's values are a number, which has no age",
        ),
        ("ID", {"min": "a"}, "contract.columns.ID.min: 'a' is not a number"),
        ("ID", {"max": "1e38"}, "contract.columns.ID.max: '1e38' is not a number"),
        ("ID", {"allowed": [1, True]}, r"contract.columns.ID.allowed\[1\]: true is not a number"),
        ("ID", {"min": "10", "max": "9"}, "contract.columns.ID.min: 10 is above max 9"),
        ("R", {"min": "nan"}, "contract.columns.R.min: 'nan' is not a floating-point number"),
        ("NAME", {"allowed": [1]}, r"contract.columns.NAME.allowed\[0\]: 1 is not text"),
        ("D", {"min": 2020}, "contract.columns.D.min: 2020 is not a date"),
        ("D", {"min": "2020-01-01 10:00"}, "contract.columns.D.min: "),
        ("T", {"min": "25:00"}, "contract.columns.T.min: "),
        (
            "AT",
            {"min": "2020-01-01T00:00:00Z"},
            "contract.columns.AT.min: .* a timestamp without a time zone",
        ),
    ],
)
def test_rule_that_does_not_fit_its_columns_type_is_named(
    column: str, rules: dict[str, Any], message: str
) -> None:
    with pytest.raises(ImporterError, match=f"import houses: {message}"):
        plan_checks("houses", columns(**{column: rules}), COLUMNS)


class _FutureColumnRules(ColumnRules):
    """Rules with one that the importer does not know."""

    pattern: str | None = None


class _FutureContract(Contract):
    """A contract with a rule that the importer does not know."""

    sums: int | None = None


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (Contract(columns={"ID": _FutureColumnRules()}), "rule pattern of a column"),
        (_FutureContract(), "rule sums of a contract"),
    ],
)
def test_declared_rule_without_a_check_is_an_error(rules: Contract, message: str) -> None:
    with pytest.raises(NotImplementedError, match=f"no check is known for the {message}"):
        plan_checks("houses", rules, COLUMNS)
