"""The expressions of derived columns: scalar expressions of known columns, in DuckDB's SQL.

Only listed operators and functions are accepted. So no expression reads a file, a setting, an environment
variable or another row, and each returns the same value on every run.
https://duckdb.org/docs/stable/sql/expressions/overview
"""

import re
from collections.abc import Collection, Mapping

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from importer.spec.names import nearest_column

#: The operators and functions, as classes of sqlglot. Each returns the same value on every run, and none
#: returns text that is much longer than its arguments.
_ALLOWED: frozenset[type[exp.Expr]] = frozenset(
    {
        # names, values and what holds an expression together
        *(exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Neg),
        *(exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.Interval, exp.Var),
        # comparisons and conditions
        *(exp.And, exp.Or, exp.Not, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.SimilarTo),
        *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ),
        *(exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least),
        # numbers
        *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Pow, exp.Abs, exp.Sign),
        *(exp.Round, exp.Ceil, exp.Floor, exp.Trunc, exp.Sqrt, exp.Exp, exp.Ln, exp.Log, exp.IsNan),
        *(exp.Pi, exp.Radians, exp.Sin, exp.Cos, exp.Tan, exp.Asin, exp.Acos, exp.Atan, exp.Atan2),
        # text
        *(exp.DPipe, exp.Concat, exp.ConcatWs, exp.Upper, exp.Lower, exp.Trim, exp.Length, exp.Reverse),
        *(exp.Substring, exp.Left, exp.Right, exp.Replace, exp.Translate, exp.SplitPart, exp.StrPosition),
        *(exp.Contains, exp.StartsWith, exp.EndsWith, exp.MD5, exp.SHA2),
        *(exp.RegexpLike, exp.RegexpFullMatch, exp.RegexpExtract, exp.RegexpReplace),
        # VARIANT comes as JSON text
        *(exp.JSONExtractScalar, exp.JSONPath, exp.JSONPathRoot, exp.JSONPathKey, exp.JSONPathSubscript),
        # dates and times
        *(exp.Extract, exp.Year, exp.Quarter, exp.Month, exp.Week, exp.Day, exp.DayOfWeek, exp.DayOfYear),
        *(exp.Hour, exp.Minute, exp.Second, exp.TimestampTrunc, exp.DateTrunc, exp.DateDiff, exp.DateAdd),
        *(exp.LastDay, exp.DateFromParts, exp.TimestampFromParts, exp.TimeToUnix, exp.AtTimeZone),
        *(exp.StrToTime, exp.TimeToStr, exp.Monthname, exp.Dayname),
    }
)

#: Functions without a class of sqlglot.
_ALLOWED_NAMES = {"DATE_PART", "ISFINITE", "ISINF", "PREFIX", "SUFFIX", "TRY_STRPTIME"}

_CAST_TYPES = {
    *(exp.DType.BOOLEAN, exp.DType.TINYINT, exp.DType.SMALLINT, exp.DType.INT, exp.DType.BIGINT),
    *(exp.DType.FLOAT, exp.DType.DOUBLE, exp.DType.DECIMAL, exp.DType.VARCHAR, exp.DType.TEXT),
    *(exp.DType.DATE, exp.DType.TIME, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ),
    *(exp.DType.TIMESTAMP_NS, exp.DType.TIMESTAMPTZ),
}

#: Units of time are words, which sqlglot writes as they are.
_WORD = re.compile(r"[A-Za-z_]+")


def check_expression(text: str) -> str:
    """Return the text; a ValueError names the part that is not a scalar expression of columns."""
    _parse(text)
    return text


def expression_columns(text: str, known: Collection[str]) -> set[str]:
    """Return the known columns that an expression uses; a ValueError names an unknown column.

    The case of an unquoted name does not matter if only one known column matches.
    """
    return {_known_name(column, known) for column in _parse(text).find_all(exp.Column)}


def expression_sql(text: str, known: Mapping[str, str]) -> str:
    """Return an expression for DuckDB, with each known column replaced by its name in `known`."""

    def replace(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column):
            return node
        return exp.column(known[_known_name(node, known)], quoted=True)

    return _parse(text).transform(replace).sql(dialect="duckdb", comments=False)


def _known_name(column: exp.Column, known: Collection[str]) -> str:
    if column.name in known:
        return column.name
    found = [name for name in known if name.lower() == column.name.lower()]
    if column.this.quoted or not found:
        raise ValueError(f"there is no clean column {column.name}; {nearest_column(column.name, known)}")
    if len(found) > 1:
        raise ValueError(f"{column.name} is ambiguous: quote {' or '.join(found)}")
    return found[0]


def _parse(text: str) -> exp.Expr:
    try:
        parsed = sqlglot.parse(text, dialect="duckdb")
    except (ParseError, TokenError):
        raise ValueError("is not an expression of DuckDB's SQL") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    found = [expression for expression in parsed if expression is not None]
    if len(found) != 1:
        raise ValueError(f"expected one expression, not {len(found)}")
    for node in found[0].walk():
        _check(node)
    return found[0]


def _check(node: exp.Expr) -> None:
    """Raise a ValueError if a node is not allowed in an expression."""
    if isinstance(node, exp.Anonymous):
        if node.name.upper() not in _ALLOWED_NAMES:
            raise ValueError(f"the function {node.name.upper()} is not allowed")
    elif type(node) not in _ALLOWED:
        name = node.sql_name() if isinstance(node, exp.Func) else node.key.upper()
        raise ValueError(f"{name} is not allowed")
    elif isinstance(node, exp.Column) and (node.table or not isinstance(node.this, exp.Identifier)):
        raise ValueError(f"{node.sql(dialect='duckdb')} is not allowed: write the column's name alone")
    elif isinstance(node, exp.DataType) and node.this not in _CAST_TYPES:
        raise ValueError(f"a cast to {node.sql(dialect='duckdb')} is not allowed")
    elif isinstance(node, exp.Var) and not _WORD.fullmatch(node.name):
        raise ValueError(f"{node.name} is not allowed")
