"""The checks of a contract: their kinds, the rules that they follow from, and what their findings mean.

A check is evaluated on rows that stream by (`in_stream`), by Snowflake (`in_snowflake`) or on the footers of
files (`in_footers`). Each has a `match` over the kinds: a new kind in `Check` fails the type check there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never

from importer.errors import ImporterError
from importer.job.contract.values import Family, RowValue, RuleValue, family_of, rule_value, value_text
from importer.lake.contract_result import EXAMPLES, RuleResult
from importer.snowflake.columns import DescribedColumn
from importer.spec.contract import ColumnRules, Contract, Value

#: Begins the measured text of a `Fresh` check: a later version reads it back from the manifest.
NEWEST = "the newest is "

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class NotNull:
    """No value is NULL."""

    rule: str
    column: str


@dataclass(frozen=True)
class Bound:
    """No value is below `value`, or above it where `is_max`; NaN breaches both.

    `decimals` is the column's scale.
    """

    rule: str
    column: str
    family: Family
    decimals: int
    value: RuleValue
    is_max: bool

    @property
    def text(self) -> str:
        """The bound in words."""
        return f"at {'most' if self.is_max else 'least'} {value_text(self.value)}"


@dataclass(frozen=True)
class Allowed:
    """Every value is one of `values`; `decimals` is the column's scale."""

    rule: str
    column: str
    family: Family
    decimals: int
    values: tuple[RuleValue, ...]


@dataclass(frozen=True)
class Unique:
    """No two rows have the same values in `columns`; rows with a NULL there are not compared."""

    rule: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Fresh:
    """The newest value is no older than `max_age`."""

    rule: str
    column: str
    max_age: timedelta


class MisfitError(ImporterError):
    """A rule does not fit the type of its column; `rule` is its path in the contract."""

    def __init__(self, asset: str, rule: str, problem: str) -> None:
        super().__init__(f"import {asset}: contract.{rule}: {problem}; nothing was imported")
        self.rule = rule
        self.problem = problem


#: One rule on the values of a column or of several; `rule` is its path, such as `columns.PRICE.min`.
Check = NotNull | Bound | Allowed | Unique | Fresh


@dataclass
class Found:
    """What the rows show of one check.

    `count` is the number of rows that breach it. `examples` are some of their values, tuples of one value per
    column of the check. `measured` is the smallest, the largest or the newest value.
    """

    count: int = 0
    examples: list[tuple[RowValue, ...]] = field(default_factory=list)
    measured: RowValue | None = None


def plan_checks(asset: str, contract: Contract, columns: list[DescribedColumn]) -> list[Check]:
    """Return the checks of the rows; a MisfitError names a rule that does not fit its column's type.

    A NotImplementedError names a rule that the contract declares and that no check is known for.
    """
    described = {column.name: column for column in columns}
    checks: list[Check] = []
    for rule in type(contract).model_fields:
        match rule:
            case "columns":
                for name, rules in contract.columns.items():
                    if name in described:
                        checks += _column_checks(asset, rules, described[name])
            case "unique":
                checks += _unique_checks(asset, contract.unique, described)
            case "other_columns" | "rows":
                pass  # `table_rules` compares these
            case _:
                raise NotImplementedError(f"no check is known for the rule {rule} of a contract")
    return checks


def _unique_checks(
    asset: str, groups: list[list[str]], described: dict[str, DescribedColumn]
) -> Iterator[Check]:
    for number, names in enumerate(groups):
        rule = f"unique[{number}]"
        columns = [described[name] for name in names if name in described]
        if any(family_of(column) is Family.NESTED for column in columns):
            raise MisfitError(asset, rule, f"a column is {Family.NESTED}, and such values cannot be compared")
        if len(columns) == len(names):
            yield Unique(rule, tuple(names))


def _column_checks(asset: str, rules: ColumnRules, described: DescribedColumn) -> Iterator[Check]:
    column = _Column(asset, described)
    for rule in type(rules).model_fields:
        match rule:
            case "type":
                pass  # `table_rules` compares it
            case "nullable":
                if not rules.nullable:
                    yield NotNull(column.path("nullable"), column.name)
            case "min":
                if rules.min is not None:
                    yield column.bound("min", rules.min, is_max=False)
            case "max":
                if rules.max is not None:
                    yield column.bound("max", rules.max, is_max=True)
            case "allowed":
                if rules.allowed is not None:
                    yield column.allowed(rules.allowed)
            case "unique":
                if rules.unique:
                    column.check_family("unique", column.family is not Family.NESTED, "cannot be compared")
                    yield Unique(column.path("unique"), (column.name,))
            case "max_age":
                if rules.max_age is not None:
                    column.check_family("maxAge", column.family.is_dated, "has no age")
                    span = timedelta(**{_UNITS[rules.max_age[-1]]: int(rules.max_age[:-1])})
                    yield Fresh(column.path("maxAge"), column.name, span)
            case _:
                raise NotImplementedError(f"no check is known for the rule {rule} of a column")
    column.check_range(rules)


