"""The one query of an import: a single read-only SELECT in Snowflake's dialect."""

import hashlib
import logging

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import ParseError, TokenError

# sqlglot warns on standard error when it falls back to a Command; that case is an error below.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

# Statements and clauses that write, anywhere in the tree: `WITH … DELETE`, a call, a SELECT … INTO.
_WRITES = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Alter, exp.Drop, exp.TruncateTable)


def normalise_query(query: str) -> str:
    """Return the one statement of `query`; a ValueError says why it is not one read-only SELECT."""
    try:
        parsed = sqlglot.parse(query, dialect="snowflake")
    except (ParseError, TokenError) as error:
        raise ValueError(f"expected one SELECT statement in Snowflake's SQL; {_where(error)}") from None
    except RecursionError:
        raise ValueError("expected one SELECT statement; this one is nested too deeply") from None
    # a comment after a semicolon is a node of its own
    statements = [s for s in parsed if s is not None and not isinstance(s, exp.Semicolon)]
    if len(statements) != 1:
        raise ValueError(f"expected one SELECT statement, not {len(statements)}")
    statement = statements[0]
    if not isinstance(statement, exp.Query):
        raise ValueError(f"expected one SELECT statement, not {statement.key.upper()}")
    for node in statement.walk():
        # in sqlglot a Query is DDL too, because of CREATE … AS
        if isinstance(node, _WRITES) and not isinstance(node, exp.Query):
            raise ValueError(f"expected a SELECT that only reads, not one with {node.key.upper()}")
        if isinstance(node, exp.Anonymous) and _has_side_effects(node.name.upper()):
            raise ValueError(f"expected a SELECT that only reads, not one that calls {node.name.upper()}")
        if isinstance(node, exp.Column) and node.table and node.name.upper() == "NEXTVAL":
            raise ValueError(f"expected a SELECT that only reads, not one that advances {node.table}")
    return _without_semicolons(query)


def _has_side_effects(function: str) -> bool:
    # https://docs.snowflake.com/en/user-guide/querying-sequences
    return function.startswith("SYSTEM$") or function == "GETNEXTVAL"


def _without_semicolons(query: str) -> str:
    """Return the one statement of `query` with its comments, without semicolons around it."""
    tokens = sqlglot.tokenize(query, dialect="snowflake")
    semicolons = [token.start for token in tokens if token.token_type is TokenType.SEMICOLON]
    code = [token for token in tokens if token.token_type is not TokenType.SEMICOLON]
    start = max((at + 1 for at in semicolons if at < code[0].start), default=0)
    end = min((at for at in semicolons if at > code[-1].end), default=len(query))
    return query[start:end].strip()


def _where(error: ParseError | TokenError) -> str:
    """Return where the parser failed, without its excerpt, which has terminal codes."""
    if isinstance(error, ParseError) and error.errors:
        first = error.errors[0]
        return f"the syntax is wrong at line {first['line']}, column {first['col']}"
    return "the syntax is wrong"


def query_hash(query: str) -> str:
    """Return the SHA-256 of the query as written, in hex: versions have it as a tag."""
    return hashlib.sha256(query.encode()).hexdigest()
