"""Values of a contract compared with Arrow columns: exact, whatever the column's type."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import assert_never, cast

import pyarrow as pa
import pyarrow.compute as pc

from importer.job.contract.values import RowValue, RuleValue, inwards

#: A value that compares with those of `plain`: dates and times are numbers.
Plain = int | Decimal | float | str | bool

#: The most digits of an Arrow decimal.
_DIGITS = 76

_INT64 = (-(2**63), 2**63 - 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with dates and times as numbers, in its unit; other values stay as they are."""
    if pa.types.is_temporal(column.type):
        return column.cast(pa.int32() if pa.types.is_date32(column.type) else pa.int64())
    return column


def plain_scalar(scalar: pa.Scalar) -> Plain:
    """Return the value of a scalar that is not NULL, converted as by `plain`."""
    return cast(Plain, scalar.value if pa.types.is_temporal(scalar.type) else scalar.as_py())


def python_value(scalar: pa.Scalar) -> RowValue | None:
    """Return the value of a scalar; times are cut to microseconds and to the years that Python supports."""
    kind = scalar.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        scalar = scalar.cast(pa.timestamp("us", kind.tz), safe=False)
    if pa.types.is_time64(kind) and kind.unit == "ns":
        scalar = scalar.cast(pa.time64("us"), safe=False)
    try:
        return cast(RowValue | None, scalar.as_py())
    except (OverflowError, ValueError):
        if pa.types.is_date(kind):
            return date.max if scalar.value > 0 else date.min
        furthest = datetime.max if scalar.value > 0 else datetime.min
        return furthest.replace(tzinfo=UTC if kind.tz else None)


def limit_of(value: RuleValue, kind: pa.DataType, *, is_max: bool) -> Plain:
    """Return a bound as it compares with a `plain` column that had the type `kind`."""
    if isinstance(value, Decimal):
        decimals = kind.scale if pa.types.is_decimal(kind) else 0
        rounded = inwards(value, decimals, is_max=is_max)
        return int(rounded) if pa.types.is_integer(kind) else rounded
    return _number(value, kind)


def values_in(values: Sequence[RuleValue], kind: pa.DataType) -> pa.Array:
    """Return the values that a column of type `kind` can hold, converted as by `plain`."""
    held = []
    for value in values:
        if not isinstance(value, Decimal):
            held.append(_number(value, kind))
        elif limit_of(value, kind, is_max=True) == value and _is_within(value, kind):
            held.append(int(value) if pa.types.is_integer(kind) else value)
    return pa.array(held, plain(pa.chunked_array([pa.array([], kind)])).type)


def beyond(column: pa.ChunkedArray, limit: Plain, *, is_max: bool) -> pa.ChunkedArray:
    """Return which values of a `plain` column are above the limit, or below it; NaN is always beyond it."""
    compare: Callable[[pa.ChunkedArray, pa.Scalar], pa.ChunkedArray] = pc.greater if is_max else pc.less
    kind = column.type
    if pa.types.is_decimal(kind):
        wide = pa.decimal256(_DIGITS, kind.scale)
        return compare(column.cast(wide), pa.scalar(limit, wide))
    if pa.types.is_integer(kind):
        if isinstance(limit, int) and not _INT64[0] <= limit <= _INT64[1]:
            return pc.is_valid(column) if is_max == (limit < 0) else pc.is_null(pc.is_valid(column))
        return compare(column.cast(pa.int64()), pa.scalar(limit, pa.int64()))
    outside = compare(column, pa.scalar(limit, kind))
    return pc.or_(outside, pc.is_nan(column)) if pa.types.is_floating(kind) else outside


def _is_within(value: Decimal, kind: pa.DataType) -> bool:
    if pa.types.is_integer(kind):
        return _INT64[0] <= value <= _INT64[1]
    return bool(value.adjusted() < kind.precision - kind.scale or not value)


def _number(value: RuleValue, kind: pa.DataType) -> Plain:
    """Return a date or a time as a number in the unit of the column; other values as they are."""
    match value:
        case datetime():
            since = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
            return since // timedelta(microseconds=1) * _per_us(kind)
        case date():
            return (value - _EPOCH.date()).days
        case time():
            seconds = (value.hour * 60 + value.minute) * 60 + value.second
            return (seconds * 1_000_000 + value.microsecond) * _per_us(kind)
        case bool() | Decimal() | int() | float() | str():
            return value
        case _:
            assert_never(value)


def _per_us(kind: pa.DataType) -> int:
    return 1000 if kind.unit == "ns" else 1
