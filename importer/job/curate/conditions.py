"""The rules of a value as conditions in DuckDB's SQL, exact for every type."""

import decimal
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal, NamedTuple, assert_never, get_args

from importer.spec.contract import Value
from importer.spec.curate import ValueRules
from importer.spec.sql import literal

#: The ranges of whole numbers (https://duckdb.org/docs/stable/sql/data_types/numeric), by their bits.
_INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64}
_FLOATS = {"FLOAT", "DOUBLE"}

#: The types whose values a setting gives as text.
_MOMENTS = {
    *("DATE", "TIME", "TIME_NS", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
    *("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"),
}
_DIGITS = 38


class Breach(NamedTuple):
    """A way to break a rule: the reason that quarantine gives, and the SQL condition of the rows.

    `bounds` are the literals that the rule `setting` compares with; DuckDB may reject them.
    """

    reason: str
    condition: str
    setting: str = ""
    bounds: tuple[str, ...] = ()


class RuleError(ValueError):
    """A rule does not fit the type of its column; `setting` is the name of the rule."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


#: The rules of a value: the fields of ValueRules, in the order in which reasons are given.
Rule = Literal["required", "min", "max", "allowed"]
RULES: tuple[Rule, ...] = get_args(Rule)


def breaches(name: str, rules: ValueRules, sql: str, type_: str) -> Iterator[Breach]:
    """Yield the ways in which the value `sql`, of one of DuckDB's types, can break the rules of `name`.

    A RuleError names a rule that does not fit the type. NaN breaks `min` and `max`.
    """
    for rule in RULES:
        yield from _breach(rule, name, rules, sql, type_)


def _breach(rule: Rule, name: str, rules: ValueRules, sql: str, type_: str) -> Iterator[Breach]:
    is_nan = f" OR isnan({sql})" if type_ in _FLOATS else ""
    match rule:
        case "required":
            if rules.required:
                yield Breach(f"{name}: there is no value", f"{sql} IS NULL")
        case "min":
            if rules.min is not None:
                value, bound = _bound(rule, rules.min, sql, type_, ROUND_CEILING)
                yield Breach(f"{name}: is below {rules.min}", f"{value} < {bound}{is_nan}", rule, (bound,))
        case "max":
            if rules.max is not None:
                value, bound = _bound(rule, rules.max, sql, type_, ROUND_FLOOR)
                yield Breach(f"{name}: is above {rules.max}", f"{value} > {bound}{is_nan}", rule, (bound,))
        case "allowed":
            if rules.allowed is not None:
                yield _not_allowed(name, rules.allowed, sql, type_)
        case _:
            assert_never(rule)


def _not_allowed(name: str, allowed: list[Value], sql: str, type_: str) -> Breach:
    bounds: dict[str, list[str]] = {}
    for value in allowed:
        compared, bound = _bound("allowed", value, sql, type_, None)
        bounds.setdefault(compared, []).append(bound)
    is_allowed = " OR ".join(f"{compared} IN ({', '.join(found)})" for compared, found in bounds.items())
    literals = tuple(bound for found in bounds.values() for bound in found)
    return Breach(f"{name}: is not one of the allowed values", f"NOT ({is_allowed})", "allowed", literals)


def _bound(setting: str, value: Value, sql: str, type_: str, rounding: str | None) -> tuple[str, str]:
    """Return the column's value and that of the rule, as SQL of the same type.

    `rounding` moves a bound to the next value of the type that it allows; None is for an exact value.
    """
    if type_ == "BOOLEAN" and isinstance(value, bool) and rounding is None:
        return sql, str(value).upper()
    if type_ in ("VARCHAR", *_MOMENTS):
        if not isinstance(value, str):
            raise RuleError(setting, f"{value} is compared with a column of type {type_}: put it in quotes")
        return sql, f"CAST({quoted(value)} AS {type_})"
    if type_ in _FLOATS:
        return sql, f"CAST('{_number(setting, value, type_)}' AS {type_})"
    if type_ in _INTEGERS or type_.startswith("DECIMAL"):
        return _exact(setting, _number(setting, value, type_), sql, type_, rounding)
    raise RuleError(setting, f"does not apply to {type_}" + (": use allowed" if type_ == "BOOLEAN" else ""))


def _number(setting: str, value: Value, type_: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except decimal.InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise RuleError(setting, f"{value} is not a number, and the column has type {type_}")
    return number


def _exact(setting: str, number: Decimal, sql: str, type_: str, rounding: str | None) -> tuple[str, str]:
    """Return the value and the bound as decimals with the decimal places of the value's type.

    A bound between two values of the type is moved to the next one that it allows.
    """
    scale = int(type_[:-1].partition(",")[2]) if type_.startswith("DECIMAL") else 0
    with decimal.localcontext(prec=1000):
        rounded = number.quantize(Decimal(1).scaleb(-scale), rounding or ROUND_FLOOR)
    if rounding is None and rounded != number:
        raise RuleError(setting, f"{number} has more decimal places than {type_}")
    if len(rounded.as_tuple().digits) > _DIGITS:
        raise RuleError(setting, f"{number} has more than {_DIGITS} digits as {type_}")
    if type_ in _INTEGERS and abs(rounded) < 2 ** (_INTEGERS[type_] - 1):
        return sql, f"CAST('{rounded:f}' AS {type_})"
    wide = f"DECIMAL({_DIGITS},{scale})"
    return f"CAST({sql} AS {wide})", f"CAST('{rounded:f}' AS {wide})"


def quoted(text: str) -> str:
    """Return a text as an SQL literal."""
    return literal(text, "duckdb")
