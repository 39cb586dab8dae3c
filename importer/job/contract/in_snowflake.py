"""The checks of a contract in Snowflake, before it unloads the rows: one query, and one for each breach."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import assert_never

from snowflake.connector import SnowflakeConnection
from sqlglot import exp

from importer.job.contract.checks import Allowed, Bound, Check, Found, Fresh, NotNull, Unique
from importer.job.contract.values import Family, RowValue, RuleValue, inwards
from importer.lake.contract_result import EXAMPLES
from importer.snowflake.query_rows import column_of, is_nan, is_null, select_from, sql_of, text_as


@dataclass(frozen=True)
class _Examples:
    """Where examples of a breach are: some values of `columns` where `condition` holds, no two alike."""

    columns: Sequence[str]
    condition: exp.Expr
    is_repeated: bool = False
    """Whether only values that several rows have are examples."""


@dataclass(frozen=True)
class _Evaluation:
    """A check in SQL: how many rows breach it, its `Found.measured`, and where its examples are."""

    count: exp.Expr
    measured: exp.Expr = field(default_factory=exp.null)
    examples: _Examples | None = None


def find_in_snowflake(
    connection: SnowflakeConnection, query: str, checks: list[Check]
) -> tuple[int, list[Found]]:
    """Return how many rows the query has now, and a finding for each check."""
    evaluations = [_evaluation(check) for check in checks]
    selected = [exp.Count(this=exp.Star()), *(e for ev in evaluations for e in (ev.count, ev.measured))]
    [(rows, *values)] = select_from(connection, query, selected)
    # COUNT_IF of no rows is NULL in the local Snowflake
    found = [
        Found(int(count or 0), [], measured)
        for count, measured in zip(values[::2], values[1::2], strict=True)
    ]
    for evaluation, finding in zip(evaluations, found, strict=True):
        if finding.count and evaluation.examples is not None:
            finding.examples = _select_examples(connection, query, evaluation.examples)
    return int(rows), found


def _evaluation(check: Check) -> _Evaluation:
    match check:
        case NotNull():
            return _Evaluation(exp.CountIf(this=is_null(check.column)))
        case Bound():
            outside = _is_outside(check)
            return _Evaluation(
                exp.CountIf(this=outside.copy()), _extreme(check), _Examples([check.column], outside)
            )
        case Allowed():
            other = _is_other(check)
            return _Evaluation(exp.CountIf(this=other.copy()), examples=_Examples([check.column], other))
        case Unique():
            # COUNT(DISTINCT …) ignores rows with a NULL in them
            whole = exp.and_(*(exp.not_(is_null(name)) for name in check.columns))
            distinct = exp.Distinct(expressions=[column_of(name) for name in check.columns])
            repeated = exp.Sub(this=exp.CountIf(this=whole.copy()), expression=exp.Count(this=distinct))
            return _Evaluation(repeated, examples=_Examples(check.columns, whole, is_repeated=True))
        case Fresh():
            return _Evaluation(exp.Literal.number(0), exp.Max(this=column_of(check.column)))
        case _:
            assert_never(check)


def _is_outside(check: Bound) -> exp.Expr:
    """Return the condition that a value is beyond the bound."""
    value = check.value
    if isinstance(value, Decimal):
        value = inwards(value, check.decimals, is_max=check.is_max)
    compare = exp.GT if check.is_max else exp.LT
    outside = compare(this=column_of(check.column), expression=_literal(value, check.family))
    if check.family is not Family.FLOAT:
        return outside
    return exp.or_(outside, is_nan(check.column))


def _extreme(check: Bound) -> exp.Expr:
    """Return the largest or the smallest value; of text, which may be long, NULL."""
    if check.family is Family.TEXT:
        return exp.null()
    column = column_of(check.column)
    return exp.Max(this=column) if check.is_max else exp.Min(this=column)


def _is_other(check: Allowed) -> exp.Expr:
    """Return the condition that a value is not allowed."""
    values = [
        _literal(value, check.family)
        for value in check.values
        # no value of the column has more decimals
        if not isinstance(value, Decimal) or inwards(value, check.decimals, is_max=True) == value
    ]
    if not values:
        return exp.not_(is_null(check.column))
    return exp.not_(exp.In(this=column_of(check.column), expressions=values))


def _select_examples(
    connection: SnowflakeConnection, query: str, examples: _Examples
) -> list[tuple[RowValue, ...]]:
    columns = [column_of(name) for name in examples.columns]
    repeated = "HAVING COUNT(*) > 1\n" if examples.is_repeated else ""
    rest = f"WHERE {sql_of([examples.condition])}\nGROUP BY {sql_of(columns)}\n{repeated}LIMIT {EXAMPLES}"
    return select_from(connection, query, columns, rest)


def _literal(value: RuleValue, family: Family) -> exp.Expr:
    """Return a value as SQL, in the type of its column."""
    match value:
        case bool():
            return exp.Boolean(this=value)
        case Decimal():
            return exp.Literal.number(f"{value:f}")
        case int() | float():
            return text_as(repr(value), "DOUBLE")
        case datetime():
            return text_as(
                value.isoformat(" "), "TIMESTAMP_TZ" if family is Family.ZONED else "TIMESTAMP_NTZ"
            )
        case date():
            return text_as(value.isoformat(), "DATE")
        case time():
            return text_as(value.isoformat(), "TIME")
        case str():
            return exp.Literal.string(value)
        case _:
            assert_never(value)
