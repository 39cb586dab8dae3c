"""Columns as Snowflake encodes them in Arrow, and their values."""

from datetime import UTC, datetime, time
from decimal import Decimal
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from snowflake.connector.arrow_context import ArrowConverterContext
from snowflake.connector.nanoarrow_arrow_iterator import PyArrowTableIterator

from importer.errors import ImporterError
from importer.snowflake.chunk_decoder import decode


def decoded(values: pa.Array, kind: str, scale: int = 0, *, nanoseconds: bool = False) -> pa.ChunkedArray:
    """Return a column of that logical type; the first value is left out, as in a slice of a chunk."""
    field = pa.field("C", values.type, metadata={"logicalType": kind, "scale": str(scale)})
    return decode(pa.table([values], schema=pa.schema([field])).slice(1), nanoseconds=nanoseconds)["C"]


def parts(*rows: dict[str, int] | None, zone: bool = False) -> pa.Array:
    names = ["epoch", "fraction", *(["timezone"] if zone else [])]
    types = [pa.int64(), pa.int32(), pa.int32()]
    return pa.array([None, *rows], pa.struct(list(zip(names, types, strict=False))))


@pytest.mark.parametrize("kind", [pa.int8(), pa.int16(), pa.int32(), pa.int64()])
def test_whole_number_with_a_scale_becomes_a_decimal(kind: pa.DataType) -> None:
    column = decoded(pa.array([0, 125, None, -7], kind), "FIXED", 2)
    assert column.to_pylist() == [Decimal("1.25"), None, Decimal("-0.07")]


def test_largest_number_and_the_largest_scale_keep_their_digits() -> None:
    assert decoded(pa.array([0, 2**63 - 1, -(2**63)]), "FIXED", 37).to_pylist() == [
        Decimal(2**63 - 1).scaleb(-37),
        Decimal(-(2**63)).scaleb(-37),
    ]


def test_whole_numbers_decimals_and_text_are_unchanged() -> None:
    assert decoded(pa.array([0, 1], pa.int8()), "FIXED").to_pylist() == [1]
    digits = Decimal("9" * 36 + ".99")
    assert decoded(pa.array([None, digits], pa.decimal128(38, 2)), "FIXED", 2).to_pylist() == [digits]
    assert decoded(pa.array(["", "{}"]), "VARIANT").to_pylist() == ["{}"]


def test_times_keep_the_digits_of_their_scale() -> None:
    assert decoded(pa.array([0, 1_500, None], pa.int32()), "TIME", 3).to_pylist() == [
        time(0, 0, 1, 500_000),
        None,
    ]
    nanoseconds = decoded(pa.array([0, 1_000_000_001]), "TIME", 9, nanoseconds=True)
    assert nanoseconds.cast(pa.int64()).to_pylist() == [1_000_000_001]


@pytest.mark.parametrize(
    ("values", "kind", "microseconds"),
    [
        (pa.array([0, 1_000_001_999]), "TIME", 1_000_001),
        (pa.array([0, 1_999]), "TIMESTAMP_NTZ", 1),
        (pa.array([0, -1]), "TIMESTAMP_NTZ", -1),
        (pa.array([0, -1000]), "TIMESTAMP_NTZ", -1),
    ],
)
def test_digits_beyond_microseconds_are_cut_to_the_earlier_microsecond(
    values: pa.Array, kind: str, microseconds: int
) -> None:
    column = decoded(values, kind, 9)
    assert column.type.unit == "us"
    assert column.cast(pa.int64()).to_pylist() == [microseconds]


@pytest.mark.parametrize(("scale", "unit"), [(0, "us"), (3, "us"), (6, "us"), (7, "ns"), (9, "ns")])
def test_timestamp_in_one_number_is_read_by_its_scale(scale: int, unit: str) -> None:
    values = pa.array([0, -(10**scale), None])
    assert decoded(values, "TIMESTAMP_NTZ", scale).type == pa.timestamp("us")
    column = decoded(values, "TIMESTAMP_NTZ", scale, nanoseconds=True)
    assert column.type == pa.timestamp(unit)
    assert column.cast(pa.timestamp("us")).to_pylist() == [datetime(1969, 12, 31, 23, 59, 59), None]


def test_timestamp_in_seconds_and_fraction_is_their_sum() -> None:
    before_1970: Any = parts({"epoch": -1, "fraction": 999_999_999}, None)
    column = decoded(before_1970, "TIMESTAMP_NTZ", 9, nanoseconds=True)
    assert column.cast(pa.int64()).to_pylist() == [-1, None]
    assert decoded(before_1970, "TIMESTAMP_NTZ", 9).cast(pa.int64()).to_pylist() == [-1, None]


@pytest.mark.parametrize("kind", ["TIMESTAMP_TZ", "TIMESTAMP_LTZ"])
def test_timestamp_with_a_zone_is_converted_to_utc(kind: str) -> None:
    rows = parts({"epoch": 0, "fraction": 1000, "timezone": 1500}, zone=True)
    assert decoded(rows, kind, 6).to_pylist() == [datetime(1970, 1, 1, microsecond=1, tzinfo=UTC)]


