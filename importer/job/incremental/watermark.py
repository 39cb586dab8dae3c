"""Watermarks: the exact greatest value of a column, by Parquet's statistics, and SQL to compare with it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum
from typing import Self, assert_never

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from importer.errors import ImporterError
from importer.snowflake.columns import DescribedColumn, type_text
from importer.spec.incremental import Overlap
from importer.spec.names import nearest_column
from importer.spec.snowflake_types import SnowflakeType
from importer.spec.sql import identifier

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).days
_MINUTES = {"m": 1, "h": 60, "d": 24 * 60}
_UNIT_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}

#: The greatest number that Snowflake holds, without its decimal point, and a context that keeps all digits.
_MOST = 10**38 - 1
_EXACT = Context(prec=40)


class Kind(StrEnum):
    """What the values of a watermark column are."""

    DATE = "date"
    MOMENT = "moment"
    NUMBER = "number"


#: The kind of each type that increases.
_KINDS = {
    SnowflakeType.DATE: Kind.DATE,
    SnowflakeType.NUMBER: Kind.NUMBER,
    SnowflakeType.TIMESTAMP_NTZ: Kind.MOMENT,
    SnowflakeType.TIMESTAMP_LTZ: Kind.MOMENT,
    SnowflakeType.TIMESTAMP_TZ: Kind.MOMENT,
}


@dataclass(frozen=True, order=True)
class Mark:
    """A value of a watermark column, as a whole number.

    A date is in days since 1970. A moment (in seconds since 1970) and a number are in units of 10 to the
    power of -`digits`. Only marks of the same kind and digits can be compared.
    """

    value: int
    kind: Kind
    digits: int = 0

    def __str__(self) -> str:
        """Return the text in the manifest: ISO 8601 for a date or a moment (in UTC), digits for a number."""
        match self.kind:
            case Kind.NUMBER:
                return f"{Decimal(self.value).scaleb(-self.digits, _EXACT):f}"
            case Kind.DATE:
                return _calendar(days=self.value).date().isoformat()
            case Kind.MOMENT:
                whole, fraction = divmod(self.value, 10**self.digits)
                text = _calendar(seconds=whole).replace(tzinfo=None).isoformat(sep=" ")
                return f"{text}.{fraction:0{self.digits}}" if self.digits else text
            case _:
                assert_never(self.kind)

    @classmethod
    def parse(cls, text: str, kind: Kind) -> Self:
        """Return the mark with this text; a ValueError if it is not of that kind."""
        whole, _, fraction = text.partition(".")
        match kind:
            case Kind.NUMBER:
                return cls(int(whole + fraction), kind, len(fraction))
            case Kind.DATE:
                return cls(_since_epoch(whole).days, kind)
            case Kind.MOMENT:
                since = _since_epoch(whole)
                seconds = since.days * 86400 + since.seconds
                return cls(seconds * 10 ** len(fraction) + int(fraction or 0), kind, len(fraction))
            case _:
                assert_never(kind)


def _calendar(*, days: int = 0, seconds: int = 0) -> datetime:
    try:
        return _EPOCH + timedelta(days=days, seconds=seconds)
    except OverflowError:
        raise ImporterError(
            "incremental.column: it has values outside the years 1 to 9999: exclude them in the query"
        ) from None


def _since_epoch(text: str) -> timedelta:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH


@dataclass(frozen=True)
class WatermarkColumn:
    """The watermark column as Snowflake describes it."""

    name: str
    kind: Kind
    snowflake_type: SnowflakeType
    digits: int

    @classmethod
    def of(cls, name: str, key: list[str], columns: list[DescribedColumn]) -> Self:
        """Return the column; an ImporterError if the query lacks it or a key, or its type has no order."""
        known = {column.name: column for column in columns}
        for setting, wanted in (("column", name), *(("key", part) for part in key)):
            if wanted not in known:
                raise ImporterError(
                    f"incremental.{setting}: the query returns no column {wanted}; "
                    f"{nearest_column(wanted, known)}"
                )
        found = known[name]
        kind = _KINDS.get(found.kind)
        if kind is None:
            raise ImporterError(
                f"incremental.column: {name} is a {type_text(found)}: use a DATE, TIMESTAMP or NUMBER column"
            )
        return cls(name, kind, found.kind, 0 if kind == Kind.DATE else found.scale or 0)

    def check_overlap(self, overlap: Overlap | None) -> None:
        """Raise an ImporterError if `overlap` does not fit the type of the column."""
        if overlap is not None:
            self._before(Mark(0, self.kind), overlap)

    def rows_past(self, since: Mark, *, ties: bool, overlap: Overlap | None) -> str:
        """Return the condition of the rows that a step reads, in Snowflake's SQL.

        `ties` includes rows with the value of the watermark itself. An ImporterError says that `overlap` does
        not fit the type of the column.
        """
        name = identifier(self.name)
        if overlap is not None:
            return f"{name} >= {self._literal(self._before(since, overlap))}"
        if ties:
            return f"{name} >= {self._literal(since)}"
        if self.kind == Kind.MOMENT and since.digits < self.digits:
            # the files hold fewer digits than the table: the rest of the watermark's unit counts as read
            return f"{name} >= {self._literal(Mark(since.value + 1, since.kind, since.digits))}"
        return f"{name} > {self._literal(since)}"

    def _before(self, since: Mark, overlap: Overlap) -> Mark:
        """Return the mark from which on rows are read again; not before the first that Snowflake holds."""
        match self.kind:
            case Kind.NUMBER:
                if not isinstance(overlap, int):
                    raise self._misfit("a number")
                return Mark(max(-_MOST, since.value - overlap * 10**since.digits), since.kind, since.digits)
            case Kind.DATE:
                days = self._minutes(overlap) // (24 * 60)
                return Mark(max(_FIRST_DAY, since.value - days), since.kind)
            case Kind.MOMENT:
                unit = 10**since.digits
                first, value = _FIRST_DAY * 86400 * unit, since.value - self._minutes(overlap) * 60 * unit
                return Mark(max(first, value), since.kind, since.digits)
            case _:
                assert_never(self.kind)

    def _minutes(self, overlap: Overlap) -> int:
        if isinstance(overlap, int):
            raise self._misfit("a time span such as 6h")
        return int(overlap[:-1]) * _MINUTES[overlap[-1]]

    def _misfit(self, wanted: str) -> ImporterError:
        return ImporterError(f"incremental.overlap: must be {wanted}, as {self.name} is a {self.kind}")

    def _literal(self, mark: Mark) -> str:
        """Return a mark as SQL that means the same whatever the session's parameters.

        https://docs.snowflake.com/en/sql-reference/functions/to_timestamp; the session's time zone is UTC.
        """
        match self.kind:
            case Kind.NUMBER:
                return str(mark)
            case Kind.DATE:
                return f"TO_DATE('{mark}', 'YYYY-MM-DD')"
            case Kind.MOMENT:
                whole, _, fraction = str(mark).partition(".")
                fraction = fraction.ljust(9, "0").removesuffix("000")
                form = f"YYYY-MM-DD HH24:MI:SS.FF{len(fraction)}"
                return f"TO_{self.snowflake_type}('{whole}.{fraction}', '{form}')"
            case _:
                assert_never(self.kind)


@dataclass(frozen=True)
class Seen:
    """The greatest value of a watermark column in some files, and the number of NULLs."""

    mark: Mark | None = None
    nulls: int = 0

    def and_of(self, other: "Seen") -> "Seen":
        """Return the values of these files and others together."""
        marks = [mark for mark in (self.mark, other.mark) if mark is not None]
        return Seen(max(marks, default=None), self.nulls + other.nulls)


def see_watermark(file: pq.ParquetFile, name: str) -> Seen:
    """Return the greatest value and the NULLs in a file, from its statistics or, without them, its values."""
    place = file.schema_arrow.get_field_index(name)
    kind, digits = mark_type(name, file.schema_arrow.field(place).type)
    seen = Seen()
    for group in range(file.num_row_groups):
        described = file.metadata.row_group(group)
        nulls, bounds = _read_statistics(described.column(place).statistics, described.num_rows)
        if nulls is None:
            column = file.read_row_group(group, columns=[name]).column(0)
            nulls, greatest = column.null_count, _whole(pc.max(column), digits)
        else:
            greatest = bounds[1] if bounds else None
        seen = seen.and_of(Seen(None if greatest is None else Mark(greatest, kind, digits), nulls))
    return seen


def mark_type(name: str, stored: pa.DataType) -> tuple[Kind, int]:
    """Return the kind and the digits of a stored column's marks."""
    if pa.types.is_date32(stored):
        return Kind.DATE, 0
    if pa.types.is_timestamp(stored):
        return Kind.MOMENT, _UNIT_DIGITS[stored.unit]
    if pa.types.is_decimal(stored):
        return Kind.NUMBER, stored.scale
    if pa.types.is_signed_integer(stored):
        return Kind.NUMBER, 0
    raise ImporterError(
        f"incremental.column: {name} has the type {stored} in Parquet: use a date, a timestamp or a number"
    )


