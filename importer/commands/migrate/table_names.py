"""Completes the names of tables: an import of this program has no current database or schema."""

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.scope import traverse_scope

#: A table of one row that belongs to no database (https://docs.snowflake.com/en/sql-reference/constructs/from).
_DUAL = "DUAL"


def partial_tables(query: str) -> list[exp.Table]:
    """Return the tables of a query that are written without a database, in the order of the text.

    `query` comes from `normalise_query`. Raises a ValueError if sqlglot cannot resolve its names.
    """
    try:
        # a reference to a WITH clause may differ from it in case
        tree = normalize_identifiers(parse_one(query, dialect="snowflake"), dialect="snowflake")
        scopes = traverse_scope(tree)
    except (SqlglotError, RecursionError):
        raise ValueError("its tables cannot be determined") from None
    # a subquery's scope includes the tables of the query around it: the dict removes duplicates
    found = {
        _start(source): source
        for scope in scopes
        for source in scope.sources.values()
        if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier)
        if not source.catalog and (source.db or source.name != _DUAL)
    }
    return [found[start] for start in sorted(found)]


def with_whole_names(query: str, tables: list[exp.Table], database: str, schema: str) -> str:
    """Return the query's text with `database`, and `schema` if missing, before each of `tables`."""
    for table in reversed(tables):
        start = _start(table)
        prefix = f"{database}." if table.db else f"{database}.{schema}."
        query = query[:start] + prefix + query[start:]
    return query


def _start(table: exp.Table) -> int:
    start: int = table.parts[0].meta["start"]
    return start
