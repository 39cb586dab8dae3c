"""The contract of an import, checked against the rows of one attempt in either mode."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq
from snowflake.connector import SnowflakeConnection

from importer.job.contract.checks import NEWEST, Check, Found, Fresh, judge, plan_checks
from importer.job.contract.in_footers import FooterChecks
from importer.job.contract.in_snowflake import find_in_snowflake
from importer.job.contract.in_stream import StreamChecks
from importer.job.contract.table_rules import check_columns, check_rows
from importer.lake.contract_result import ContractBreachError, RuleResult
from importer.lake.manifest import Manifest
from importer.progress import Progress
from importer.snowflake.columns import DescribedColumn
from importer.spec.contract import Contract
from importer.spec.import_spec import ImportSpec


class Enforcement:
    """The rules of an import and what one attempt has shown so far; without rules it always passes.

    `previous` is the manifest of the version before this one, None where there is none. A check is evaluated
    on the rows that stream by, or by Snowflake before it unloads them; then the files' footers count too.
    """

    def __init__(self, spec: ImportSpec, previous: Manifest | None, progress: Progress) -> None:
        self._asset = spec.name
        self._contract = spec.contract or Contract()
        self._is_whole = spec.incremental is None
        self._previous = previous
        self._progress = progress
        self._columns: list[RuleResult] = []
        self._checks: list[Check] = []
        self._stream = StreamChecks([])
        self._found: list[Found] | None = None
        self._footers = FooterChecks([])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def check_columns(self, columns: list[DescribedColumn]) -> None:
        """Start again with the query's columns; raise a ContractBreachError where they breach the contract.

        An ImporterError names a rule that does not fit its column's type.
        """
        self._stream.close()
        self._found = None
        self._columns = check_columns(self._contract, columns)
        self._raise_breaches(self._columns)
        self._checks = plan_checks(self._asset, self._contract, columns)
        self._stream = StreamChecks(self._checks)
        self._footers = FooterChecks(self._checks)

    def watch(self, groups: Iterable[pa.Table], total: int) -> Iterator[pa.Table]:
        """Yield the row groups of a query once they are checked, and report how many of all rows are done.

        What the row groups of an earlier call have shown is forgotten.
        """
        self._stream.start()
        done = 0
        for group in groups:
            self._stream.see(group)
            done += group.num_rows
            self._progress.rows(done, total)
            seen = [group]
            del group
            yield seen.pop()  # keeps no reference: the consumer frees it before the next one is made

    def check_in_snowflake(self, connection: SnowflakeConnection, query: str) -> None:
        """Raise a ContractBreachError where the rows that `query` returns now breach the contract."""
        if not self._checks:
            return
        rows, self._found = find_in_snowflake(connection, query, self._checks)
        counted = check_rows(self._contract.rows, rows, self._rows_before()) if self._is_whole else []
        self._raise_breaches([*self._judge(self._found), *counted])

    def see_footer(self, footer: pq.FileMetaData) -> None:
        """Compare the statistics of an unloaded file with the contract."""
        self._footers.see(footer)

    def conclude(self, rows: int) -> list[RuleResult]:
        """Return the result of each rule for a version of `rows` rows; a ContractBreachError if one fails."""
        found = self._stream.finish() if self._found is None else self._found
        in_footers = {result.rule: result for result in self._footers.breached()}
        results = [
            *self._columns,
            *(in_footers.get(result.rule, result) for result in self._judge(found)),
            *check_rows(self._contract.rows, rows, self._rows_before()),
        ]
        self._raise_breaches(results)
        if results:
            self._progress.say("contract holds", rules=len(results))
        return results

    def _judge(self, found: list[Found]) -> list[RuleResult]:
        now = datetime.now(UTC)
        for check, finding in zip(self._checks, found, strict=True):
            if isinstance(check, Fresh) and finding.measured is None and not self._is_whole:
                finding.measured = self._newest_before(check)
        return [judge(check, finding, now) for check, finding in zip(self._checks, found, strict=True)]

    def _newest_before(self, check: Fresh) -> datetime | None:
        """Return the newest value of the previous version: an increment without rows adds none."""
        for result in self._previous.contract if self._previous else ():
            if result.rule == check.rule:
                with suppress(ValueError):  # it had no value either
                    return datetime.fromisoformat(result.measured.removeprefix(NEWEST))
        return None

    def _rows_before(self) -> int | None:
        return self._previous.rows if self._previous else None

    def _raise_breaches(self, results: list[RuleResult]) -> None:
        breached = [result for result in results if not result.passed]
        if breached:
            self._progress.say(
                "contract is broken", rules=len(results), broken=", ".join(r.rule for r in breached)
            )
            raise ContractBreachError(self._asset, breached)
