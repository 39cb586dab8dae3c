"""The checks of a contract on rows that stream by, a row group at a time."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from importer.job.contract.checks import Allowed, Bound, Check, Found, Fresh, NotNull, Unique
from importer.job.contract.limits import beyond, limit_of, plain, plain_scalar, python_value, values_in
from importer.job.contract.values import Typed
from importer.lake.contract_result import EXAMPLES
from importer.lake.parquet import Watcher

if TYPE_CHECKING:
    from importer.job.contract.keys import Keys

#: Examples are looked for among so many breaching rows of a group.
_LOOKED_AT = 100


class RowsWatch:
    """What passes by, as far as the checks want to know; it takes memory for the keys of `Unique` only."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks
        self._found = [Found() for _ in checks]
        self._keys: Keys | None = None

    def start(self) -> Watcher:
        """Return what is to see each row group, forgetting those seen before."""
        self.close()
        self._found = [Found() for _ in self._checks]
        if any(isinstance(check, Unique) for check in self._checks):
            from importer.job.contract.keys import Keys  # DuckDB takes memory of its own

            self._keys = Keys()
        return self._see

    def finish(self) -> list[Found]:
        """Return what was found, a finding for each check."""
        for number, check in enumerate(self._checks):
            if isinstance(check, Unique) and self._keys:
                count, keys = self._keys.repeated(f"k{number}", EXAMPLES)
                examples = [tuple(python_value(v) for v in row) for row in zip(*keys.columns, strict=True)]
                self._found[number] = Found(count, [_known(example) for example in examples])
        return self._found

    def close(self) -> None:
        """Give back what the keys take."""
        if self._keys:
            self._keys.close()
            self._keys = None

    def _see(self, group: pa.Table) -> None:
        extremes: dict[str, pa.StructScalar] = {}
        for number, (check, found) in enumerate(zip(self._checks, self._found, strict=True)):
            column = group.column(check.column)
            if isinstance(check, NotNull):
                found.count += column.null_count
            elif isinstance(check, Allowed):
                _see_others(check, found, column)
            elif isinstance(check, Unique):
                if self._keys:
                    self._keys.add(f"k{number}", [group.column(name) for name in check.columns])
            else:
                if check.column not in extremes:
                    extremes[check.column] = pc.min_max(column)
                _see_extremes(check, found, column, extremes[check.column])


def _see_extremes(check: Check, found: Found, column: pa.ChunkedArray, extremes: pa.StructScalar) -> None:
    is_max = isinstance(check, Fresh) or (isinstance(check, Bound) and check.is_max)
    extreme = extremes["max" if is_max else "min"]
    if extreme.is_valid and not pa.types.is_string(column.type):
        value = python_value(extreme)
        found.measured = _further(found.measured, value, is_max=is_max)
    if not isinstance(check, Bound):
        return
    is_breached = pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py()
    limit = limit_of(check.value, column.type, is_max=is_max)
    if extreme.is_valid and not is_breached:
        furthest = plain_scalar(extreme)
        is_breached = furthest > limit if is_max else furthest < limit  # type: ignore[operator] # of one type
    if is_breached:
        _note(found, column, beyond(plain(column), limit, is_max=is_max))


def _see_others(check: Allowed, found: Found, column: pa.ChunkedArray) -> None:
    known = pc.is_in(plain(column), value_set=values_in(check.values, column.type))
    # is_in says of a NULL that it is none of them
    if pc.sum(known).as_py() != len(column) - column.null_count:
        _note(found, column, pc.and_(pc.invert(known), pc.is_valid(column)))


def _note(found: Found, column: pa.ChunkedArray, breaching: pa.ChunkedArray) -> None:
    found.count += pc.sum(breaching).as_py() or 0
    if len(found.examples) < EXAMPLES:
        for scalar in column.filter(breaching).slice(0, _LOOKED_AT):
            example = _known((python_value(scalar),))
            if example not in found.examples and len(found.examples) < EXAMPLES:
                found.examples.append(example)


def _known(values: Iterable[Typed | None]) -> tuple[Typed, ...]:
    return tuple(value for value in values if value is not None)


def _further(one: Typed | None, other: Typed | None, *, is_max: bool) -> Typed | None:
    known = _known((one, other))
    if len(known) < 2:
        return known[0] if known else None
    first, second = known
    return max(first, second) if is_max else min(first, second)
