"""The rules of a contract as checks of the columns that a query returns, and what their findings mean."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from snowflake.connector.cursor import ResultMetadata

from importer.errors import ImporterError
from importer.job.contract.values import Family, Typed, family_of, typed, value_text
from importer.lake.contract_result import EXAMPLES, RuleResult
from importer.snowflake.columns import type_text
from importer.spec.contract import ColumnRules, Contract, RowRules, Value
from importer.spec.snowflake_types import normal_type

#: What comes before the newest value, where that is measured.
NEWEST = "the newest is "

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Check:
    """One rule on the values of a column; `rule` is its path, `decimals` are those of a number's type."""

    rule: str
    column: str
    family: Family
    decimals: int


@dataclass(frozen=True)
class NotNull(Check):
    """There is no NULL."""


@dataclass(frozen=True)
class Bound(Check):
    """No value is below `value`, or above it where `is_max`; NaN is both."""

    value: Typed
    is_max: bool


@dataclass(frozen=True)
class Allowed(Check):
    """Every value is one of `values`."""

    values: tuple[Typed, ...]


@dataclass(frozen=True)
class Unique(Check):
    """No values of `columns` together, none of them NULL, are there twice; `column` is the first of them."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Fresh(Check):
    """The newest value is no older than `max_age`."""

    max_age: timedelta


@dataclass
class Found:
    """What the rows show of one check.

    `count` is of the rows that breach it, `examples` are some of their values, each of one value a column of
    the check. `measured` is the smallest, the largest or the newest value, whichever the check is about.
    """

    count: int = 0
    examples: list[tuple[Typed, ...]] = field(default_factory=list)
    measured: Typed | None = None


def plan_checks(asset: str, contract: Contract, columns: list[ResultMetadata]) -> list[Check]:
    """Return the checks of the rows; an ImporterError names the rule that does not fit its column's type."""
    described = {column.name: column for column in columns}
    checks: list[Check] = []
    for name, rules in contract.columns.items():
        if name in described:
            checks += _column_checks(asset, rules, described[name])
    for number, names in enumerate(contract.unique):
        path = f"unique[{number}]"
        families = [family_of(described[name]) for name in names if name in described]
        if Family.NESTED in families:
            raise _misfit(asset, path, f"a column is {Family.NESTED}, and such values are not compared")
        if len(families) == len(names):
            checks.append(Unique(path, names[0], families[0], 0, tuple(names)))
    return checks


def _column_checks(asset: str, rules: ColumnRules, column: ResultMetadata) -> Iterator[Check]:
    path, family = f"columns.{column.name}", family_of(column)
    known = (column.name, family, column.scale or 0)

    def value_of(rule: str, value: Value) -> Typed:
        try:
            return typed(value, family)
        except ValueError as error:
            raise _misfit(asset, f"{path}.{rule}", str(error)) from None

    def fits(rule: str, is_fit: bool, lack: str) -> None:
        if not is_fit:
            raise _misfit(asset, f"{path}.{rule}", f"the column's values are {family}, which {lack}")

    if not rules.nullable:
        yield NotNull(f"{path}.nullable", *known)
    bounds = []
    for rule, bound in (("min", rules.min), ("max", rules.max)):
        if bound is not None:
            fits(rule, family.is_ordered, "has no order")
            bounds.append(value_of(rule, bound))
            yield Bound(f"{path}.{rule}", *known, bounds[-1], rule == "max")
    if len(bounds) == 2 and bounds[0] > bounds[1]:  # type: ignore[operator] # both are of one family
        raise _misfit(asset, f"{path}.min", f"{value_text(bounds[0])} is above max {value_text(bounds[1])}")
    if rules.allowed is not None:
        fits("allowed", family not in (Family.BYTES, Family.NESTED), "is not compared with text")
        values = tuple(value_of(f"allowed[{n}]", value) for n, value in enumerate(rules.allowed))
        yield Allowed(f"{path}.allowed", *known, values)
    if rules.unique:
        fits("unique", family != Family.NESTED, "is not compared")
        yield Unique(f"{path}.unique", *known, (column.name,))
    if rules.max_age is not None:
        fits("maxAge", family.is_dated, "has no age")
        span = timedelta(**{_UNITS[rules.max_age[-1]]: int(rules.max_age[:-1])})
        yield Fresh(f"{path}.maxAge", *known, span)


def _misfit(asset: str, rule: str, problem: str) -> ImporterError:
    return ImporterError(f"import {asset}: contract.{rule}: {problem}; nothing was imported")


