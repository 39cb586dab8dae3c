"""A contract held to the rows of one attempt, however they travel."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Self

import pyarrow.parquet as pq
from snowflake.connector import SnowflakeConnection
from snowflake.connector.cursor import ResultMetadata

from importer.job.contract.checks import (
    NEWEST,
    Check,
    Found,
    Fresh,
    check_columns,
    check_rows,
    judge,
    plan_checks,
)
from importer.job.contract.footers import FooterWatch
from importer.job.contract.in_snowflake import find_in_snowflake
from importer.job.contract.watch import RowsWatch
from importer.lake.contract_result import ContractBreachError, RuleResult
from importer.lake.manifest import Manifest
from importer.lake.parquet import Watcher
from importer.progress import Progress
from importer.snowflake.columns import check_column_names
from importer.spec.contract import Contract
from importer.spec.import_spec import ImportSpec


class Enforcement:
    """The contract of an import, and what one attempt has shown of it so far; one without rules holds.

    `previous` is the manifest of the newest version before this one, None where there is none.
    """

    def __init__(self, spec: ImportSpec, previous: Manifest | None, progress: Progress) -> None:
        self._asset = spec.name
        self._contract = spec.contract or Contract()
        self._is_whole = spec.incremental is None
        self._previous = previous
        self._progress = progress
        self._columns: list[RuleResult] = []
        self._checks: list[Check] = []
        self._rows = RowsWatch([])
        self._found: list[Found] | None = None
        self._footers = FooterWatch([])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()

    def check_columns(self, columns: list[ResultMetadata]) -> None:
        """Raise a ContractBreachError where the query's columns are not the contract's; forget what was seen.

        An ImporterError says which rule does not fit its column's type.
        """
        self._rows.close()
        self._found = None
        check_column_names([column.name for column in columns])
        self._columns = check_columns(self._contract, columns)
        self._raise_breaches(self._columns)
        self._checks = plan_checks(self._asset, self._contract, columns)
        self._rows = RowsWatch(self._checks)
        self._footers = FooterWatch(self._checks)

    def watch(self) -> Watcher:
        """Return what is to see each row group that streams by, anew from the first."""
        return self._rows.start()

    def check_in_snowflake(self, connection: SnowflakeConnection, query: str) -> None:
        """Raise a ContractBreachError where the rows that `query` has now are not the contract's."""
        if not self._checks:
            return
        rows, self._found = find_in_snowflake(connection, query, self._checks)
        counted = check_rows(self._contract.rows, rows, self._rows_before()) if self._is_whole else []
        self._raise_breaches([*self._judge(self._found), *counted])

    def see_footer(self, footer: pq.FileMetaData) -> None:
        """Compare the statistics of an unloaded file too."""
        self._footers.see(footer)

    def conclude(self, rows: int) -> list[RuleResult]:
        """Return how the rules turned out for a version of `rows` rows; else a ContractBreachError."""
        found = self._rows.finish() if self._found is None else self._found
        later = {result.rule: result for result in self._footers.breached()}
        results = [
            *self._columns,
            *(later.get(result.rule, result) for result in self._judge(found)),
            *check_rows(self._contract.rows, rows, self._rows_before()),
        ]
        self._raise_breaches(results)
        if results:
            self._progress.say("contract", rules=len(results))
        return results

    def _judge(self, found: list[Found]) -> list[RuleResult]:
        now = datetime.now(UTC)
        for check, finding in zip(self._checks, found, strict=True):
            if isinstance(check, Fresh) and finding.measured is None and not self._is_whole:
                finding.measured = self._newest_before(check)
        return [judge(check, finding, now) for check, finding in zip(self._checks, found, strict=True)]

    def _newest_before(self, check: Fresh) -> datetime | None:
        """Return the newest value of the version before, to which an import without new rows adds nothing."""
        for result in self._previous.contract if self._previous else ():
            if result.rule == check.rule:
                with suppress(ValueError):  # there was none either
                    return datetime.fromisoformat(result.measured.removeprefix(NEWEST))
        return None

    def _rows_before(self) -> int | None:
        return self._previous.rows if self._previous else None

    def _raise_breaches(self, results: list[RuleResult]) -> None:
        breached = [result for result in results if not result.passed]
        if breached:
            self._progress.say(
                "contract", rules=len(results), breached=", ".join(result.rule for result in breached)
            )
            raise ContractBreachError(self._asset, breached)
