"""Names and text that try to break out of a statement."""

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from importer.spec.sql import identifier, literal

HOSTILE = (
    *(
        "",
        " ",
        "'",
        "''",
        '"',
        '""',
        "\\",
        "\\\\",
        "\\'",
        "'\\",
        "\\n",
        "\n",
        "\r\n",
        "\t",
        "a;b",
        "--",
        "/*",
    ),
    *("x'; DROP TABLE t; --", "x\\'; DROP TABLE t; --", 'x"; DROP TABLE t; --', "$$", "$$x$$", "{{x}}", "%s"),
    *("?", ":a", "&a", "Größe", "列", "😀", "é\u2028", "\x7f", "SELECT", "null", "it's", "\\u0041", "\\x41"),
)


def snowflake_text(constant: str) -> str:
    """Return what Snowflake reads from a string constant in single quotes.

    https://docs.snowflake.com/en/sql-reference/data-types-text#escape-sequences-in-single-quoted-string-constants
    """
    escapes = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
    assert constant[0] == constant[-1] == "'"
    read, rest = "", constant[1:-1]
    while rest:
        if rest.startswith("\\x"):
            read, rest = read + chr(int(rest[2:4], 16)), rest[4:]
        elif rest.startswith("\\"):
            read, rest = read + escapes.get(rest[1], rest[1]), rest[2:]
        elif rest.startswith("'"):
            assert rest.startswith("''"), "the constant ends early"
            read, rest = read + "'", rest[2:]
        else:
            read, rest = read + rest[0], rest[1:]
    return read


@pytest.mark.parametrize("text", HOSTILE)
def test_literal_is_read_as_the_same_text_by_snowflake_and_duckdb(text: str) -> None:
    assert snowflake_text(literal(text)) == text
    with duckdb.connect() as database:
        assert database.execute(f"SELECT {literal(text, 'duckdb')}").fetchall() == [(text,)]


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_identifier_is_read_as_the_same_name(name: str) -> None:
    statement = f"SELECT 1 AS {identifier(name)}"
    with duckdb.connect() as database:
        assert [column[0] for column in database.execute(statement).description or ()] == [name]
    [alias] = sqlglot.parse_one(statement, dialect="snowflake").find_all(exp.Alias)
    assert alias.alias == name
    # Snowflake's rule: a double quote inside is doubled, and nothing else is special
    assert identifier(name)[1:-1].replace('""', "") == name.replace('"', "")


@pytest.mark.parametrize("text", ["\0", "\x01", "\x1b[31m", "\b", "\f", "\v"])
def test_control_characters_in_a_snowflake_literal_are_escaped(text: str) -> None:
    assert literal(text).isprintable()
    assert snowflake_text(literal(text)) == text
