"""Values of a contract in the terms of the column that they are about, and how values read."""

from datetime import UTC, date, datetime, time
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from enum import StrEnum

from snowflake.connector.constants import FIELD_ID_TO_NAME
from snowflake.connector.cursor import ResultMetadata

from importer.lake.contract_result import shortened
from importer.spec.contract import Value

#: A value as Python has it; numbers of a column of type NUMBER are decimals.
Typed = bool | Decimal | float | str | bytes | bytearray | date | time

#: The digits that a NUMBER has at most (https://docs.snowflake.com/en/sql-reference/data-types-numeric#number).
_DIGITS = 38

#: Rounds a decimal of any column without losing a digit.
_EXACT = Context(prec=4 * _DIGITS)


class Family(StrEnum):
    """What the values of a column are; the text completes a message that says what they are not."""

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
    def is_ordered(self) -> bool:
        """Whether one value may be below another."""
        return self not in (Family.BOOLEAN, Family.BYTES, Family.NESTED)

    @property
    def is_dated(self) -> bool:
        """Whether a value has an age."""
        return self in (Family.DATE, Family.MOMENT, Family.ZONED)


_FAMILIES = {
    "FIXED": Family.NUMBER,
    "REAL": Family.FLOAT,
    "TEXT": Family.TEXT,
    "BOOLEAN": Family.BOOLEAN,
    "DATE": Family.DATE,
    "TIME": Family.TIME,
    "TIMESTAMP": Family.MOMENT,
    "TIMESTAMP_NTZ": Family.MOMENT,
    "TIMESTAMP_LTZ": Family.ZONED,
    "TIMESTAMP_TZ": Family.ZONED,
    "BINARY": Family.BYTES,
}


def family_of(column: ResultMetadata) -> Family:
    """Return what the values of a described column are."""
    return _FAMILIES.get(FIELD_ID_TO_NAME[column.type_code], Family.NESTED)


def typed(value: Value, family: Family) -> Typed:
    """Return a value of a contract as one of `family`; a ValueError says why it is none."""
    try:
        return _typed(value, family)
    except (ValueError, InvalidOperation):
        raise ValueError(f"{value_text(value)} is not {family}, as the column's values are") from None


def _typed(value: Value, family: Family) -> Typed:
    if isinstance(value, bool) or family == Family.BOOLEAN:
        if isinstance(value, bool) and family == Family.BOOLEAN:
            return value
    elif family == Family.NUMBER:
        # a float by its shortest text: 0.1 is meant to be 0.1
        number = Decimal(str(value).strip())
        if number.is_finite() and _digits(number) <= _DIGITS:
            return number
    elif family == Family.FLOAT:
        if (real := float(value)) == real:
            return real
    elif isinstance(value, str):
        return _from_text(value, family)
    raise ValueError


def _from_text(text: str, family: Family) -> Typed:
    if family == Family.TEXT:
        return text
    if family == Family.DATE:
        return date.fromisoformat(text)
    if family == Family.TIME:
        clock = time.fromisoformat(text)
        if clock.tzinfo is None:
            return clock
    if family in (Family.MOMENT, Family.ZONED):
        moment = datetime.fromisoformat(text)
        if family == Family.ZONED:
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment.tzinfo is None:
            return moment
    raise ValueError


def _digits(number: Decimal) -> int:
    """Return how many digits a number has before and after the point."""
    _, _, exponent = number.as_tuple()
    return max(number.adjusted() + 1, 1) + max(-int(exponent), 0)


def inwards(number: Decimal, decimals: int, *, is_max: bool) -> Decimal:
    """Return the bound with so many decimals that leaves in the same numbers of so many decimals."""
    return number.quantize(Decimal(1).scaleb(-decimals), ROUND_FLOOR if is_max else ROUND_CEILING, _EXACT)


def value_text(value: Typed | int) -> str:
    """Return a value as messages show it: text and bytes are cut, times with a zone are in UTC."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{shortened(value)}'"
    if isinstance(value, bytes | bytearray):
        return shortened(value.hex())
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.isoformat(" ")
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ") + "Z"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "NaN" if value != value else str(value)
