"""What is known of an import's options before it runs: all that its run would refuse, and nothing else."""

from typing import Any

import pytest

from importer.job.misfits import misfits
from importer.spec.import_spec import ImportOptions
from tests.unit.importer.job.contract.contracts import COLUMNS


def found(**options: Any) -> list[str]:
    """Return the misfits of an import whose query returns COLUMNS."""
    return list(misfits(ImportOptions(name="houses", query="SELECT 1", **options), COLUMNS))


def curate(**rules: Any) -> dict[str, Any]:
    return {"asset": "clean", **rules}


def test_import_without_rules_fits() -> None:
    assert found() == []


def test_options_that_fit_have_no_misfits() -> None:
    assert (
        found(
            contract={
                "columns": {"ID": {"type": "INT", "min": 1}, "AT": {"maxAge": "1d"}},
                "unique": [["ID", "D"]],
            },
            incremental={"column": "AT", "key": ["ID"], "overlap": "6h"},
            curate=curate(
                columns={"NAME": {"trim": True}},
                derive={"YEAR_SEEN": {"expression": "year(d)"}},
                deduplicate={"key": ["ID"], "latest": "AT"},
            ),
        )
        == []
    )


def test_every_misfit_of_a_contract_is_found() -> None:
    rules = {
        "columns": {
            "PRCE": {},
            "ID": {"type": "VARCHAR", "maxAge": "1d"},
            "NAME": {"allowed": [1]},
            "PRICE": {"min": 1},
        },
        "unique": [["ID", "V"]],
    }
    assert found(contract=rules) == [
        "contract.columns.PRCE: the query returns no such column; did you mean PRICE?",
        "contract.columns.ID.type: the type is NUMBER(38,0), not VARCHAR",
        "contract.columns.ID.maxAge: the column's values are a number, which has no age",
        "contract.columns.NAME.allowed[0]: 1 is not text, and the column's values are",
        "contract.unique[0]: a column is semi-structured or spatial, and such values cannot be compared",
    ]


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"column": "at"}, "incremental.column: the query returns no column at; did you mean AT?"),
        (
            {"column": "AT", "key": ["IDD"]},
            "incremental.key: the query returns no column IDD; did you mean ID?",
        ),
        ({"column": "NAME"}, "incremental.column: NAME is a VARCHAR: use a DATE, TIMESTAMP or NUMBER column"),
        (
            {"column": "AT", "key": ["ID"], "overlap": 3},
            "incremental.overlap: must be a time span such as 6h, as AT is a moment",
        ),
    ],
)
def test_misfit_of_incremental_is_found(rules: dict[str, Any], problem: str) -> None:
    assert found(incremental=rules) == [problem]


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (
            {"columns": {"Price": {}}},
            "curate.columns.Price: the query returns no such column; did you mean PRICE?",
        ),
        (
            {"columns": {"ID": {"trim": True}}},
            "curate.columns.ID.trim: the column must be text, and is BIGINT",
        ),
        (
            {"derive": {"X": {"expression": "prce / 2"}}},
            "curate.derive.X.expression: there is no clean column prce; did you mean PRICE?",
        ),
        (
            {"deduplicate": {"key": ["NMAE"]}},
            "curate.deduplicate.key: there is no clean column NMAE; did you mean NAME?",
        ),
    ],
)
def test_misfit_of_curate_is_found(rules: dict[str, Any], problem: str) -> None:
    assert found(curate=curate(**rules)) == [problem]


@pytest.mark.parametrize(
    ("decimal", "problem"),
    [
        (["ID", "PRICE"], None),
        (["IDD"], "decimal: the query returns no column IDD; did you mean ID?"),
        (["NAME"], "decimal: NAME is a VARCHAR, and no NUMBER"),
    ],
)
def test_column_of_decimal_must_be_a_number(decimal: list[str], problem: str | None) -> None:
    assert found(decimal=decimal) == ([problem] if problem else [])


@pytest.mark.parametrize(("mode", "type_"), [("stream", "TIMESTAMP WITH TIME ZONE"), ("unload", "TIMESTAMP")])
def test_type_of_a_timestamp_with_a_time_zone_depends_on_the_mode(mode: str, type_: str) -> None:
    (problem,) = found(mode=mode, curate=curate(columns={"TZ": {"trim": True}}))
    assert problem.startswith(f"curate.columns.TZ.trim: the column must be text, and is {type_}")
