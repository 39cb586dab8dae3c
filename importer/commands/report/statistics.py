"""The statistics of each column, with counts in bars that both versions share; DuckDB computes them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, assert_never

import duckdb

from importer.commands.report.rows import Column, Kind, VersionRows

#: DuckDB's limit; the state of the aggregates used here is bounded for each column.
_MEMORY = "256MB"

#: A text column with at most this many values is counted by value, else by length.
MAX_VALUES = 50
BARS = 24

#: How many parts of a version are read to choose the edges of the bars; counts are of all rows.
_SAMPLED_PARTS = 4
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 31_556_952
_TIME_STEPS = (
    *(1, 5, 15, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 7 * _DAY, 14 * _DAY, _YEAR / 12, _YEAR / 4, _YEAR, 2 * _YEAR, 5 * _YEAR, 10 * _YEAR),
    *(25 * _YEAR, 100 * _YEAR, 1000 * _YEAR),
)


class Sample(NamedTuple):
    """The range of a column's values (smallest, 1 %, 99 %, largest), and its values if they are few."""

    range: tuple[float, float, float, float] | None
    values: list[str] | None


@dataclass(frozen=True)
class Bars:
    """The bars: one per value, or `count` ranges of width `step` from `low`, and one more at either end."""

    low: float = 0
    step: float = 1
    count: int = 0
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Profile:
    """The statistics of a column of one version.

    `counts` are the rows of each bar: for ranges the first and the last bar are the rows outside, for values
    the last bar is all others. Numbers are those of the values (moments in seconds since 1970), or of the
    lengths of text and bytes.
    """

    rows: int
    nulls: int
    not_finite: int
    distinct: int
    is_distinct_exact: bool
    low: float | None
    high: float | None
    mean: float | None
    median: float | None
    counts: tuple[int, ...]


def sample(rows: VersionRows, columns: list[Column]) -> list[Sample]:
    """Return the range or the values of each column, from a few parts of the version."""
    if not columns:
        return []
    selected = [
        f"approx_top_k(c{i}, {MAX_VALUES + 1}), {_range(i, column)}" for i, column in enumerate(columns)
    ]
    [row] = query(rows, columns, ", ".join(selected), parts=_SAMPLED_PARTS)
    return [
        Sample(_as_range(row[5 * i + 1 : 5 * i + 5]), _few(row[5 * i], column))
        for i, column in enumerate(columns)
    ]


def choose_bars(column: Column, samples: Sequence[Sample]) -> Bars:
    """Return the bars in which a column is counted in all the sampled versions."""
    if column.kind in (Kind.TEXT, Kind.BOOLEAN) and all(s.values is not None for s in samples):
        values = {value for s in samples for value in s.values or ()}
        if len(values) <= MAX_VALUES:
            return Bars(values=tuple(sorted(values)))
    ranges = [s.range for s in samples if s.range is not None]
    if column.kind == Kind.OTHER or not ranges:
        return Bars()
    low, most, least, high = (
        *(min(r[i] for r in ranges) for i in (0, 1)),
        *(max(r[i] for r in ranges) for i in (2, 3)),
    )
    # a few outliers would leave all other values in one bar
    if 0 < 3 * (least - most) < high - low:
        low, high = most, least
    step = _step(high - low, column.kind)
    first = math.floor(low / step)
    return Bars(first * step, step, min(4 * BARS, int(high / step - first) + 1))


def profiles(rows: VersionRows, columns: list[Column], bars: Sequence[Bars]) -> list[Profile]:
    """Return the statistics of each column, in one pass over all rows of the version."""
    if not columns:
        return []
    parameters: dict[str, object] = {}
    for i, b in enumerate(bars):
        edges = {f"low{i}": b.low, f"step{i}": b.step, f"count{i}": b.count}
        parameters |= edges if b.values is None else {f"values{i}": list(b.values)}
    selected = ", ".join(_aggregates(i, column, bars[i]) for i, column in enumerate(columns))
    [row] = query(rows, columns, f"count(*), {selected}", parameters)
    width = (len(row) - 1) // len(columns)
    return [
        _profile(row[0], row[1 + width * i : 1 + width * (i + 1)], column, bars[i])
        for i, column in enumerate(columns)
    ]


