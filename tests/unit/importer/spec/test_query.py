import pytest

from importer.spec.query import normalise_query, query_hash


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM a.b.c",
        "WITH x AS (SELECT 1 AS n) SELECT n FROM x",
        "SELECT 1 UNION ALL SELECT 2",
        "SELECT v:n::INT FROM t, LATERAL FLATTEN(input => t.v) QUALIFY ROW_NUMBER() OVER (ORDER BY n) = 1",
        "SELECT ';' AS semicolon -- delete from t",
        "SELECT 'ä' AS n -- the end;",
        "SELECT $$;$$ /* ; */",
        "SELECT nextval FROM t",
    ],
)
def test_one_select_is_returned_as_written(query: str) -> None:
    assert normalise_query(query) == query


@pytest.mark.parametrize(
    ("query", "statement"),
    [
        ("  SELECT 1 ;\n", "SELECT 1"),
        ("SELECT 1; -- c;", "SELECT 1"),
        ("SELECT 1; /* ; */ ;", "SELECT 1"),
        (";; -- a\n SELECT ';' ;", "-- a\n SELECT ';'"),
        ("SELECT 'ä;' -- b;\n;", "SELECT 'ä;' -- b;"),
    ],
)
def test_semicolons_around_the_statement_are_removed(query: str, statement: str) -> None:
    assert normalise_query(query) == statement


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "expected one SELECT statement, not 0"),
        ("SELECT 1; SELECT 2", "expected one SELECT statement, not 2"),
        ("-- nothing;\n;", "expected one SELECT statement, not 0"),
        ("DELETE FROM t", "not DELETE"),
        ("DROP TABLE t", "not DROP"),
        ("CREATE TABLE u AS SELECT 1", "not CREATE"),
        ("CALL p()", "not "),
        ("SELECT SYSTEM$ABORT_SESSION(1)", "calls SYSTEM$ABORT_SESSION"),
        ("SELECT 1 INTO t", "INTO"),
        ("SELECT a.b.s.nextval + 1", "not one that advances s"),
        ("SELECT * FROM t, TABLE(GETNEXTVAL(s)) n", "calls GETNEXTVAL"),
        ("SELECT FROM WHERE", "the syntax is wrong"),
        ("SELECT 'a", "the syntax is wrong"),
    ],
)
def test_query_other_than_one_reading_select_is_refused_with_the_reason(query: str, reason: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        normalise_query(query)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_different_queries_have_different_hashes() -> None:
    assert query_hash("SELECT 1") == query_hash("SELECT 1")
    assert query_hash("SELECT 1") != query_hash("SELECT 2")
