"""Names and text as parts of a SQL statement, quoted by sqlglot."""

from typing import Literal

from sqlglot import exp


def identifier(name: str) -> str:
    """Return a name in double quotes, with its letters as they are; Snowflake and DuckDB read it alike."""
    return exp.to_identifier(name, quoted=True).sql("snowflake")


def literal(text: str, dialect: Literal["snowflake", "duckdb"] = "snowflake") -> str:
    """Return text as a string constant: Snowflake reads backslash escapes in it, DuckDB does not."""
    return exp.Literal.string(text).sql(dialect)
