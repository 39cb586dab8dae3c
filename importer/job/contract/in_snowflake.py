"""The checks of a contract in Snowflake, before it unloads the rows: one query, and one for each breach."""

from decimal import Decimal

from snowflake.connector import SnowflakeConnection
from sqlglot import exp

from importer.job.contract.checks import Allowed, Bound, Check, Found, Fresh, NotNull, Unique
from importer.job.contract.sql import column_of, is_nan, is_null, literal, select, sql_of
from importer.job.contract.values import Family, Typed, inwards
from importer.lake.contract_result import EXAMPLES


def find_in_snowflake(
    connection: SnowflakeConnection, query: str, checks: list[Check]
) -> tuple[int, list[Found]]:
    """Return how many rows the query has now, and a finding for each check."""
    selected: list[exp.Expr] = [exp.Count(this=exp.Star())]
    for check in checks:
        selected += [_count(check), _measure(check)]
    [(rows, *values)] = select(connection, query, selected)
    found = [
        # of no rows the local Snowflake counts none as NULL
        Found(int(count or 0), [], measured)
        for count, measured in zip(values[::2], values[1::2], strict=True)
    ]
    for check, finding in zip(checks, found, strict=True):
        if finding.count and not isinstance(check, NotNull):
            finding.examples = _examples(connection, query, check)
    return int(rows), found


def _count(check: Check) -> exp.Expr:
    """Return how many rows breach a check."""
    if isinstance(check, Unique):
        # as COUNT(DISTINCT …) does, of rows without a NULL in them
        whole = exp.CountIf(this=_all_known(check))
        distinct = exp.Distinct(expressions=[column_of(name) for name in check.columns])
        return exp.Sub(this=whole, expression=exp.Count(this=distinct))
    if isinstance(check, Fresh):
        return exp.Literal.number(0)
    return exp.CountIf(this=_breach(check))


def _measure(check: Check) -> exp.Expr:
    """Return the smallest, the largest or the newest value, where a check is about one."""
    column = column_of(check.column)
    if isinstance(check, Fresh) or (isinstance(check, Bound) and check.is_max):
        return exp.null() if check.family == Family.TEXT else exp.Max(this=column)
    if isinstance(check, Bound) and check.family != Family.TEXT:
        return exp.Min(this=column)
    return exp.null()


def _breach(check: Check) -> exp.Expr:
    """Return the condition that a row with a breaching value meets."""
    column = column_of(check.column)
    if isinstance(check, Bound):
        value = check.value
        if isinstance(value, Decimal):
            value = inwards(value, check.decimals, is_max=check.is_max)
        compare = exp.GT if check.is_max else exp.LT
        outside = compare(this=column, expression=literal(value, check.family))
        if check.family != Family.FLOAT:
            return outside
        return exp.or_(outside, is_nan(check.column))
    if isinstance(check, Allowed):
        values = [
            literal(value, check.family)
            for value in check.values
            # no value of the column has more decimals
            if not isinstance(value, Decimal) or inwards(value, check.decimals, is_max=True) == value
        ]
        if not values:
            return exp.not_(is_null(check.column))
        return exp.not_(exp.In(this=column, expressions=values))
    return is_null(check.column)


def _all_known(check: Unique) -> exp.Expr:
    return exp.and_(*(exp.not_(is_null(name)) for name in check.columns))


def _examples(connection: SnowflakeConnection, query: str, check: Check) -> list[tuple[Typed, ...]]:
    """Return some values that breach a check, no two alike."""
    names = check.columns if isinstance(check, Unique) else (check.column,)
    columns = [column_of(name) for name in names]
    condition = _all_known(check) if isinstance(check, Unique) else _breach(check)
    alike = "HAVING COUNT(*) > 1\n" if isinstance(check, Unique) else ""
    rest = f"WHERE {sql_of([condition])}\nGROUP BY {sql_of(columns)}\n{alike}LIMIT {EXAMPLES}"
    return select(connection, query, columns, rest)
