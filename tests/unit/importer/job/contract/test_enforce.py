"""A contract checked for one attempt: its error, its log, and increments."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from components.imports.import_alert import failed_query
from importer.job.contract.enforce import Enforcement
from importer.job.telemetry import recording
from importer.lake.contract_result import ContractBreachError, RuleResult
from importer.lake.manifest import Manifest
from importer.progress import JsonLines
from importer.spec.contract import Contract
from importer.spec.import_spec import ImportSpec
from importer.spec.run_record import FAILED, LOG_ENDPOINT_VARIABLE, LOG_RULE_VARIABLE
from tests.unit.importer.job.contract.contracts import COLUMNS, NOW, columns, contract, one


def manifest(rows: int, *results: RuleResult) -> Manifest:
    return Manifest.model_construct(rows=rows, contract=list(results))


def enforcement(rules: Contract, previous: Manifest | None = None, **fields: Any) -> Enforcement:
    spec = ImportSpec(name="houses", connection="c", query="SELECT 1", contract=rules, **fields)
    return Enforcement(spec, previous, JsonLines())


def test_all_breaches_are_in_one_error_line_and_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    with enforcement(contract(columns={"NAME": {"allowed": ["a"]}}, rows={"min": 5}), manifest(9)) as held:
        held.check_columns(COLUMNS)
        list(held.watch([one("NAME", ["a", "b\nc\x1b[31m"], pa.string())], 2))
        with pytest.raises(ContractBreachError) as breach:
            held.conclude(2)
    assert str(breach.value) == (
        "contract of houses: columns.NAME.allowed: 1 value not allowed, such as 'b�c�[31m'; "
        "rows.min: 2 rows, expected at least 5 (nothing is registered): correct the rows and run "
        "`importer start houses`, or change the rule and run `pulumi up`"
    )
    assert capsys.readouterr().out == (
        '{"event": "contract is broken", "rules": 3, "broken": "columns.NAME.allowed, rows.min"}\n'
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
            list(held.watch([nothing], 0))
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
            "contract of houses: columns.PRICE.min: 3 values below 0, such as -1, -5 (nothing is registered)"
            ": correct the rows and run `importer start houses`, or change the rule and run `pulumi up`",
        )
    ]
    assert f'Outcome == "{FAILED}"' in failed_query("Imports_CL", "houses")
