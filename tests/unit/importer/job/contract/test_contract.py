"""The rules of a contract: what they may say, and what becomes of a breach."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from components.imports.import_alert import failed_query
from importer.errors import ImporterError
from importer.job.contract.checks import plan_checks
from importer.job.contract.enforce import Enforcement
from importer.job.contract.table_rules import check_columns, check_rows
from importer.job.telemetry import FAILED, LOG_ENDPOINT_VARIABLE, LOG_RULE_VARIABLE, recording
from importer.lake.contract_result import ContractBreachError, RuleResult
from importer.lake.manifest import Manifest
from importer.progress import JsonLines
from importer.spec.contract import ColumnRules, Contract, RowRules
from importer.spec.import_spec import ImportSpec
from importer.spec.snowflake_types import normal_type
from tests.unit.importer.job.contract.contracts import COLUMNS, NOW, columns, contract, one


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("decimal(10, 2)", "NUMBER(10,2)"),
        ("NUMBER", "NUMBER(38,0)"),
        ("NUMERIC(5)", "NUMBER(5,0)"),
        ("Integer", "NUMBER(38,0)"),
        ("double  precision", "FLOAT"),
        ("STRING", "VARCHAR"),
        ("VARCHAR(16777216)", "VARCHAR"),
        ("varchar ( 20 )", "VARCHAR(20)"),
        ("CHAR", "VARCHAR(1)"),
        ("VARBINARY(5)", "BINARY"),
        ("DATETIME", "TIMESTAMP_NTZ(9)"),
        ("timestamp with time zone", "TIMESTAMP_TZ(9)"),
        ("TIME(0)", "TIME(0)"),
        ("variant", "VARIANT"),
    ],
)
def test_type_is_returned_by_its_one_name(written: str, normal: str) -> None:
    assert normal_type(written) == normal
    assert columns(A={"type": written}).columns["A"].type == normal


@pytest.mark.parametrize(
    ("rules", "place", "message"),
    [
        ({"columns": {"A": {"type": "NUMBR"}}}, "columns.A.type", "NUMBR is not a Snowflake type"),
        ({"columns": {"A": {"type": "DATE(3)"}}}, "columns.A.type", "is not a Snowflake type"),
        ({"columns": {"A": {"min": 3, "max": 2}}}, "columns.A", "min 3 is above max 2"),
        ({"columns": {"A": {"min": True}}}, "columns.A", "min is true, which has no order"),
        ({"columns": {"A": {"max": float("nan")}}}, "columns.A.max", ""),
        ({"columns": {"A": {"allowed": []}}}, "columns.A.allowed", "at least 1 item"),
        ({"columns": {"A": {"maxAge": "1w"}}}, "columns.A.maxAge", ""),
        ({"columns": {"A": {"max_age": "1d"}}}, "columns.A.max_age", "Extra inputs"),
        ({"unique": [["A", "A"]]}, "unique.0", "names a column twice"),
        ({"rows": {"min": 3, "max": 2}}, "rows", "min 3 is above max 2"),
        ({"rows": {"maxDecrease": 101}}, "rows.maxDecrease", "less than or equal to 100"),
    ],
)
def test_contradictory_rules_are_refused_by_their_path(
    rules: dict[str, Any], place: str, message: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Contract.model_validate(rules)
    places = {".".join(map(str, error["loc"])): error["msg"] for error in refused.value.errors()}
    # a value may be of several types, and each says where it is none
    assert [text for at, text in places.items() if at.startswith(place) and message in text]


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


class _FutureRowRules(RowRules):
    """Rules with one that the importer does not know."""

    weekly: int | None = None


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


def test_declared_rule_of_the_row_count_without_a_check_is_an_error() -> None:
    with pytest.raises(
        NotImplementedError, match="no check is known for the rule weekly of the number of rows"
    ):
        check_rows(_FutureRowRules(), 1, None)


def test_columns_are_compared_by_name_and_type() -> None:
    rules = contract(
        columns={"ID": {"type": "INT"}, "PRICE": {"type": "NUMBER(12,3)"}, "id": {}, "NAME": {}},
        unique=[["ID", "GONE"]],
        otherColumns=False,
    )
    assert [tuple(result) for result in check_columns(rules, COLUMNS[:5])] == [
        ("columns.ID.type", "NUMBER(38,0)", "NUMBER(38,0)", True),
        ("columns.PRICE.type", "NUMBER(12,3)", "the type is NUMBER(12,2), not NUMBER(12,3)", False),
        ("columns.id", "present", "the query returns no such column", False),
        ("columns.NAME", "present", "present", True),
        ("columns.GONE", "present", "the query returns no such column", False),
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


def manifest(rows: int, *results: RuleResult) -> Manifest:
    return Manifest.model_construct(rows=rows, contract=list(results))


def enforcement(rules: Contract, previous: Manifest | None = None, **fields: Any) -> Enforcement:
    spec = ImportSpec(name="houses", connection="c", query="SELECT 1", contract=rules, **fields)
    return Enforcement(spec, previous, JsonLines())


def test_all_breaches_are_in_one_error_line_and_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    with enforcement(contract(columns={"NAME": {"allowed": ["a"]}}, rows={"min": 5}), manifest(9)) as held:
        held.check_columns(COLUMNS)
        held.watch()(one("NAME", ["a", "b\nc\x1b[31m"], pa.string()))
        with pytest.raises(ContractBreachError) as breach:
            held.conclude(2)
    assert str(breach.value) == (
        "contract of houses: columns.NAME.allowed: 1 value not allowed, such as 'b�c�[31m'; "
        "rows.min: 2 rows, expected at least 5 (nothing is registered)"
    )
    assert capsys.readouterr().out == (
        '{"event": "contract", "rules": 3, "breached": "columns.NAME.allowed, rows.min"}\n'
    )


def test_empty_increment_has_the_age_of_the_version_before() -> None:
    rules, incremental = columns(TZ={"maxAge": "1d"}), {"column": "TZ"}
    newest = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    before = RuleResult(
        "columns.TZ.maxAge", "at most 1 d old", f"the newest is {newest:%Y-%m-%d %H:%M:%SZ}", True
    )
    nothing = one("TZ", [], pa.timestamp("us", "UTC"))
    for is_incremental in (True, False):
        fields = {"incremental": incremental} if is_incremental else {}
        with enforcement(rules, manifest(9, before), **fields) as held:
            held.check_columns(COLUMNS)
            held.watch()(nothing)
            if is_incremental:
                assert before in held.conclude(9)
            else:
                with pytest.raises(ContractBreachError, match="the column has no value"):
                    held.conclude(9)


def test_breach_is_recorded_as_a_failure_that_the_alert_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr("importer.job.telemetry._send", lambda record, *_: sent.append(record))
    monkeypatch.setenv(LOG_ENDPOINT_VARIABLE, "https://logs")
    monkeypatch.setenv(LOG_RULE_VARIABLE, "dcr")
    rule = RuleResult("columns.PRICE.min", "at least 0", "3 values below 0, such as -1, -5", False)
    with pytest.raises(ContractBreachError), recording("houses", NOW, JsonLines()):
        raise ContractBreachError("houses", [rule])
    assert [(record["Outcome"], record["Error"]) for record in sent] == [
        (
            FAILED,
            "contract of houses: columns.PRICE.min: 3 values below 0, such as -1, -5 (nothing is registered)",
        )
    ]
    assert f'Outcome == "{FAILED}"' in failed_query("Imports_CL", "houses")
