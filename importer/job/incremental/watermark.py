"""The greatest value of a column: exactly, from Parquet's statistics, and as SQL that compares with it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from snowflake.connector.constants import FIELD_ID_TO_NAME
from snowflake.connector.cursor import ResultMetadata

from importer.errors import ImporterError
from importer.snowflake.columns import type_text
from importer.spec.incremental import Overlap
from importer.spec.sql import identifier

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTES = {"m": 1, "h": 60, "d": 24 * 60}
_UNIT_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}

#: The greatest of Snowflake's numbers, without its point, and a context that keeps all of its digits.
_MOST = 10**38 - 1
_EXACT = Context(prec=40)


class Kind(StrEnum):
    """What the values of a watermark column are."""

    DATE = "date"
    MOMENT = "moment"
    NUMBER = "number"


@dataclass(frozen=True, order=True)
class Mark:
    """A value of a watermark column: days since 1970, or a number in units of 10 to the power of -`digits`.

    A moment is such a number of seconds since 1970. Marks of one kind and of the same digits compare.
    """

    value: int
    kind: Kind
    digits: int = 0

    def __str__(self) -> str:
        """Return it as the manifest has it: ISO 8601 for dates and for moments (in UTC), or a number."""
        if self.kind == Kind.NUMBER:
            return f"{Decimal(self.value).scaleb(-self.digits, _EXACT):f}"
        whole, fraction = divmod(self.value, 10**self.digits)
        try:
            if self.kind == Kind.DATE:
                return (_EPOCH + timedelta(days=self.value)).date().isoformat()
            text = (_EPOCH + timedelta(seconds=whole)).replace(tzinfo=None).isoformat(sep=" ")
        except OverflowError:
            raise ImporterError(
                "incremental.column: it has values out of the years 1 to 9999; leave them out in the query"
            ) from None
        return f"{text}.{fraction:0{self.digits}}" if self.digits else text

    @classmethod
    def parse(cls, text: str, kind: Kind) -> Self:
        """Return the mark that a manifest has as text; a ValueError where it is none of that kind."""
        whole, _, fraction = text.partition(".")
        if kind == Kind.NUMBER:
            return cls(int(whole + fraction), kind, len(fraction))
        since = datetime.fromisoformat(whole).replace(tzinfo=UTC) - _EPOCH
        if kind == Kind.DATE:
            return cls(since.days, kind)
        seconds = since.days * 86400 + since.seconds
        return cls(seconds * 10 ** len(fraction) + int(fraction or 0), kind, len(fraction))


@dataclass(frozen=True)
class WatermarkColumn:
    """The watermark column, as Snowflake describes it."""

    name: str
    kind: Kind
    snowflake_type: str
    digits: int

    @classmethod
    def of(cls, name: str, key: list[str], columns: list[ResultMetadata]) -> Self:
        """Return the column; an ImporterError says what the query does not return, or which type it has."""
        known = {column.name: column for column in columns}
        for setting, wanted in (("column", name), *(("key", part) for part in key)):
            if wanted not in known:
                raise ImporterError(
                    f"incremental.{setting}: the query returns no column {wanted}; it returns: "
                    f"{', '.join(known)}"
                )
        found = known[name]
        snowflake_type = FIELD_ID_TO_NAME[found.type_code]
        kinds = {"DATE": Kind.DATE, "FIXED": Kind.NUMBER}
        if snowflake_type not in kinds and not snowflake_type.startswith("TIMESTAMP"):
            raise ImporterError(
                f"incremental.column: {name} is {type_text(found)}; it must be a DATE, TIMESTAMP or NUMBER"
            )
        kind = kinds.get(snowflake_type, Kind.MOMENT)
        return cls(name, kind, snowflake_type, 0 if kind == Kind.DATE else found.scale or 0)

    def rows_past(self, since: Mark, *, ties: bool, overlap: Overlap | None) -> str:
        """Return the condition of the rows that a step reads: SQL of Snowflake's.

        With `ties` also those of the watermark's own value. An ImporterError says that `overlap` is no fit.
        """
        name = identifier(self.name)
        if overlap is not None:
            return f"{name} >= {self._literal(self._before(since, overlap))}"
        if ties:
            return f"{name} >= {self._literal(since)}"
        if self.kind == Kind.MOMENT and since.digits < self.digits:
            # files hold less of a moment than the table: what is read is past the whole of the last unit
            return f"{name} >= {self._literal(Mark(since.value + 1, since.kind, since.digits))}"
        return f"{name} > {self._literal(since)}"

    def _before(self, since: Mark, overlap: Overlap) -> Mark:
        if isinstance(overlap, int) != (self.kind == Kind.NUMBER):
            wanted = "a number" if self.kind == Kind.NUMBER else "a time span such as 6h"
            raise ImporterError(f"incremental.overlap: {self.name} is a {self.kind}: it must be {wanted}")
        if isinstance(overlap, int):
            return Mark(max(-_MOST, since.value - overlap * 10**since.digits), since.kind, since.digits)
        minutes = int(overlap[:-1]) * _MINUTES[overlap[-1]]
        first = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).days
        if self.kind == Kind.DATE:
            return Mark(max(first, since.value - minutes // (24 * 60)), since.kind)
        unit = 10**since.digits
        return Mark(max(first * 86400 * unit, since.value - minutes * 60 * unit), since.kind, since.digits)

    def _literal(self, mark: Mark) -> str:
        """Return a mark as SQL that no session parameter reads in another way.

        https://docs.snowflake.com/en/sql-reference/functions/to_timestamp; the session's time zone is UTC.
        """
        if self.kind == Kind.NUMBER:
            return str(mark)
        if self.kind == Kind.DATE:
            return f"TO_DATE('{mark}', 'YYYY-MM-DD')"
        whole, _, fraction = str(mark).partition(".")
        fraction = fraction.ljust(9, "0").removesuffix("000")
        form = f"YYYY-MM-DD HH24:MI:SS.FF{len(fraction)}"
        return f"TO_{self.snowflake_type}('{whole}.{fraction}', '{form}')"


@dataclass(frozen=True)
class Seen:
    """What of a watermark column is in some files: its greatest value, and how many NULLs."""

    mark: Mark | None = None
    nulls: int = 0

    def and_of(self, other: "Seen") -> "Seen":
        """Return what is in these files and in others."""
        marks = [mark for mark in (self.mark, other.mark) if mark is not None]
        return Seen(max(marks, default=None), self.nulls + other.nulls)


def see_watermark(file: pq.ParquetFile, name: str) -> Seen:
    """Return what of the column is in a file, by its statistics; where there are none, by its values."""
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
    raise ImporterError(f"incremental.column: {name} came as {stored}, which has no watermark")


def value_bounds(statistics: pq.Statistics | None) -> tuple[int, int] | None:
    """Return the least and the greatest value of a column in units of its type, where it is known."""
    if statistics is None or not statistics.has_min_max:
        return None
    low, high = statistics.min_raw, statistics.max_raw
    if isinstance(low, bytes):  # of a decimal: https://parquet.apache.org/docs/file-format/types/logicaltypes
        return int.from_bytes(low, "big", signed=True), int.from_bytes(high, "big", signed=True)
    return int(low), int(high)


def _read_statistics(
    statistics: pq.Statistics | None, rows: int
) -> tuple[int | None, tuple[int, int] | None]:
    """Return the NULLs and the bounds of the values; no number of NULLs where that is not enough."""
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
