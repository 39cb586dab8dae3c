"""The checks of a contract on the footers of unloaded files: the table may have changed after its check."""

from datetime import UTC, datetime
from typing import assert_never

import pyarrow.parquet as pq

from importer.job.contract.checks import Allowed, Bound, Check, Fresh, NotNull, Unique
from importer.job.contract.values import Family, RowValue, value_text
from importer.lake.contract_result import RuleResult

#: The families whose smallest and largest value a footer has in full: of text it has the first bytes only.
_COMPARED = (Family.NUMBER, Family.FLOAT, Family.DATE, Family.TIME, Family.MOMENT, Family.ZONED)


class FooterChecks:
    """The checks that the statistics of a file can breach, and their results so far."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks
        self._nulls: dict[str, int] = {}
        self._breached: dict[str, RuleResult] = {}

    def see(self, footer: pq.FileMetaData) -> None:
        """Compare the statistics of one file with the checks."""
        for check in self._checks:
            match check:
                case NotNull():
                    for statistics in _statistics(footer, check.column):
                        self._see_nulls(check, statistics)
                case Bound():
                    for statistics in _statistics(footer, check.column):
                        self._see_extreme(check, statistics)
                case Allowed() | Unique() | Fresh():
                    pass  # not in the statistics
                case _:
                    assert_never(check)

    def breached(self) -> list[RuleResult]:
        """Return the results of the checks that the files breach."""
        return list(self._breached.values())

    def _see_nulls(self, check: NotNull, statistics: pq.Statistics) -> None:
        if statistics.has_null_count and statistics.null_count:
            nulls = self._nulls[check.rule] = self._nulls.get(check.rule, 0) + statistics.null_count
            self._fail(check, "no NULL", f"{nulls} NULL{'' if nulls == 1 else 's'}")

    def _see_extreme(self, check: Bound, statistics: pq.Statistics) -> None:
        if check.family not in _COMPARED or not statistics.has_min_max:
            return
        found: RowValue = statistics.max if check.is_max else statistics.min
        if isinstance(found, datetime):  # in the file, a time has no zone, or UTC
            found = found.replace(tzinfo=UTC if check.family is Family.ZONED else None)
        if found > check.value if check.is_max else found < check.value:  # type: ignore[operator]
            self._fail(check, check.text, f"a value is {value_text(found)}, expected {check.text}")

    def _fail(self, check: Check, expected: str, measured: str) -> None:
        measured = f"{measured}, since the table changed after the check"
        self._breached[check.rule] = RuleResult(check.rule, expected, measured, False)


def _statistics(footer: pq.FileMetaData, column: str) -> list[pq.Statistics]:
    """Return the statistics of a column, those of each row group that has some."""
    place = footer.schema.names.index(column)
    found = [footer.row_group(group).column(place).statistics for group in range(footer.num_row_groups)]
    return [statistics for statistics in found if statistics is not None]
