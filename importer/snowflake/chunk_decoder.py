"""Decodes Snowflake's Arrow, which describes its values in the columns' metadata, to plain Arrow.

All of Snowflake's drivers do this; the one for Python decodes one value and one chunk at a time
(https://github.com/snowflakedb/snowflake-connector-python, CArrowTableIterator.cpp).
"""

import pyarrow as pa
import pyarrow.compute as pc

from importer.errors import ImporterError

_TIMESTAMPS = ("TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ")

#: Fractions of a second in a field of their own are nanoseconds, whatever the column's scale is.
_FRACTION_SCALE = 9


def decode(table: pa.Table) -> pa.Table:
    """Return a chunk's rows with decimals, times and timestamps in Arrow's own types.

    Times have microseconds, or nanoseconds if the column's scale is above 6. If a timestamp is beyond the
    range of nanoseconds, its chunk has microseconds; an ImporterError names the column if these lose digits.
    Other columns are unchanged.
    """
    columns = [_decode(column, field) for column, field in zip(table.columns, table.schema, strict=True)]
    return pa.table(columns, names=table.schema.names)


def _decode(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    metadata: dict[bytes, bytes] = field.metadata or {}
    kind = metadata.get(b"logicalType", b"").decode().upper()
    scale = int(metadata.get(b"scale", b"0"))
    if kind == "FIXED" and scale and pa.types.is_integer(field.type):
        return _decimals(column, scale)
    if kind == "TIME" and pa.types.is_integer(field.type):
        return _times(column, scale)
    if kind not in _TIMESTAMPS:
        return column
    try:
        return _timestamps(column, scale, None if kind == "TIMESTAMP_NTZ" else "UTC")
    except pa.ArrowInvalid:
        raise ImporterError(
            f"column {field.name} has a timestamp with nanoseconds outside the years 1678 to 2261: "
            f"cast it in the query to {kind}(6)"
        ) from None


def _decimals(column: pa.ChunkedArray, scale: int) -> pa.ChunkedArray:
    """Return `column` / 10**scale: the same bytes, read with another type."""
    kind = pa.decimal128(38, scale)
    digits = column.cast(pa.decimal128(38, 0))
    return pa.chunked_array(
        [pa.Array.from_buffers(kind, len(c), c.buffers(), offset=c.offset) for c in digits.chunks], kind
    )


def _times(column: pa.ChunkedArray, scale: int) -> pa.ChunkedArray:
    unit, unit_scale = ("us", 6) if scale <= 6 else ("ns", 9)
    return _scaled(column, scale, unit_scale).cast(pa.time64(unit))


def _timestamps(column: pa.ChunkedArray, scale: int, zone: str | None) -> pa.ChunkedArray:
    if scale > 6:
        try:
            return _since_epoch(column, scale, 9).cast(pa.timestamp("ns", zone))
        except pa.ArrowInvalid:  # beyond 64 bits
            pass
    return _since_epoch(column, scale, 6).cast(pa.timestamp("us", zone))


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
    """Convert numbers of scale `scale` to `unit_scale`; raise ArrowInvalid if that loses digits."""
    numbers = column.cast(pa.int64())
    if unit_scale >= scale:
        return pc.multiply_checked(numbers, 10 ** (unit_scale - scale)) if unit_scale > scale else numbers
    divisor = 10 ** (scale - unit_scale)
    units = pc.divide(numbers, divisor)
    if not pc.all(pc.equal(pc.multiply(units, divisor), numbers), min_count=0).as_py():
        raise pa.ArrowInvalid("a time has more digits than its unit")
    return units
