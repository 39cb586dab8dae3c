"""What the footers of unloaded files prove against a contract: the table may have changed since its check."""

from datetime import UTC, datetime

import pyarrow.parquet as pq

from importer.job.contract.checks import Bound, Check, NotNull
from importer.job.contract.values import Family, Typed, value_text
from importer.lake.contract_result import RuleResult

#: Of text there are only the first bytes in a footer, and NaN is not in it.
_COMPARED = (Family.NUMBER, Family.FLOAT, Family.DATE, Family.TIME, Family.MOMENT, Family.ZONED)


class FooterWatch:
    """The checks that footers tell something about, and how they turned out."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks
        self._nulls: dict[str, int] = {}
        self._breached: dict[str, RuleResult] = {}

    def see(self, footer: pq.FileMetaData) -> None:
        """Take in the statistics of one file, as far as it has some."""
        names = footer.schema.names
        for check in self._checks:
            place = names.index(check.column)
            for group in range(footer.num_row_groups):
                statistics = footer.row_group(group).column(place).statistics
                if statistics is not None:
                    self._see(check, statistics)

    def breached(self) -> list[RuleResult]:
        """Return the results of the checks that the files breach."""
        return list(self._breached.values())

    def _see(self, check: Check, statistics: pq.Statistics) -> None:
        if isinstance(check, NotNull) and statistics.has_null_count and statistics.null_count:
            nulls = self._nulls[check.rule] = self._nulls.get(check.rule, 0) + statistics.null_count
            self._fail(check, "no NULL", f"{nulls} NULL{'' if nulls == 1 else 's'}")
        if isinstance(check, Bound) and check.family in _COMPARED and statistics.has_min_max:
            found: Typed = statistics.max if check.is_max else statistics.min
            if check.family == Family.ZONED and isinstance(found, datetime):
                found = found.replace(tzinfo=UTC)  # it was made UTC for the file
            if found > check.value if check.is_max else found < check.value:  # type: ignore[operator]
                limit = f"at {'most' if check.is_max else 'least'} {value_text(check.value)}"
                self._fail(check, limit, f"a value is {value_text(found)}, and must be {limit}")

    def _fail(self, check: Check, expected: str, measured: str) -> None:
        measured = f"{measured}, since the table changed after the check"
        self._breached[check.rule] = RuleResult(check.rule, expected, measured, False)