class _Column:
    """A column of the query, whose type the rules must fit."""

    def __init__(self, asset: str, described: DescribedColumn) -> None:
        self._asset = asset
        self._decimals = described.scale or 0
        self.name = described.name
        self.family = family_of(described)

    def path(self, rule: str) -> str:
        return f"columns.{self.name}.{rule}"

    def bound(self, rule: str, value: Value, *, is_max: bool) -> Bound:
        self.check_family(rule, self.family.is_ordered, "has no order")
        return Bound(
            self.path(rule), self.name, self.family, self._decimals, self._value(rule, value), is_max
        )

    def allowed(self, values: list[Value]) -> Allowed:
        self.check_family("allowed", self.family.is_comparable, "cannot be compared with text")
        found = tuple(self._value(f"allowed[{n}]", value) for n, value in enumerate(values))
        return Allowed(self.path("allowed"), self.name, self.family, self._decimals, found)

    def check_family(self, rule: str, is_fit: bool, lack: str) -> None:
        """Raise a MisfitError where the column's values do not fit a rule: they lack what it needs."""
        if not is_fit:
            problem = f"the column's values are {self.family}, which {lack}"
            raise MisfitError(self._asset, self.path(rule), problem)

    def check_range(self, rules: ColumnRules) -> None:
        """Raise a MisfitError where no value can be within both bounds."""
        if rules.min is None or rules.max is None:
            return
        low, high = self._value("min", rules.min), self._value("max", rules.max)
        if low > high:  # type: ignore[operator] # both are of one family
            problem = f"{value_text(low)} is above max {value_text(high)}"
            raise MisfitError(self._asset, self.path("min"), problem)

    def _value(self, rule: str, value: Value) -> RuleValue:
        try:
            return rule_value(value, self.family)
        except ValueError as error:
            raise MisfitError(self._asset, self.path(rule), str(error)) from None


def judge(check: Check, found: Found, now: datetime) -> RuleResult:
    """Return what the findings of a check mean."""
    match check:
        case NotNull():
            breach = _counted(found.count, "NULL")
            return _result(check, found, expected="no NULL", breach=breach, fine="no NULL")
        case Bound():
            return _judge_bound(check, found)
        case Allowed():
            return _judge_allowed(check, found)
        case Unique():
            return _judge_unique(check, found)
        case Fresh():
            return _judge_age(check, found.measured, now)
        case _:
            assert_never(check)


def _result(check: Check, found: Found, *, expected: str, breach: str, fine: str) -> RuleResult:
    """Return the result of a check that no row may breach."""
    if not found.count:
        return RuleResult(check.rule, expected, fine, True)
    shown = ", ".join(_example_text(example) for example in found.examples[:EXAMPLES])
    return RuleResult(check.rule, expected, f"{breach}, such as {shown}" if shown else breach, False)


def _judge_bound(check: Bound, found: Found) -> RuleResult:
    side, extreme = ("above", "largest") if check.is_max else ("below", "smallest")
    beyond = f"{side} {value_text(check.value)}"
    fine = f"none {beyond}" if found.measured is None else f"{extreme} {value_text(found.measured)}"
    breach = f"{_counted(found.count, 'value')} {beyond}"
    return _result(check, found, expected=check.text, breach=breach, fine=fine)


def _judge_allowed(check: Allowed, found: Found) -> RuleResult:
    some = ", ".join(value_text(value) for value in check.values[:EXAMPLES])
    more = f" and {len(check.values) - EXAMPLES} more" if len(check.values) > EXAMPLES else ""
    breach = f"{_counted(found.count, 'value')} not allowed"
    return _result(check, found, expected=f"one of {some}{more}", breach=breach, fine="all allowed")


def _judge_unique(check: Unique, found: Found) -> RuleResult:
    rows = _counted(found.count, "row")
    if len(check.columns) == 1:
        expected, breach = "unique values", f"{rows} with a value that another row has"
    else:
        names = ", ".join(check.columns)
        expected = f"unique values of {names} together"
        breach = f"{rows} with values of {names} that another row has"
    return _result(check, found, expected=expected, breach=breach, fine="all unique")


def _judge_age(check: Fresh, newest: RowValue | None, now: datetime) -> RuleResult:
    expected = f"at most {_span_text(check.max_age)} old"
    if not isinstance(newest, date):
        return RuleResult(check.rule, expected, "the column has no value", False)
    # a date is as old as its first moment; a timestamp without a time zone counts as UTC
    moment = newest if isinstance(newest, datetime) else datetime.combine(newest, time())
    age = now - (moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    measured = f"{NEWEST}{value_text(newest)}"
    if age <= check.max_age:
        return RuleResult(check.rule, expected, measured, True)
    return RuleResult(check.rule, expected, f"{measured}, {_span_text(age)} old, expected {expected}", False)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _span_text(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    days, rest = divmod(minutes, 24 * 60)
    parts = [(days, "d"), (rest // 60, "h"), (rest % 60, "min")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"


def _example_text(example: tuple[RowValue, ...]) -> str:
    texts = [value_text(value) for value in example]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
