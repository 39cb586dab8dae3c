"""The values of a contract in the types of its columns, and how messages show a value."""

from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar, assert_never

from importer.lake.contract_result import shortened
from importer.snowflake.columns import DescribedColumn
from importer.spec.contract import Value
from importer.spec.snowflake_types import SnowflakeType

#: A value that a rule compares with; for a column of type NUMBER it is a decimal.
RuleValue = bool | Decimal | float | str | date | time

#: A value of a row.
RowValue = RuleValue | bytes | bytearray

_Clock = TypeVar("_Clock", time, datetime)

#: The most digits of a NUMBER (https://docs.snowflake.com/en/sql-reference/data-types-numeric#number).
_DIGITS = 38

#: Rounds a decimal of any column without losing a digit.
_EXACT = Context(prec=4 * _DIGITS)


class Family(StrEnum):
    """The kind of a column's values; messages say that a value is not `a number`."""

    NUMBER = "a number"
    FLOAT = "a floating-point number"
    TEXT = "text"
    BOOLEAN = "true or false"
    DATE = "a date"
    TIME = "a time of day"
    MOMENT = "a timestamp without a time zone"
    ZONED = "a timestamp with a time zone"
    BYTES = "bytes"
    NESTED = "semi-structured or spatial"

    @property
    def is_comparable(self) -> bool:
        """Whether a contract can name a value to compare with."""
        match self:
            case Family.NUMBER | Family.FLOAT | Family.TEXT | Family.BOOLEAN:
                return True
            case Family.DATE | Family.TIME | Family.MOMENT | Family.ZONED:
                return True
            case Family.BYTES | Family.NESTED:
                return False
            case _:
                assert_never(self)

    @property
    def is_ordered(self) -> bool:
        """Whether a contract can name a smallest and a largest value."""
        return self.is_comparable and self is not Family.BOOLEAN

    @property
    def is_dated(self) -> bool:
        """Whether a value has an age."""
        return self in (Family.DATE, Family.MOMENT, Family.ZONED)


def family_of(column: DescribedColumn) -> Family:
    """Return the kind of a described column's values."""
    match column.kind:
        case SnowflakeType.NUMBER | SnowflakeType.DECFLOAT:
            return Family.NUMBER
        case SnowflakeType.FLOAT:
            return Family.FLOAT
        case SnowflakeType.VARCHAR:
            return Family.TEXT
        case SnowflakeType.BOOLEAN:
            return Family.BOOLEAN
        case SnowflakeType.DATE:
            return Family.DATE
        case SnowflakeType.TIME:
            return Family.TIME
        case SnowflakeType.TIMESTAMP_NTZ:
            return Family.MOMENT
        case SnowflakeType.TIMESTAMP_LTZ | SnowflakeType.TIMESTAMP_TZ:
            return Family.ZONED
        case SnowflakeType.BINARY:
            return Family.BYTES
        case (
            SnowflakeType.VARIANT
            | SnowflakeType.OBJECT
            | SnowflakeType.ARRAY
            | SnowflakeType.MAP
            | SnowflakeType.VECTOR
            | SnowflakeType.GEOGRAPHY
            | SnowflakeType.GEOMETRY
            | SnowflakeType.FILE
            | SnowflakeType.INTERVAL_YEAR_MONTH
            | SnowflakeType.INTERVAL_DAY_TIME
        ):
            return Family.NESTED
        case _:
            assert_never(column.kind)


def rule_value(value: Value, family: Family) -> RuleValue:
    """Return a value of a contract in the type of its column; a ValueError says that it has another type."""
    try:
        return _parsed(value, family)
    except (ValueError, InvalidOperation):
        raise ValueError(f"{value_text(value)} is not {family}, and the column's values are") from None


def _parsed(value: Value, family: Family) -> RuleValue:
    if isinstance(value, bool) and family is not Family.BOOLEAN:
        raise ValueError
    match family:
        case Family.NUMBER:
            return _number(value)
        case Family.FLOAT:
            return _float(value)
        case Family.BOOLEAN:
            if isinstance(value, bool):
                return value
            raise ValueError
        case Family.TEXT:
            return _text(value)
        case Family.DATE:
            return date.fromisoformat(_text(value))
        case Family.TIME:
            return _without_zone(time.fromisoformat(_text(value)))
        case Family.MOMENT:
            return _without_zone(datetime.fromisoformat(_text(value)))
        case Family.ZONED:
            moment = datetime.fromisoformat(_text(value))
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        case Family.BYTES | Family.NESTED:
            raise ValueError
        case _:
            assert_never(family)


def _number(value: Value) -> Decimal:
    # a float by its shortest text: 0.1 is meant to be 0.1
    number = Decimal(str(value).strip())
    if not number.is_finite() or _digits(number) > _DIGITS:
        raise ValueError
    return number


def _float(value: Value) -> float:
    number = float(value)
    if number != number:
        raise ValueError
    return number


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    raise ValueError


def _without_zone(value: _Clock) -> _Clock:
    if value.tzinfo is not None:
        raise ValueError
    return value


def _digits(number: Decimal) -> int:
    """Return how many digits a number has before and after the point."""
    _, _, exponent = number.as_tuple()
    return max(number.adjusted() + 1, 1) + max(-int(exponent), 0)


def inwards(number: Decimal, decimals: int, *, is_max: bool) -> Decimal:
    """Return a bound rounded to so many decimals; numbers of so many decimals are within both or neither."""
    return number.quantize(Decimal(1).scaleb(-decimals), ROUND_FLOOR if is_max else ROUND_CEILING, _EXACT)


def value_text(value: RowValue | int) -> str:
    """Return a value for a message: long text and bytes are cut, times with a zone are in UTC."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f"'{shortened(value)}'"
        case bytes() | bytearray():
            return shortened(value.hex())
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ") + "Z"
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case Decimal():
            return f"{value:f}"
        case int() | float():
            return "NaN" if value != value else str(value)
        case _:
            assert_never(value)
