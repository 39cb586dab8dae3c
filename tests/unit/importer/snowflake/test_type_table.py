"""How Snowflake's types are stored: a closed table, in both modes."""

from typing import Any, get_args

import pyarrow as pa
import pytest

from importer.errors import ImporterError
from importer.lake.manifest import Cast
from importer.snowflake.columns import DescribedColumn, type_text
from importer.snowflake.type_table import (
    TYPES,
    Refused,
    TypeOptions,
    arrow_schema,
    casts,
    check_columns,
    check_options,
)
from importer.spec.import_spec import Mode
from importer.spec.snowflake_types import SnowflakeType, normal_type

NANOSECONDS = TypeOptions(nanoseconds=True)


def described(**response: Any) -> DescribedColumn:
    """Return the column C of a response's `rowtype`."""
    return DescribedColumn.of({"name": "C", "nullable": True, **response})


def moment(kind: str, scale: int = 9) -> DescribedColumn:
    return described(type=kind, precision=0, scale=scale)


VECTOR = described(type="vector", vectorDimension=3, fields=[{"type": "real", "nullable": True}])
INTEGERS = described(type="vector", vectorDimension=2, fields=[{"type": "fixed", "nullable": True}])
WHOLE = described(type="fixed", precision=38, scale=0)


@pytest.mark.parametrize(
    ("column", "text", "streamed", "unloaded"),
    [
        (WHOLE, "NUMBER(38,0)", pa.int64(), pa.int64()),
        (
            described(type="fixed", precision=12, scale=2),
            "NUMBER(12,2)",
            pa.decimal128(12, 2),
            pa.decimal128(12, 2),
        ),
        (described(type="real"), "FLOAT", pa.float64(), pa.float64()),
        (described(type="text", length=20), "VARCHAR(20)", pa.string(), pa.string()),
        (described(type="binary"), "BINARY", pa.binary(), pa.binary()),
        (described(type="boolean"), "BOOLEAN", pa.bool_(), pa.bool_()),
        (described(type="date"), "DATE", pa.date32(), pa.date32()),
        (moment("time"), "TIME(9)", pa.time64("us"), pa.time64("us")),
        (moment("timestamp_ntz"), "TIMESTAMP_NTZ(9)", pa.timestamp("us"), pa.timestamp("us")),
        (moment("timestamp_ltz", 3), "TIMESTAMP_LTZ(3)", pa.timestamp("us", "UTC"), pa.timestamp("us")),
        (moment("timestamp_tz"), "TIMESTAMP_TZ(9)", pa.timestamp("us", "UTC"), pa.timestamp("us")),
        (described(type="variant"), "VARIANT", pa.string(), pa.string()),
        (described(type="object"), "OBJECT", pa.string(), pa.string()),
        (described(type="array"), "ARRAY", pa.string(), pa.string()),
        (described(type="map"), "MAP", pa.string(), pa.string()),
        (described(type="object", extTypeName="GEOGRAPHY"), "GEOGRAPHY", pa.string(), pa.string()),
        (described(type="object", extTypeName="GEOMETRY"), "GEOMETRY", pa.string(), pa.string()),
        (VECTOR, "VECTOR(FLOAT,3)", pa.list_(pa.float32()), pa.string()),
        (INTEGERS, "VECTOR(INT,2)", pa.list_(pa.int32()), pa.string()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_type_in_parquet_follows_from_the_description(
    column: DescribedColumn, text: str, streamed: pa.DataType, unloaded: pa.DataType
) -> None:
    assert type_text(column) == text == normal_type(text)
    assert arrow_schema([column], "stream", TypeOptions()).types == [streamed]
    assert arrow_schema([column], "unload", TypeOptions()).types == [unloaded]


@pytest.mark.parametrize("kind", [kind for kind, rule in TYPES.items() if isinstance(rule, Refused)])
def test_type_that_parquet_does_not_have_is_refused_with_what_to_do(kind: SnowflakeType) -> None:
    with pytest.raises(ImporterError, match=rf"^column C has the type {kind}, .* (cast|select) it"):
        check_columns([described(type=kind.lower())])


def test_every_type_has_its_place_in_the_table() -> None:
    assert set(TYPES) == set(SnowflakeType)
    refused = {kind for kind, rule in TYPES.items() if isinstance(rule, Refused)}
    assert refused == {"DECFLOAT", "FILE", "INTERVAL_DAY_TIME", "INTERVAL_YEAR_MONTH"}


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ({"type": "uuid"}, "column C has the type UUID, which the importer does not know: cast it"),
        ({"type": "fixed", "extTypeName": "NEWER"}, "column C has the type NEWER"),
        ({"type": "array", "fields": [{"type": "fixed"}]}, "column C is a structured ARRAY: cast it"),
    ],
)
def test_type_that_is_not_known_is_an_error_and_no_number(response: dict[str, Any], message: str) -> None:
    with pytest.raises(ImporterError, match=message):
        described(**response)


def test_columns_with_one_name_are_refused() -> None:
    with pytest.raises(ImporterError, match="returns column C twice"):
        check_columns([WHOLE, VECTOR])


def test_whole_numbers_of_decimal_columns_are_decimals_in_both_modes() -> None:
    for mode in get_args(Mode):
        assert arrow_schema([WHOLE], mode, TypeOptions(decimal=("C",))).types == [pa.decimal128(38, 0)]
    check_options([WHOLE], TypeOptions(decimal=("C",)))
    with pytest.raises(ImporterError, match="decimal: C is a VECTOR"):
        check_options([VECTOR], TypeOptions(decimal=("C",)))


def test_nanoseconds_are_kept_if_they_are_asked_for() -> None:
    columns = [moment("time"), moment("timestamp_ntz"), moment("timestamp_tz"), moment("timestamp_ntz", 6)]
    assert [type_.unit for type_ in arrow_schema(columns, "stream", NANOSECONDS).types] == [
        *("ns", "ns", "ns"),
        "us",
    ]
    assert casts(columns, "stream", NANOSECONDS) == [Cast("C", "TIMESTAMP_TZ(9)", "TIMESTAMP_LTZ(9)")]


@pytest.mark.parametrize(
    ("column", "streamed", "unloaded"),
    [
        (moment("timestamp_tz", 3), "TIMESTAMP_LTZ(3)", "TIMESTAMP_NTZ(3)"),
        (moment("timestamp_tz"), "TIMESTAMP_LTZ(6)", "TIMESTAMP_NTZ(6)"),
        (moment("timestamp_ltz", 3), None, "TIMESTAMP_NTZ(3)"),
        (moment("timestamp_ntz"), "TIMESTAMP_NTZ(6)", "TIMESTAMP_NTZ(6)"),
        (moment("timestamp_ntz", 6), None, None),
        (moment("time"), "TIME(6)", "TIME(6)"),
        (described(type="variant"), "VARCHAR", "VARCHAR"),
        (VECTOR, None, "VARCHAR"),
        (WHOLE, None, None),
    ],
)
def test_conversion_that_loses_something_is_recorded(
    column: DescribedColumn, streamed: str | None, unloaded: str | None
) -> None:
    for mode, target in zip(get_args(Mode), (streamed, unloaded), strict=True):
        recorded = [Cast("C", type_text(column), target)] if target else []
        assert casts([column], mode, TypeOptions()) == recorded