def check_columns(contract: Contract, columns: list[ResultMetadata]) -> list[RuleResult]:
    """Return whether the contract's columns are there, with their types, and whether there are others."""
    types = {column.name: type_text(column) for column in columns}
    results = []
    wanted = [*contract.columns, *(name for names in contract.unique for name in names)]
    for name in dict.fromkeys(wanted):
        rules = contract.columns.get(name, ColumnRules())
        found = types.get(name)
        if found is None or rules.type is None:
            measured = "it is there" if found else "the query returns no such column"
            results.append(RuleResult(f"columns.{name}", "is there", measured, found is not None))
        else:
            is_same = normal_type(found) == rules.type
            measured = found if is_same else f"the type is {found}, not {rules.type}"
            results.append(RuleResult(f"columns.{name}.type", rules.type, measured, is_same))
    if not contract.other_columns:
        others = [name for name in types if name not in wanted]
        measured = f"the query also returns {', '.join(others)}" if others else "no others"
        results.append(RuleResult("otherColumns", "no others", measured, not others))
    return results


def check_rows(rules: RowRules, rows: int, before: int | None) -> list[RuleResult]:
    """Return how the number of a version's rows is; `before` is the last version's, None where none is."""
    results = []

    def add(rule: str, expected: str, passed: bool, change: str = "") -> None:
        measured = f"{_counted(rows, 'row')}{change}"
        measured = measured if passed else f"{measured}, and must be {expected}"
        results.append(RuleResult(f"rows.{rule}", expected, measured, passed))

    if rules.min is not None:
        add("min", f"at least {rules.min}", rows >= rules.min)
    if rules.max is not None:
        add("max", f"at most {rules.max}", rows <= rules.max)
    if before:  # of none there is no percentage
        change = f" after {before} ({100 * (rows - before) / before:+.1f}%)"
        if rules.max_decrease is not None:
            is_few = 100 * (before - rows) > rules.max_decrease * before
            add("maxDecrease", f"at most {rules.max_decrease:g}% fewer", not is_few, change)
        if rules.max_increase is not None:
            is_many = 100 * (rows - before) > rules.max_increase * before
            add("maxIncrease", f"at most {rules.max_increase:g}% more", not is_many, change)
    return results


def judge(check: Check, found: Found, now: datetime) -> RuleResult:
    """Return what the findings of a check mean."""
    if isinstance(check, Fresh):
        return _judge_age(check, found.measured, now)
    expected, breach, fine = _words(check, found)
    if not found.count:
        return RuleResult(check.rule, expected, fine, True)
    shown = [_example_text(example) for example in found.examples[:EXAMPLES]]
    such_as = f", such as {', '.join(shown)}" if shown else ""
    return RuleResult(check.rule, expected, f"{breach}{such_as}", False)


def _words(check: Check, found: Found) -> tuple[str, str, str]:
    """Return what a check asks for, how its breach reads, and how the opposite does."""
    values = _counted(found.count, "value")
    if isinstance(check, Bound):
        side, limit, extreme = (
            ("above", "at most", "largest") if check.is_max else ("below", "at least", "smallest")
        )
        bound = value_text(check.value)
        none = f"none {side} {bound}"
        fine = none if found.measured is None else f"{extreme} {value_text(found.measured)}"
        return f"{limit} {bound}", f"{values} {side} {bound}", fine
    if isinstance(check, Allowed):
        allowed = ", ".join(value_text(value) for value in check.values[:EXAMPLES])
        more = f" and {len(check.values) - EXAMPLES} more" if len(check.values) > EXAMPLES else ""
        return f"one of {allowed}{more}", f"{values} not among those allowed", "no others"
    if isinstance(check, Unique):
        rows = _counted(found.count, "row")
        if len(check.columns) == 1:
            return "no value twice", f"{rows} with a value that another row has", "none twice"
        names = ", ".join(check.columns)
        return (
            f"no values of {names} twice",
            f"{rows} with values of {names} that another row has",
            "none twice",
        )
    return "no NULL", _counted(found.count, "NULL"), "no NULL"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _judge_age(check: Fresh, newest: Typed | None, now: datetime) -> RuleResult:
    expected = f"at most {_span_text(check.max_age)} old"
    if not isinstance(newest, date):
        return RuleResult(check.rule, expected, "there is no value, so none is new", False)
    # a date is as old as its first moment; what has no time zone counts as UTC
    moment = newest if isinstance(newest, datetime) else datetime.combine(newest, time())
    age = now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    measured = f"{NEWEST}{value_text(newest)}"
    if age <= check.max_age:
        return RuleResult(check.rule, expected, measured, True)
    return RuleResult(
        check.rule, expected, f"{measured}, {_span_text(age)} old, and must be {expected}", False
    )


def _span_text(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    days, rest = divmod(minutes, 24 * 60)
    parts = [(days, "d"), (rest // 60, "h"), (rest % 60, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"


def _example_text(example: tuple[Typed, ...]) -> str:
    texts = [value_text(value) for value in example]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