def query(
    rows: VersionRows,
    columns: list[Column],
    select: str,
    parameters: dict[str, object] | None = None,
    *,
    parts: int | None = None,
    rest: str = "",
) -> list[tuple[Any, ...]]:
    """Return the result of `SELECT {select} FROM rows {rest}`; the columns are c0, c1, … in their order."""
    with duckdb.connect(config={"memory_limit": _MEMORY, "threads": 2}) as connection:
        connection.register("rows", rows.reader(columns, parts))
        try:
            # the statement contains no name and no value of the data
            return connection.execute(f"SELECT {select} FROM rows {rest}", parameters or {}).fetchall()  # noqa: S608
        except duckdb.Error:
            if rows.failure is not None:
                raise rows.failure from None
            raise


def _measure(i: int, column: Column) -> str:
    return f"length(c{i})::DOUBLE" if column.kind in (Kind.TEXT, Kind.BOOLEAN) else f"c{i}"


def _range(i: int, column: Column) -> str:
    x = _measure(i, column)
    finite = f"FILTER (isfinite({x}))"
    return (
        f"min({x}) {finite}, approx_quantile({x}, 0.01) {finite}, "
        f"approx_quantile({x}, 0.99) {finite}, max({x}) {finite}"
    )


def _aggregates(i: int, column: Column, bars: Bars) -> str:
    x = _measure(i, column)
    finite = f"FILTER (isfinite({x}))"
    if bars.values is not None:
        bar = f"list_position($values{i}::VARCHAR[], c{i})"
        counted = f"histogram_exact({bar}, range(1, {len(bars.values) + 1})) FILTER ({bar} IS NOT NULL)"
    else:
        # bar 0 is below the first range, bar `count` + 1 above the last
        bar = f"least(greatest(floor(({x} - $low{i}) / $step{i}), -1), $count{i}) + 1"
        counted = f"histogram_exact(({bar})::BIGINT, range({bars.count + 2})) {finite}"
    return (
        f"count(c{i}), count(*) FILTER (NOT isfinite({x})), approx_count_distinct(c{i}), min({x}) {finite}, "
        f"max({x}) {finite}, avg({x}) {finite}, approx_quantile({x}, 0.5) {finite}, {counted}"
    )


def _profile(rows: int, row: tuple[Any, ...], column: Column, bars: Bars) -> Profile:
    filled, not_finite, distinct, low, high, mean, median, counted = row
    counts = {int(bar): int(n) for bar, n in (counted or {}).items()}
    if bars.values is None:
        in_bars = tuple(counts.get(bar, 0) for bar in range(bars.count + 2))
    else:
        known = [counts.get(bar + 1, 0) for bar in range(len(bars.values))]
        in_bars = (*known, filled - sum(known))
    is_a_bar_a_value = bars.values is not None or (column.kind == Kind.INTEGER and bars.step == 1)
    others = in_bars[-1] + (in_bars[0] if bars.values is None else 0)
    is_exact = is_a_bar_a_value and not others
    return Profile(
        rows=rows,
        nulls=rows - filled,
        not_finite=not_finite,
        distinct=sum(n > 0 for n in in_bars) if is_exact else min(distinct, filled),
        is_distinct_exact=is_exact or filled == 0 or low == high,
        low=low,
        high=high,
        mean=mean if mean is not None and math.isfinite(mean) else None,
        median=median,
        counts=in_bars,
    )


def _as_range(found: tuple[Any, ...]) -> tuple[float, float, float, float] | None:
    low, first_percent, last_percent, high = found
    return None if low is None else (low, first_percent, last_percent, high)


def _few(values: list[str] | None, column: Column) -> list[str] | None:
    if column.kind not in (Kind.TEXT, Kind.BOOLEAN):
        return None
    found = [value for value in values or [] if value is not None]
    return found if len(found) <= MAX_VALUES else None


def _step(span: float, kind: Kind) -> float:
    """Return a round width of which about BARS bars cover `span`."""
    wanted = span / BARS
    match kind:
        case Kind.MOMENT | Kind.CLOCK:
            return next((step for step in _TIME_STEPS if step >= wanted), _TIME_STEPS[-1])
        case Kind.NUMBER:
            return _number_step(wanted)
        case Kind.INTEGER | Kind.TEXT | Kind.BOOLEAN | Kind.BYTES | Kind.OTHER:
            return max(1.0, math.ceil(_number_step(wanted)))
        case _:
            assert_never(kind)


def _number_step(wanted: float) -> float:
    """Return a round number that is at least `wanted`."""
    if wanted <= 0 or not math.isfinite(wanted):
        return 1.0 if wanted <= 0 else 1e307
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= wanted * 0.999)
