"""SQL expressions over the rows of a query, computed by Snowflake; sqlglot quotes their names and values."""

from collections.abc import Sequence
from typing import Any

from snowflake.connector import SnowflakeConnection
from sqlglot import exp

from importer.snowflake.session import execute


def select_from(
    connection: SnowflakeConnection, query: str, expressions: Sequence[exp.Expr], rest: str = ""
) -> list[tuple[Any, ...]]:
    """Return the values of the expressions over the rows of `query`; `rest` is what comes after its FROM."""
    # avoid aliases that equal a column's name: they are ambiguous
    named = [expression.as_(f"importer_{n}", quoted=True) for n, expression in enumerate(expressions)]
    # a query may end in a comment, so the parenthesis is on a line of its own
    statement = f"SELECT {sql_of(named)}\nFROM (\n{query}\n)\n{rest}"
    return [tuple(row) for row in execute(connection, statement.rstrip()).fetchall()]


def sql_of(expressions: Sequence[exp.Expr]) -> str:
    """Return expressions in Snowflake's SQL, separated by commas."""
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
    return exp.EQ(this=column_of(name), expression=text_as("NaN", "DOUBLE"))


def text_as(text: str, kind: str) -> exp.Expr:
    """Return text cast to a type."""
    return exp.cast(exp.Literal.string(text), kind, dialect="snowflake")
