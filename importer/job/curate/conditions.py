"""The rules of a value as conditions in DuckDB's SQL, exact for every type."""

import decimal
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from importer.spec.contract import Value
from importer.spec.curate import ValueRules
from importer.spec.sql import literal

#: The ranges of whole numbers (https://duckdb.org/docs/stable/sql/data_types/numeric), by their bits.
_INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64}
_FLOATS = {"FLOAT", "DOUBLE"}

#: Types whose values are given as text.
_MOMENTS = {
    *("DATE", "TIME", "TIME_NS", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
    *("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"),
}
_DIGITS = 38


class Breach(NamedTuple):
    """What is wrong with a row: the reason that it is set aside for, and the SQL condition that it is.

    `bounds` are what the rule `setting` compares with, which DuckDB may not be able to read.
    """

    reason: str
    condition: str
    setting: str = ""
    bounds: tuple[str, ...] = ()


class RuleError(ValueError):
    """A rule that does not fit its column's type; `setting` is the rule's name."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


def breaches(name: str, rules: ValueRules, sql: str, type_: str) -> Iterator[Breach]:
    """Yield how the value `sql`, of a type of DuckDB's, can break the rules of `name`.

    A RuleError names a rule that no value of the type can be held against. A number that is none breaks
    `min` and `max`.
    """
    if rules.required:
        yield Breach(f"{name}: there is no value", f"{sql} IS NULL")
    not_a_number = f" OR isnan({sql})" if type_ in _FLOATS else ""
    if rules.min is not None:
        value, bound = _bound("min", rules.min, sql, type_, ROUND_CEILING)
        yield Breach(f"{name}: is below {rules.min}", f"{value} < {bound}{not_a_number}", "min", (bound,))
    if rules.max is not None:
        value, bound = _bound("max", rules.max, sql, type_, ROUND_FLOOR)
        yield Breach(f"{name}: is above {rules.max}", f"{value} > {bound}{not_a_number}", "max", (bound,))
    if rules.allowed is not None:
        bounds: dict[str, list[str]] = {}
        for allowed in rules.allowed:
            value, bound = _bound("allowed", allowed, sql, type_, None)
            bounds.setdefault(value, []).append(bound)
        same = " OR ".join(f"{value} IN ({', '.join(found)})" for value, found in bounds.items())
        every = tuple(bound for found in bounds.values() for bound in found)
        yield Breach(f"{name}: is not one of the allowed values", f"NOT ({same})", "allowed", every)


def _bound(setting: str, value: Value, sql: str, type_: str, rounding: str | None) -> tuple[str, str]:
    """Return what to compare: the column's value and the rule's, as SQL of one type."""
    if type_ == "BOOLEAN" and isinstance(value, bool) and rounding is None:
        return sql, str(value).upper()
    if type_ in ("VARCHAR", *_MOMENTS):
        if not isinstance(value, str):
            raise RuleError(setting, f"{value} is compared with {type_}: put it in quotes")
        return sql, f"CAST({quoted(value)} AS {type_})"
    if type_ in _FLOATS:
        return sql, f"CAST('{_number(setting, value)}' AS {type_})"
    if type_ in _INTEGERS or type_.startswith("DECIMAL"):
        return _exact(setting, _number(setting, value), sql, type_, rounding)
    raise RuleError(setting, f"is not for {type_}" + (": use allowed" if type_ == "BOOLEAN" else ""))


def _number(setting: str, value: Value) -> Decimal:
    try:
        number = Decimal(str(value))
    except decimal.InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise RuleError(setting, f"{value} is no number")
    return number


def _exact(setting: str, number: Decimal, sql: str, type_: str, rounding: str | None) -> tuple[str, str]:
    """Return the value and the bound as decimals with the decimal places of the value's type.

    A bound between two of the type's values is moved to the next one that it lets through.
    """
    scale = int(type_[:-1].partition(",")[2]) if type_.startswith("DECIMAL") else 0
    with decimal.localcontext(prec=1000):
        rounded = number.quantize(Decimal(1).scaleb(-scale), rounding or ROUND_FLOOR)
    if rounding is None and rounded != number:
        raise RuleError(setting, f"{number} has more decimal places than {type_}")
    if len(rounded.as_tuple().digits) > _DIGITS:
        raise RuleError(setting, f"{number} is no {type_}")
    if type_ in _INTEGERS and abs(rounded) < 2 ** (_INTEGERS[type_] - 1):
        return sql, f"CAST('{rounded:f}' AS {type_})"
    wide = f"DECIMAL({_DIGITS},{scale})"
    return f"CAST({sql} AS {wide})", f"CAST('{rounded:f}' AS {wide})"


def quoted(text: str) -> str:
    """Return a text as a literal."""
    return literal(text, "duckdb")