def test_short_timestamp_with_a_zone_has_no_fraction() -> None:
    kind = pa.struct([("epoch", pa.int64()), ("timezone", pa.int32())])
    rows = pa.array([None, {"epoch": 1_500, "timezone": 1440}], kind)
    assert decoded(rows, "TIMESTAMP_TZ", 3).to_pylist() == [datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)]


def test_year_9999_has_microseconds() -> None:
    year_9999 = 253_402_300_799
    column = decoded(parts({"epoch": year_9999, "fraction": 1001}), "TIMESTAMP_NTZ", 9)
    assert column.to_pylist() == [datetime(9999, 12, 31, 23, 59, 59, 1)]


def test_timestamp_beyond_nanoseconds_is_an_error_with_the_setting_and_the_cast_to_use() -> None:
    with pytest.raises(
        ImporterError,
        match=r"^column C has a timestamp outside .*: remove .* setting nanoseconds, .* TIMESTAMP_NTZ\(6\)$",
    ):
        decoded(parts({"epoch": 253_402_300_799, "fraction": 1}), "TIMESTAMP_NTZ", 9, nanoseconds=True)


def stored(kind: str, scale: int, values: pa.Array) -> tuple[pa.Field, pa.Array]:
    # the connector asks how many bytes a timestamp with a zone has
    size = 16 if pa.types.is_struct(values.type) and values.type.get_field_index("fraction") >= 0 else 8
    return pa.field(f"{kind}_{scale}_{values.type}", values.type, metadata=meta(kind, scale, size)), values


def meta(kind: str, scale: int, size: int) -> dict[str, str]:
    return {
        "logicalType": kind,
        "scale": str(scale),
        "precision": "38",
        "charLength": "0",
        "byteLength": str(size),
        "finalType": "T",
    }


def encodings() -> list[tuple[pa.Field, pa.Array]]:
    """Return a column of each way in which Snowflake sends numbers, times and timestamps."""
    random = Random(1)  # noqa: S311 - the same numbers each time

    def numbers(bits: int, most: int | None = None) -> list[int | None]:
        top = min(2 ** (bits - 1) - 1, most or 2**63)
        drawn = [random.randint(-top if most is None else 0, top) for _ in range(60)]
        return [0, top, None, *drawn]

    def moments(most_seconds: int, *, zone: bool) -> list[dict[str, int] | None]:
        drawn = [random.randint(-most_seconds, most_seconds) for _ in range(60)]
        extra = {"timezone": 1080} if zone else {}
        return [
            None,
            *({"epoch": s, "fraction": random.randint(0, 999_999) * 1000, **extra} for s in (0, -1, *drawn)),
        ]

    columns = []
    for bits in (8, 16, 32, 64):
        columns += [stored("FIXED", s, pa.array(numbers(bits), f"int{bits}")) for s in (0, 1, 2, 10, 37)]
    columns.append(stored("FIXED", 5, pa.array([None, Decimal("9" * 33 + ".12345")], pa.decimal128(38, 5))))
    columns += [stored("TIME", s, pa.array(numbers(64, 86_400 * 10**s - 1), "int64")) for s in (0, 3, 6)]
    columns.append(stored("TIME", 3, pa.array(numbers(32, 86_400_000 - 1), "int32")))
    seconds_of_us = 60_000_000_000
    with_fraction = [("epoch", pa.int64()), ("fraction", pa.int32())]
    for kind in ("TIMESTAMP_NTZ", "TIMESTAMP_LTZ"):
        columns += [
            stored(kind, s, pa.array(numbers(64, seconds_of_us * 10**s), "int64")) for s in (0, 1, 3, 5, 6)
        ]
        for scale in (7, 8, 9):  # less comes in one number
            columns.append(
                stored(kind, scale, pa.array(moments(9_000_000_000, zone=False), pa.struct(with_fraction)))
            )
    zoned = pa.struct([*with_fraction, ("timezone", pa.int32())])
    columns += [stored("TIMESTAMP_TZ", s, pa.array(moments(9_000_000_000, zone=True), zoned)) for s in (6, 9)]
    short = pa.struct([("epoch", pa.int64()), ("timezone", pa.int32())])
    for scale in (0, 3, 5):
        rows: list[Any] = [n if n is None else {"epoch": n, "timezone": 1500} for n in numbers(36)]
        columns.append(stored("TIMESTAMP_TZ", scale, pa.array(rows, short)))
    return columns


@pytest.mark.parametrize("encoding", encodings(), ids=lambda encoding: encoding[0].name)
def test_decoded_values_equal_those_of_the_connector(encoding: tuple[pa.Field, pa.Array]) -> None:
    field, values = encoding
    table = pa.table([values], schema=pa.schema([field]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    context = ArrowConverterContext({"TIMEZONE": "UTC"})
    iterator = PyArrowTableIterator(
        None, sink.getvalue().to_pybytes(), context, False, False, True, True, False
    )
    (expected,) = iterator
    found = decode(table, nanoseconds=True).column(0)

    if pa.types.is_decimal(found.type):
        assert found.to_pylist() == expected.column(0).cast(found.type).to_pylist()
    elif pa.types.is_temporal(found.type):
        assert (
            found.cast(pa.int64()).to_pylist()
            == expected.column(0).cast(found.type).cast(pa.int64()).to_pylist()
        )
    else:
        assert found.to_pylist() == expected.column(0).to_pylist()
