"""The one query of an import: a single read-only SELECT in Snowflake's dialect."""

import hashlib
import logging

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

# sqlglot warns on standard error where it falls back to a Command; that is refused below in our own words.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

# Whatever writes, wherever it stands in the tree: `WITH … DELETE`, a call, a SELECT … INTO.
_WRITES = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Alter, exp.Drop, exp.TruncateTable)


def normalise_query(query: str) -> str:
    """Return `query` without its trailing semicolon; a ValueError says why it is not one read-only SELECT."""
    try:
        statements = [s for s in sqlglot.parse(query, dialect="snowflake") if s is not None]
    except (ParseError, TokenError) as error:
        raise ValueError(f"expected one SELECT statement in Snowflake's SQL; {_where(error)}") from None
    if len(statements) != 1:
        raise ValueError(f"expected one SELECT statement, not {len(statements)}")
    statement = statements[0]
    if not isinstance(statement, exp.Query):
        raise ValueError(f"expected one SELECT statement, not {statement.key.upper()}")
    for node in statement.walk():
        # sqlglot counts a Query among the DDL, as CREATE … AS takes one
        if isinstance(node, _WRITES) and not isinstance(node, exp.Query):
            raise ValueError(f"expected a SELECT that only reads, not one with {node.key.upper()}")
        if isinstance(node, exp.Anonymous) and node.name.upper().startswith("SYSTEM$"):
            raise ValueError(f"expected a SELECT that only reads, not one that calls {node.name.upper()}")
    return query.strip().rstrip(";").rstrip()


def _where(error: ParseError | TokenError) -> str:
    """Return what the parser could not read and where, without the excerpt marked up for a terminal."""
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        return f"cannot be read at line {first['line']}, column {first['col']}"
    return "cannot be read"


def query_hash(query: str) -> str:
    """Return the SHA-256 of the query as written, in hex: the tag that tells which query made a version."""
    return hashlib.sha256(query.encode()).hexdigest()
