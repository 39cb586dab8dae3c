"""SQL over a query's rows, for Snowflake; names and values come from sqlglot, quoted as they must be."""

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from snowflake.connector import SnowflakeConnection
from sqlglot import exp

from importer.job.contract.values import Family, Typed
from importer.snowflake.session import execute


def select(
    connection: SnowflakeConnection, query: str, expressions: Sequence[exp.Expr], rest: str = ""
) -> list[tuple[Any, ...]]:
    """Return what the expressions make of the rows of `query`; `rest` is what comes after its FROM."""
    # no column's name, as one that is both may be either
    named = [expression.as_(f"importer_{n}", quoted=True) for n, expression in enumerate(expressions)]
    # a query may end in a comment, so the parenthesis is on a line of its own
    statement = f"SELECT {sql_of(named)}\nFROM (\n{query}\n)\n{rest}"
    return [tuple(row) for row in execute(connection, statement.rstrip()).fetchall()]


def sql_of(expressions: Sequence[exp.Expr]) -> str:
    """Return expressions as Snowflake reads them, with commas between them."""
    return ", ".join(expression.sql("snowflake") for expression in expressions)


def column_of(name: str) -> exp.Expr:
    """Return a column of the query."""
    return exp.column(name, quoted=True)


def is_null(name: str) -> exp.Expr:
    """Return the condition that a column is NULL."""
    return column_of(name).is_(exp.null())


def is_nan(name: str) -> exp.Expr:
    """Return the condition that a floating-point number is NaN, which equals itself in Snowflake.

    https://docs.snowflake.com/en/sql-reference/data-types-numeric#special-values
    """
    return exp.EQ(this=column_of(name), expression=_cast("NaN", "DOUBLE"))


def literal(value: Typed, family: Family) -> exp.Expr:
    """Return a value as SQL, in the type of its column."""
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, Decimal):
        return exp.Literal.number(f"{value:f}")
    if isinstance(value, float):
        return _cast(repr(value), "DOUBLE")
    if isinstance(value, datetime):
        return _cast(value.isoformat(" "), "TIMESTAMP_TZ" if family == Family.ZONED else "TIMESTAMP_NTZ")
    if isinstance(value, date):
        return _cast(value.isoformat(), "DATE")
    if isinstance(value, time):
        return _cast(value.isoformat(), "TIME")
    return exp.Literal.string(str(value))


def _cast(text: str, kind: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), kind, dialect="snowflake")
