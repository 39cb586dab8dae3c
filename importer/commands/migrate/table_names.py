"""Tables by their whole names: an import of this program has no current database or schema."""

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.scope import traverse_scope

#: One row, of no database (https://docs.snowflake.com/en/sql-reference/constructs/from).
_DUAL = "DUAL"


def partial_tables(query: str) -> list[exp.Table]:
    """Return the tables of a query that lack their database, in the order of the text.

    `query` is one SELECT that `normalise_query` has returned; a ValueError where its names cannot be told.
    """
    try:
        # so that a table expression of the query itself is found whatever its letters' case
        tree = normalize_identifiers(parse_one(query, dialect="snowflake"), dialect="snowflake")
        scopes = traverse_scope(tree)
    except (SqlglotError, RecursionError):
        raise ValueError("its tables cannot be told") from None
    # a subquery sees the tables around it too
    found = {
        _start(source): source
        for scope in scopes
        for source in scope.sources.values()
        if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier)
        if not source.catalog and (source.db or source.name != _DUAL)
    }
    return [found[start] for start in sorted(found)]


def with_whole_names(query: str, tables: list[exp.Table], database: str, schema: str) -> str:
    """Return the query's text with `database`, and `schema` where it lacks, before each of `tables`."""
    for table in reversed(tables):
        start = _start(table)
        prefix = f"{database}." if table.db else f"{database}.{schema}."
        query = query[:start] + prefix + query[start:]
    return query


def _start(table: exp.Table) -> int:
    start: int = table.parts[0].meta["start"]
    return start
