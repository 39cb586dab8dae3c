"""The checks of a contract on rows that stream by, a row group at a time."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from importer.job.contract.arrow_values import beyond, limit_of, plain, plain_scalar, python_value, values_in
from importer.job.contract.checks import Allowed, Bound, Check, Found, Fresh, NotNull, Unique
from importer.job.contract.values import RowValue
from importer.lake.contract_result import EXAMPLES

if TYPE_CHECKING:
    from importer.job.contract.keys import Keys

#: How many breaching rows of a row group are searched for examples.
_LOOKED_AT = 100


class StreamChecks:
    """The checks, and what the rows have shown so far; only the keys of `Unique` take memory."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks
        self._found = [Found() for _ in checks]
        self._keys: Keys | None = None

    def start(self) -> None:
        """Forget what earlier row groups have shown."""
        self.close()
        self._found = [Found() for _ in self._checks]
        if any(isinstance(check, Unique) for check in self._checks):
            from importer.job.contract.keys import Keys  # DuckDB takes memory of its own

            self._keys = Keys()

    def see(self, group: pa.Table) -> None:
        """Check the rows of a row group."""
        extremes = _Extremes(group)
        for number, (check, found) in enumerate(zip(self._checks, self._found, strict=True)):
            match check:
                case NotNull():
                    found.count += group.column(check.column).null_count
                case Bound():
                    _see_extreme(found, extremes.of(check.column), is_max=check.is_max)
                    _see_bound(check, found, group.column(check.column), extremes.of(check.column))
                case Allowed():
                    _see_allowed(check, found, group.column(check.column))
                case Unique():
                    if self._keys:
                        self._keys.add(f"k{number}", [group.column(name) for name in check.columns])
                case Fresh():
                    _see_extreme(found, extremes.of(check.column), is_max=True)
                case _:
                    assert_never(check)

    def finish(self) -> list[Found]:
        """Return the finding of each check."""
        for number, check in enumerate(self._checks):
            if isinstance(check, Unique) and self._keys:
                count, keys = self._keys.repeated(f"k{number}", EXAMPLES)
                examples = [tuple(python_value(v) for v in row) for row in zip(*keys.columns, strict=True)]
                self._found[number] = Found(count, [_known(example) for example in examples])
        return self._found

    def close(self) -> None:
        """Delete the keys."""
        if self._keys:
            self._keys.close()
            self._keys = None


class _Extremes:
    """The smallest and the largest value of the columns of a row group; each is computed once."""

    def __init__(self, group: pa.Table) -> None:
        self._group = group
        self._known: dict[str, pa.StructScalar] = {}

    def of(self, column: str) -> pa.StructScalar:
        if column not in self._known:
            self._known[column] = pc.min_max(self._group.column(column))
        return self._known[column]


def _see_extreme(found: Found, extremes: pa.StructScalar, *, is_max: bool) -> None:
    """Note the smallest or the largest value so far; not of text, which may be long."""
    extreme = extremes["max" if is_max else "min"]
    if extreme.is_valid and not pa.types.is_string(extreme.type):
        found.measured = _further(found.measured, python_value(extreme), is_max=is_max)


def _see_bound(check: Bound, found: Found, column: pa.ChunkedArray, extremes: pa.StructScalar) -> None:
    extreme = extremes["max" if check.is_max else "min"]
    is_breached = pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py()
    limit = limit_of(check.value, column.type, is_max=check.is_max)
    if extreme.is_valid and not is_breached:
        furthest = plain_scalar(extreme)
        # both are of one type
        is_breached = furthest > limit if check.is_max else furthest < limit  # type: ignore[operator]
    if is_breached:
        _note(found, column, beyond(plain(column), limit, is_max=check.is_max))


def _see_allowed(check: Allowed, found: Found, column: pa.ChunkedArray) -> None:
    known = pc.is_in(plain(column), value_set=values_in(check.values, column.type))
    # is_in is false for NULL
    if pc.sum(known).as_py() != len(column) - column.null_count:
        _note(found, column, pc.and_(pc.invert(known), pc.is_valid(column)))


def _note(found: Found, column: pa.ChunkedArray, breaching: pa.ChunkedArray) -> None:
    found.count += pc.sum(breaching).as_py() or 0
    if len(found.examples) < EXAMPLES:
        for scalar in column.filter(breaching).slice(0, _LOOKED_AT):
            example = _known((python_value(scalar),))
            if example not in found.examples and len(found.examples) < EXAMPLES:
                found.examples.append(example)


def _known(values: Iterable[RowValue | None]) -> tuple[RowValue, ...]:
    return tuple(value for value in values if value is not None)


def _further(one: RowValue | None, other: RowValue | None, *, is_max: bool) -> RowValue | None:
    known = _known((one, other))
    if len(known) < 2:
        return known[0] if known else None
    first, second = known
    return max(first, second) if is_max else min(first, second)
