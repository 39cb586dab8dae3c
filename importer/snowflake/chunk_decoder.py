"""Decodes Snowflake's Arrow, which describes its values in the columns' metadata, to plain Arrow.

All of Snowflake's drivers do this; the one for Python decodes one value and one chunk at a time
(https://github.com/snowflakedb/snowflake-connector-python, CArrowTableIterator.cpp).
"""

import pyarrow as pa
import pyarrow.compute as pc

from importer.errors import ImporterError

_TIMESTAMPS = ("TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ")

_MICROSECONDS, _NANOSECONDS = 6, 9
_UNITS = {_MICROSECONDS: "us", _NANOSECONDS: "ns"}

#: Fractions of a second in a field of their own are nanoseconds, whatever the column's scale is.
_FRACTION_SCALE = _NANOSECONDS


def decode(table: pa.Table, *, nanoseconds: bool = False) -> pa.Table:
    """Return a chunk's rows with decimals, times and timestamps in Arrow's own types.

    Times have microseconds, and lose further digits; with `nanoseconds` those of a scale above 6 have
    nanoseconds. An ImporterError names a column with a timestamp beyond the range of its unit. Other columns
    are unchanged.
    """
    columns = [
        _decode(column, field, nanoseconds) for column, field in zip(table.columns, table.schema, strict=True)
    ]
    return pa.table(columns, names=table.schema.names)


def _decode(column: pa.ChunkedArray, field: pa.Field, nanoseconds: bool) -> pa.ChunkedArray:
    metadata: dict[bytes, bytes] = field.metadata or {}
    kind = metadata.get(b"logicalType", b"").decode().upper()
    scale = int(metadata.get(b"scale", b"0"))
    if kind == "FIXED" and scale and pa.types.is_integer(field.type):
        return _decimals(column, scale)
    unit_scale = _NANOSECONDS if nanoseconds and scale > _MICROSECONDS else _MICROSECONDS
    if kind == "TIME" and pa.types.is_integer(field.type):
        return _scaled(column, scale, unit_scale).cast(pa.time64(_UNITS[unit_scale]))
    if kind not in _TIMESTAMPS:
        return column
    zone = None if kind == "TIMESTAMP_NTZ" else "UTC"
    try:
        return _since_epoch(column, scale, unit_scale).cast(pa.timestamp(_UNITS[unit_scale], zone))
    except pa.ArrowInvalid:
        if unit_scale == _MICROSECONDS:
            raise
        raise ImporterError(
            f"column {field.name} has a timestamp outside the years 1678 to 2261, which nanoseconds cannot "
            f"hold: remove the import's setting nanoseconds, or cast the column in the query to {kind}(6)"
        ) from None


def _decimals(column: pa.ChunkedArray, scale: int) -> pa.ChunkedArray:
    """Return `column` / 10**scale: the same bytes, read with another type."""
    kind = pa.decimal128(38, scale)
    digits = column.cast(pa.decimal128(38, 0))
    return pa.chunked_array(
        [pa.Array.from_buffers(kind, len(c), c.buffers(), offset=c.offset) for c in digits.chunks], kind
    )


def _since_epoch(column: pa.ChunkedArray, scale: int, unit_scale: int) -> pa.ChunkedArray:
    """Return the time since 1970 in seconds / 10**unit_scale; the time zone field is for display only."""
    if not pa.types.is_struct(column.type):
        return _scaled(column, scale, unit_scale)
    epoch = pc.struct_field(column, "epoch")
    if column.type.get_field_index("fraction") < 0:
        return _scaled(epoch, scale, unit_scale)
    fraction = _scaled(pc.struct_field(column, "fraction"), _FRACTION_SCALE, unit_scale)
    return pc.add_checked(_scaled(epoch, 0, unit_scale), fraction)


def _scaled(column: pa.ChunkedArray, scale: int, unit_scale: int) -> pa.ChunkedArray:
    """Convert numbers of scale `scale` to `unit_scale`, rounding down; raise ArrowInvalid beyond 64 bits."""
    numbers = column.cast(pa.int64())
    if unit_scale >= scale:
        return pc.multiply_checked(numbers, 10 ** (unit_scale - scale)) if unit_scale > scale else numbers
    divisor = 10 ** (scale - unit_scale)
    units = pc.divide(numbers, divisor)  # towards zero
    is_above = pc.greater(pc.multiply(units, divisor), numbers)
    return pc.subtract(units, is_above.cast(pa.int64()))
