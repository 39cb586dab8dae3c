"""What the numbers of a column mean, by its name and its values: the limits of a month are 1 and 12."""

import re
from decimal import Decimal
from typing import NamedTuple

from importer.commands.column_profile import ColumnProfile
from importer.job.contract.values import Family

#: The names of columns that look like keys.
_KEY_NAME = re.compile(r"(?i:(^|_)(ID|KEY|NO|NR|UUID|GUID)$)|[a-z](Id|Key)$")

#: The words of a name: `saleMonth` and `SALE_MONTH` are both SALE MONTH.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


class Meaning(NamedTuple):
    """What numbers stand for, and the least and the greatest of them; None if there is no such limit."""

    name: str
    least: int | None
    greatest: int | None

    @property
    def is_flag(self) -> bool:
        """Whether the numbers are 0 and 1 only."""
        return self == _FLAG


class _Rule(NamedTuple):
    """The meaning of columns whose words match `words`, if all values lie within its limits."""

    meaning: Meaning
    words: re.Pattern[str]
    may_be_whole: bool = True
    may_be_fraction: bool = False


_ID = Meaning("an id", None, None)
_FLAG = Meaning("a flag", 0, 1)

#: A unit is no meaning: DAY in CALLS_PER_DAY.
_NO_UNIT = r"(?<!PER )\b"

_PERCENT = r"PERCENT|PERCENTAGE|PCT"
_SHARE = rf"RATE|RATIO|FRACTION|PROPORTION|SHARE|PROBABILITY|PROB|{_PERCENT}"


def _whole(name: str, least: int | None, greatest: int | None, words: str) -> _Rule:
    return _Rule(Meaning(name, least, greatest), re.compile(words))


def _any(name: str, least: int, greatest: int, words: str) -> _Rule:
    return _Rule(Meaning(name, least, greatest), re.compile(words), may_be_fraction=True)


#: The first that fits counts.
_RULES = (
    _whole("a code", None, None, r"\b(CODE|ZIP|POSTCODE)$"),
    _Rule(_FLAG, re.compile(r"^(IS|HAS|WAS)\b|\b(FLAG|FLG|INDICATOR|IND)$")),
    _whole("a count", 0, None, r"\b(COUNT|CNT|QTY|QUANTITY)\b|^(N|NUM|NUMBER|NO OF) "),
    _whole("a day of the year", 1, 366, r"\b(DAY OF YEAR|DOY)\b"),
    _whole("a day of the month", 1, 31, rf"{_NO_UNIT}(DAY OF MONTH|DOM|DAY(?! OF))\b"),
    _whole("a month", 1, 12, rf"{_NO_UNIT}(MONTH|MON|MO)\b"),
    _whole("a quarter", 1, 4, rf"{_NO_UNIT}(QUARTER|QTR)\b"),
    _whole("a week of the year", 1, 53, rf"{_NO_UNIT}WEEK\b"),
    _whole("an hour", 0, 23, rf"{_NO_UNIT}(HOUR|HR)\b"),
    _whole("a minute", 0, 59, rf"{_NO_UNIT}MINUTE\b"),
    _whole("a second", 0, 59, rf"{_NO_UNIT}SECOND$"),
    _Rule(
        Meaning("a share of 1", 0, 1),
        re.compile(rf"(?<!EXCHANGE )\b({_SHARE})\b"),
        may_be_whole=False,
        may_be_fraction=True,
    ),
    _any("percent", 0, 100, rf"\b({_PERCENT})\b"),
    _any("a latitude", -90, 90, r"\b(LATITUDE|LAT)\b"),
    _any("a longitude", -180, 180, r"\b(LONGITUDE|LONG|LON|LNG)\b"),
)

_WEEKDAY = re.compile(r"\b(WEEKDAY|DAY OF (THE )?WEEK|DOW)\b")
_YEAR = re.compile(rf"{_NO_UNIT}(YEAR|YR)\b")
_FIRST_YEAR, _LAST_YEAR, _CENTURY = 1000, 2999, 100


def is_key_name(name: str) -> bool:
    """Return whether a column's name is that of a key."""
    return _KEY_NAME.search(name) is not None


def meaning_of(column: ColumnProfile, low: Decimal, high: Decimal) -> Meaning | None:
    """Return what the numbers of a column from `low` to `high` mean; None if its name does not tell."""
    words = " ".join(_WORD.findall(column.name)).upper()
    is_whole = column.family == Family.NUMBER and not column.decimals
    if is_whole and is_key_name(column.name):
        return _ID
    if is_whole and _WEEKDAY.search(words) and low >= 0 and high <= 7:
        return Meaning("a day of the week", 1 if high == 7 else 0, 6 if low == 0 else 7)
    if is_whole and _YEAR.search(words) and low >= _FIRST_YEAR and high <= _LAST_YEAR:
        return Meaning("a year", _century(low), _century(high) + _CENTURY)
    return next((rule.meaning for rule in _RULES if _fits(rule, words, low, high, is_whole=is_whole)), None)


def _fits(rule: _Rule, words: str, low: Decimal, high: Decimal, *, is_whole: bool) -> bool:
    _, least, greatest = rule.meaning
    is_within = (least is None or low >= least) and (greatest is None or high <= greatest)
    may_be = rule.may_be_whole if is_whole else rule.may_be_fraction
    return may_be and is_within and rule.words.search(words) is not None


def _century(year: Decimal) -> int:
    return int(year) // _CENTURY * _CENTURY
