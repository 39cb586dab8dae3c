"""The objects that a query reads: tables and views, functions, stages, by their names in Snowflake."""

from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.scope import traverse_scope

_DIALECT = "snowflake"


class TableName(NamedTuple):
    """A table or view; database and schema are None where the session completes them."""

    database: str | None
    schema: str | None
    name: str


class QueryObjects(NamedTuple):
    """The objects of a query, each kind sorted; functions and stages as the query writes them."""

    tables: list[TableName]
    functions: list[str]
    stages: list[str]


def query_objects(query: str) -> QueryObjects:
    """Return the objects that `query` reads, without the tables of its own WITH clause.

    Functions without a schema are left out: they are Snowflake's own. Unquoted names are in capitals
    (https://docs.snowflake.com/en/sql-reference/identifiers-syntax).
    """
    statement = normalize_identifiers(sqlglot.parse_one(query, dialect=_DIALECT), dialect=_DIALECT)
    for clause in statement.find_all(exp.With):
        clause.set("recursive", True)  # Snowflake does not require the word
    tables: set[TableName] = set()
    stages: set[str] = set()
    for scope in traverse_scope(statement):
        for table in scope.tables:
            if isinstance(table.this, exp.Var):
                stages.add(table.name)
            elif table.db or table.catalog or table.name not in scope.cte_sources:
                tables.add(_table_name(table))
    functions = {_schema_function(call) for call in statement.find_all(exp.Anonymous)} - {""}
    return QueryObjects(
        sorted(tables, key=lambda t: (t.database or "", t.schema or "", t.name)),
        sorted(functions),
        sorted(stages),
    )


def _table_name(table: exp.Table) -> TableName:
    if isinstance(table.this, exp.DynamicIdentifier):  # IDENTIFIER('a.b.c')
        table = normalize_identifiers(exp.to_table(table.name, dialect=_DIALECT), dialect=_DIALECT)
    # `database..table` is short for the schema PUBLIC
    schema = table.db or ("PUBLIC" if table.catalog else None)
    return TableName(table.catalog or None, schema, table.name)


def _schema_function(call: exp.Anonymous) -> str:
    """Return the function of a call as `schema.name` or `database.schema.name`; empty without a schema."""
    path = call.parent
    if not isinstance(path, exp.Dot) or path.expression is not call:
        return ""
    return ".".join(part.name for part in path.flatten())
