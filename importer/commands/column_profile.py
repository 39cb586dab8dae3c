"""The profile of a query's rows, from which a first contract is made; Snowflake computes it."""

import json
from dataclasses import dataclass
from typing import NamedTuple

from snowflake.connector import SnowflakeConnection
from sqlglot import exp

from importer.job.contract.values import Family, RowValue, family_of
from importer.snowflake.columns import DescribedColumn, type_text
from importer.snowflake.query_rows import column_of, is_nan, is_null, select_from
from importer.snowflake.session import describe
from importer.snowflake.type_table import check_columns

#: Columns per statement: counting distinct values takes memory of the warehouse.
_COLUMNS_AT_ONCE = 50

#: A column of text looks like a fixed set if it has at most so many values, none of them longer, each in so
#: many rows on average.
MOST_VALUES = 20
_LONGEST_VALUE = 100
ROWS_A_VALUE = 5


@dataclass(frozen=True)
class ColumnProfile:
    """A column; `low` and `high` are None if it has no order, no value, or NaN.

    `values` are all values of a text column that looks like a fixed set, else empty.
    """

    name: str
    type: str
    family: Family
    decimals: int
    nulls: int
    distinct: int | None
    low: RowValue | None
    high: RowValue | None
    values: list[str]


class Profile(NamedTuple):
    """The rows and the columns of a query."""

    rows: int
    columns: list[ColumnProfile]


class _Measures(NamedTuple):
    """The measures of a column; None where one does not apply."""

    nulls: int
    distinct: int | None
    low: RowValue | None
    high: RowValue | None
    longest: int | None
    not_numbers: int | None


def profile_query(connection: SnowflakeConnection, query: str) -> Profile:
    """Return the profile of a query; an ImporterError has Snowflake's own message."""
    columns = describe(connection, query)
    check_columns(columns)
    rows = 0
    measured: list[_Measures] = []
    for start in range(0, len(columns), _COLUMNS_AT_ONCE):
        some = columns[start : start + _COLUMNS_AT_ONCE]
        expressions = [expression for column in some for expression in _measures(column)]
        [(rows, *values)] = select_from(connection, query, [exp.Count(this=exp.Star()), *expressions])
        measured += [
            _Measures(*found) for found in zip(*[iter(values)] * len(_Measures._fields), strict=True)
        ]
    few = [c.name for c, m in zip(columns, measured, strict=True) if _is_set(m, rows)]
    values_of = _values(connection, query, few) if few else {}
    return Profile(
        rows, [_profile(c, m, values_of.get(c.name, [])) for c, m in zip(columns, measured, strict=True)]
    )


def _measures(column: DescribedColumn) -> list[exp.Expr]:
    """Return an expression for each field of `_Measures`."""
    value, family = column_of(column.name), family_of(column)
    has_extremes = family.is_ordered and family != Family.TEXT
    none = exp.null()
    return [
        exp.CountIf(this=is_null(column.name)),
        exp.Count(this=exp.Distinct(expressions=[value])) if family != Family.NESTED else none,
        exp.Min(this=value) if has_extremes else none,
        exp.Max(this=value) if has_extremes else none,
        exp.Max(this=exp.Length(this=value)) if family == Family.TEXT else none,
        exp.CountIf(this=is_nan(column.name)) if family == Family.FLOAT else none,
    ]


def _is_set(measures: _Measures, rows: int) -> bool:
    """Return whether a column's text looks like one of a fixed set of values."""
    if not measures.longest or not measures.distinct or measures.distinct > MOST_VALUES:
        return False
    return measures.longest <= _LONGEST_VALUE and rows - measures.nulls >= ROWS_A_VALUE * measures.distinct


def _values(connection: SnowflakeConnection, query: str, names: list[str]) -> dict[str, list[str]]:
    """Return all values of some columns of text; Snowflake returns an array as JSON, without NULLs."""
    arrays = [exp.ArrayAgg(this=exp.Distinct(expressions=[column_of(name)])) for name in names]
    [found] = select_from(connection, query, arrays)
    return {
        name: sorted(value for value in json.loads(array) if value is not None)
        for name, array in zip(names, found, strict=True)
    }


def _profile(column: DescribedColumn, measures: _Measures, values: list[str]) -> ColumnProfile:
    has_range = not measures.not_numbers
    return ColumnProfile(
        name=column.name,
        type=type_text(column),
        family=family_of(column),
        decimals=column.scale or 0,
        nulls=measures.nulls or 0,  # NULL if there are no rows
        distinct=measures.distinct,
        low=measures.low if has_range else None,
        high=measures.high if has_range else None,
        values=values,
    )