def value_bounds(statistics: pq.Statistics | None) -> tuple[int, int] | None:
    """Return the least and the greatest value of a column in units of its type, if they are known."""
    if statistics is None or not statistics.has_min_max:
        return None
    low, high = statistics.min_raw, statistics.max_raw
    if isinstance(low, bytes):  # of a decimal: https://parquet.apache.org/docs/file-format/types/logicaltypes
        return int.from_bytes(low, "big", signed=True), int.from_bytes(high, "big", signed=True)
    return int(low), int(high)


def _read_statistics(
    statistics: pq.Statistics | None, rows: int
) -> tuple[int | None, tuple[int, int] | None]:
    """Return the number of NULLs, or None if the values must be read, and the bounds of the values."""
    if statistics is None or not statistics.has_null_count:
        return None, None
    bounds = value_bounds(statistics)
    is_known = bounds is not None or statistics.null_count == rows
    return (statistics.null_count if is_known else None), bounds


def _whole(scalar: pa.Scalar, digits: int) -> int | None:
    """Return a value in units of its type; None for NULL."""
    if not scalar.is_valid:
        return None
    if pa.types.is_decimal(scalar.type):
        return int(scalar.as_py().scaleb(digits, _EXACT))
    return int(scalar.value if pa.types.is_temporal(scalar.type) else scalar.as_py())
