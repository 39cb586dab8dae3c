"""Curation rules: the clean rows, the rows in quarantine, and their reasons."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pydantic import ValidationError

from importer.errors import ImporterError
from importer.job.curate.conditions import RULES
from importer.job.curate.engine import Engine, open_engine
from importer.spec.curate import Curate, ValueRules, rules_hash
from importer.spec.expression import check_expression, expression_sql

MEMORY = 64 * 2**20


def curate(**rules: Any) -> Curate:
    return Curate.model_validate({"asset": "clean", **rules})


@contextmanager
def engine(rules: Curate, schema: pa.Schema, folder: Path) -> Iterator[Engine]:
    with open_engine(rules, schema, folder, MEMORY) as opened:
        yield opened


class Applied:
    """What rules make of a table, fed in batches."""

    def __init__(self, folder: Path, table: pa.Table, batch: int = 1000, **rules: Any) -> None:
        batches = [(first, table.slice(first, batch)) for first in range(0, table.num_rows, batch)]
        folder.mkdir(exist_ok=True)
        with engine(curate(**rules), table.schema, folder) as opened:
            if "deduplicate" in rules:
                opened.learn_duplicates(batches)
            found = [opened.sort(first, rows) for first, rows in batches]
            self.schema = opened.clean_schema
            self.clean = pa.concat_tables([self.schema.empty_table(), *(part.clean for part in found)])
            self.aside = pa.concat_tables(
                [opened.quarantine_schema.empty_table(), *(part.quarantined for part in found)]
            )

    @property
    def reasons(self) -> list[list[str]]:
        found: list[list[str]] = self.aside["_reasons"].to_pylist()
        return found


def refusal(folder: Path, table: pa.Table, **rules: Any) -> str:
    with pytest.raises(ImporterError) as raised:
        Applied(folder, table, **rules)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_without_rules_all_rows_are_clean_and_unchanged(tmp_path: Path) -> None:
    table = pa.table({"a": [1, None], "A": ["x", None]})
    applied = Applied(tmp_path, table)
    assert applied.clean == table
    assert applied.aside.num_rows == 0


def test_values_are_trimmed_then_cast_then_renamed(tmp_path: Path) -> None:
    table = pa.table({"N": [" 7 ", "\t8\u00a0", "  ", None], "KEPT": [" a", "b", "c", "d"]})
    applied = Applied(tmp_path, table, columns={"N": {"trim": True, "cast": "bigint", "name": "number"}})
    assert applied.clean.to_pydict() == {"number": [7, 8, None, None], "KEPT": [" a", "b", "c", "d"]}


def test_white_space_of_unicode_is_trimmed_on_both_sides_and_kept_inside(tmp_path: Path) -> None:
    blanks = [character for character in map(chr, range(0x110000)) if character.isspace()]
    texts = [text for blank in blanks for text in (f"{blank}é", f"'😀{blank * 2}", f"a{blank}b", blank)]
    texts += ["", "whole", "\u200d", " \u0301 "]
    applied = Applied(tmp_path, pa.table({"T": texts}), columns={"T": {"trim": True}})
    assert applied.clean["T"].to_pylist() == [text.strip() or None for text in texts]


def test_value_that_cannot_be_cast_goes_to_quarantine_unchanged(tmp_path: Path) -> None:
    table = pa.table({"D": ["2020-02-29", "2021-02-29", None, "NA"], "ID": [1, 2, 3, 4]})
    applied = Applied(tmp_path, table, columns={"D": {"cast": "DATE", "required": True}})
    assert applied.clean.to_pylist() == [{"D": date(2020, 2, 29), "ID": 1}]
    assert applied.aside.to_pylist() == [
        {"D": "2021-02-29", "ID": 2, "_reasons": ["D: cannot be cast to DATE"]},
        {"D": None, "ID": 3, "_reasons": ["D: there is no value"]},
        {"D": "NA", "ID": 4, "_reasons": ["D: cannot be cast to DATE"]},
    ]


@pytest.mark.parametrize(
    ("rules", "values", "good"),
    [
        ({"required": True}, [1, None], [1]),
        ({"min": 2}, [1, 2, None], [2, None]),
        ({"max": 2}, [2, 3, None], [2, None]),
        ({"min": 0.5}, [0, 1], [1]),
        ({"max": 1.5}, [1, 2], [1]),
        ({"max": 10**20}, [2**62], [2**62]),
        ({"allowed": [1, "3"]}, [1, 2, 3, None], [1, 3, None]),
        ({"min": "0.005"}, [Decimal("0.00"), Decimal("0.01")], [Decimal("0.01")]),
        ({"max": 0.005}, [Decimal("0.00"), Decimal("0.01")], [Decimal("0.00")]),
        ({"max": "9" * 38}, [Decimal("9" * 38), Decimal(1)], [Decimal("9" * 38), Decimal(1)]),
        ({"max": "9" * 37 + "8"}, [Decimal("9" * 38), Decimal(1)], [Decimal(1)]),
        ({"min": 0}, [-0.5, 0.0, float("nan"), None], [0.0, None]),
        ({"max": 0}, [0.5, 0.0, float("nan"), None], [0.0, None]),
        ({"min": "b"}, ["a", "b", "ä"], ["b", "ä"]),
        ({"allowed": ["it's", ""]}, ["it's", "", "its"], ["it's", ""]),
        ({"allowed": [True]}, [True, False, None], [True, None]),
        ({"min": "1969-12-31"}, [date(1969, 12, 30), date(1970, 1, 1)], [date(1970, 1, 1)]),
        ({"max": "2020-01-01T00:00:00Z"}, [datetime(2020, 1, 1, 0, 0, 1, tzinfo=UTC)], []),
        ({"required": True}, [b"", None], [b""]),
    ],
)
def test_rows_that_break_a_rule_go_to_quarantine(
    tmp_path: Path, rules: dict[str, Any], values: list[Any], good: list[Any]
) -> None:
    applied = Applied(tmp_path, pa.table({"C": values}), columns={"C": rules})
    assert applied.clean["C"].to_pylist() == good
    assert all(len(reasons) == 1 and reasons[0].startswith("C: ") for reasons in applied.reasons)


def test_every_rule_of_a_value_has_a_condition() -> None:
    assert set(RULES) == set(ValueRules.model_fields)


def test_every_reason_of_a_row_is_listed(tmp_path: Path) -> None:
    table = pa.table({"A": [5, 0], "B": ["x", None]})
    columns = {"A": {"min": 1, "allowed": [5]}, "B": {"required": True}}
    assert Applied(tmp_path, table, columns=columns).reasons == [
        ["A: is below 1", "A: is not one of the allowed values", "B: there is no value"]
    ]


def test_without_other_columns_only_listed_ones_are_kept(tmp_path: Path) -> None:
    table = pa.table({"A": [1], "B": [2], "C": [3]})
    assert Applied(tmp_path, table, columns={"B": {}}, otherColumns=False).schema.names == ["B"]


def test_unchanged_values_keep_their_exact_type(tmp_path: Path) -> None:
    table = pa.table(
        {
            'odd "näme"': pa.array([Decimal("9" * 38)], pa.decimal128(38, 0)),
            "a.b": pa.array([Decimal("-0.01")], pa.decimal128(38, 2)),
            "ns": pa.array([-1], pa.timestamp("ns")),
            "zoned": pa.array([1], pa.timestamp("ns", "UTC")),
            "far": pa.array([datetime(9999, 12, 31)], pa.timestamp("us")),
            "old": pa.array([date(1, 1, 1)], pa.date32()),
            "time": pa.array([1], pa.time64("ns")),
            "json": ['{"a":[1,2]}'],
            "bytes": [b"\x00\xff"],
            "null": pa.array([None], pa.string()),
            "float": [float("inf")],
        }
    )
    rules = {name: {"name": f"clean {name}"} for name in table.column_names}
    applied = Applied(tmp_path, table, columns=rules)
    assert applied.clean.rename_columns(table.column_names) == table
    broken = Applied(tmp_path / "2", table, columns={"old": {"min": "1000-01-01"}})
    assert broken.aside.drop_columns("_reasons") == table


def test_bounds_compare_nanoseconds(tmp_path: Path) -> None:
    table = pa.table({"T": pa.array([1, 2], pa.timestamp("ns", "UTC"))})
    rules = {"T": {"max": "1970-01-01T00:00:00.000000001Z"}}
    assert Applied(tmp_path, table, columns=rules).clean.num_rows == 1


def test_derived_columns_are_computed_from_clean_ones(tmp_path: Path) -> None:
    table = pa.table({"PRICE": ["10", "x", "30"], "Area": [2, 1, 0], "area": ["a", "b", "c"]})
    applied = Applied(
        tmp_path,
        table,
        columns={"PRICE": {"cast": "DECIMAL(12,2)", "name": "Paid"}},
        derive={
            "z": {"expression": 'paid / "Area"'},
            "big": {"expression": '"Area" + 9000000000000000000::DECIMAL(38,0)'},
            "m": {"expression": "upper(\"area\") || ' it''s'"},
        },
    )
    assert applied.schema.names == ["Paid", "Area", "area", "big", "m", "z"]
    assert applied.clean["z"].to_pylist() == [5.0]
    assert applied.reasons == [["PRICE: cannot be cast to DECIMAL(12,2)"], ["z: cannot be computed"]]
    assert applied.clean["m"].to_pylist() == ["A it's"]
    assert applied.schema.field("big").type == pa.decimal128(38, 0)


def test_expression_that_fails_for_a_row_puts_only_that_row_in_quarantine(tmp_path: Path) -> None:
    table = pa.table({"N": [1, 2**62, None], "T": ["1", "x", None]})
    derive = {
        "TWICE": {"expression": "N * 2", "required": True},
        "NUMBER": {"expression": "CAST(T AS BIGINT)", "max": 0},
    }
    assert Applied(tmp_path, table, derive=derive).reasons == [
        ["NUMBER: is above 0"],
        ["NUMBER: cannot be computed", "TWICE: cannot be computed"],
        ["TWICE: there is no value"],
    ]


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_one_row_of_each_key_is_kept(tmp_path: Path, batch: int) -> None:
    table = pa.table(
        {
            "K": [1, 1, 1, 2, None, None, 3, 3],
            "AT": [5.0, 9.0, 9.0, None, 1.0, 1.0, float("nan"), -1.0],
            "ID": [*range(8)],
        }
    )
    latest = Applied(tmp_path, table, batch, deduplicate={"key": ["K"], "latest": "AT"})
    assert latest.clean["ID"].to_pylist() == [1, 3, 4, 5, 7]
    assert latest.reasons == [["another row has the same K"]] * 3
    first = Applied(tmp_path / "first", table, batch, deduplicate={"key": ["K"]})
    assert first.clean["ID"].to_pylist() == [0, 3, 4, 5, 6]


def test_row_that_breaks_a_rule_is_no_duplicate_of_another(tmp_path: Path) -> None:
    table = pa.table({"K": ["a ", "a", "b"], "AT": [1, 2, 3], "V": [1, -1, 1]})
    applied = Applied(
        tmp_path,
        table,
        columns={"V": {"min": 0}, "K": {"trim": True}},
        deduplicate={"key": ["FIRST"], "latest": "AT"},
        derive={"FIRST": {"expression": "left(K, 1)"}},
    )
    assert applied.clean["K"].to_pylist() == ["a", "b"]
    assert applied.reasons == [["V: is below 0"]]


def test_many_rows_keep_their_order(tmp_path: Path) -> None:
    rows = 50_000
    table = pa.table({"N": pa.chunked_array([[*range(rows)], [*range(rows, 2 * rows)]])})
    applied = Applied(
        tmp_path,
        table,
        2 * rows,
        columns={"N": {"max": rows + 9}},
        derive={"M": {"expression": "n + 1"}},
        deduplicate={"key": ["M"]},
    )
    assert applied.clean["N"].to_pylist() == [*range(rows + 10)]
    assert applied.clean["M"].to_pylist() == [*range(1, rows + 11)]
    assert applied.aside["N"].to_pylist() == [*range(rows + 10, 2 * rows)]


def test_empty_version_has_the_same_columns(tmp_path: Path) -> None:
    table = pa.table({"K": ["1"], "V": [1]})
    rules: dict[str, Any] = {
        "columns": {"K": {"cast": "BIGINT"}},
        "derive": {"D": {"expression": "K + V"}},
        "deduplicate": {"key": ["K"]},
    }
    none = Applied(tmp_path, table.slice(1), **rules)
    assert none.schema == Applied(tmp_path / "one", table, **rules).clean.schema
    assert none.clean.num_rows == none.aside.num_rows == 0


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            {"columns": {"NOPE": {}}},
            "curate.columns.NOPE: the query returns no such column; the columns are N, T, D, B",
        ),
        ({"columns": {"N": {"trim": True}}}, "curate.columns.N.trim: the column must be text, and is BIGINT"),
        (
            {"columns": {"N": {"min": "x"}}},
            "curate.columns.N.min: x is not a number, and the column has type BIGINT",
        ),
        ({"columns": {"N": {"allowed": [1.5]}}}, "curate.columns.N.allowed: 1.5 has more decimal places"),
        ({"columns": {"N": {"max": "1e50"}}}, "curate.columns.N.max: "),
        (
            {"columns": {"T": {"min": 1}}},
            "curate.columns.T.min: 1 is compared with a column of type VARCHAR: put it in quotes",
        ),
        ({"columns": {"D": {"min": "soon"}}}, "curate.columns.D.min: Conversion Error: .*soon"),
        ({"columns": {"B": {"min": True}}}, "curate.columns.B.min: does not apply to BOOLEAN: use allowed"),
        ({"columns": {"T": {"name": "N"}}}, "two clean columns have the name N"),
        ({"derive": {"N": {"expression": "1"}}}, "two clean columns have the name N"),
        (
            {"derive": {"X": {"expression": "nope"}}},
            "curate.derive.X.expression: there is no clean column nope; the columns are N, T, D, B",
        ),
        ({"derive": {"X": {"expression": "t + 1"}}}, "curate.derive.X.expression: "),
        ({"derive": {"X": {"expression": "D - D + interval 1 day"}}}, "curate.derive.X.expression: "),
        (
            {"derive": {"X": {"expression": "interval 1 day"}}},
            "X.expression: its type is INTERVAL, which Parquet does not store: cast it",
        ),
        ({"derive": {"X": {"expression": "n"}, "Y": {"expression": "x"}}}, "there is no clean column x"),
        (
            {"deduplicate": {"key": ["NOPE"]}},
            "curate.deduplicate.key: there is no clean column NOPE; the columns are N, T",
        ),
        (
            {"deduplicate": {"key": ["N"], "latest": "n"}},
            r"curate.deduplicate.latest: there is no clean column n; did you mean N\?",
        ),
        ({"otherColumns": False}, "curate.otherColumns: no clean column is left"),
    ],
)
def test_rule_that_does_not_fit_the_columns_raises_an_error_with_its_path(
    tmp_path: Path, rules: dict[str, Any], message: str
) -> None:
    table = pa.table({"N": [1], "T": ["x"], "D": [date(2020, 1, 1)], "B": [True]})
    with pytest.raises(ImporterError, match=message):
        Applied(tmp_path, table, **rules)


def test_name_that_matches_two_columns_must_be_quoted(tmp_path: Path) -> None:
    table = pa.table({"Ab": [1], "aB": [2]})
    derive = {"X": {"expression": "ab + 1"}}
    assert "ab is ambiguous: quote Ab or aB" in refusal(tmp_path, table, derive=derive)
    assert Applied(tmp_path / "2", table, derive={"X": {"expression": '"aB"'}}).clean["X"].to_pylist() == [2]


def test_raw_column_with_the_name_of_the_reasons_raises_an_error(tmp_path: Path) -> None:
    assert "rename it in the query" in refusal(tmp_path, pa.table({"_reasons": [1]}))


ATTACKS = [
    "read_csv('/etc/passwd')",
    "(SELECT content FROM read_text('/etc/passwd'))",
    "(SELECT 1)",
    "a IN (SELECT 1)",
    "EXISTS (SELECT 1)",
    "a; SELECT 1",
    "SELECT a",
    "getenv('HOME')",
    "current_setting('temp_directory')",
    "getvariable('x')",
    "query('SELECT 1')",
    "random()",
    "now()",
    "current_date",
    "uuid()",
    "nextval('s')",
    "error('x')",
    "repeat('x', 1000000000)",
    "lpad('x', 1000000000, 'x')",
    "sum(a)",
    "row_number() OVER ()",
    "COLUMNS('a')",
    "*",
    "raw_rows.a",
    "$1",
    "?",
    "[a]",
    "{'a': a}",
    "list_transform([a], x -> x)",
    "a::JSON",
    "a::VARCHAR[]",
    "a::nosuchtype",
    "a AS b",
    "a COLLATE nocase",
    "date_trunc('day''); SELECT 1 --', a)",
    "a +",
    "",
    "-- a",
    "PRAGMA version",
    "COPY raw_rows TO '/tmp/x'",
    "(" * 2000 + "a" + ")" * 2000,
]


@pytest.mark.parametrize("expression", ATTACKS, ids=range(len(ATTACKS)))
def test_expression_that_does_more_than_compute_raises_an_error(expression: str) -> None:
    with pytest.raises(ValueError, match=r"not allowed|expected one|is not an expression|nested|alone"):
        check_expression(expression)


def test_error_of_an_expression_has_its_path() -> None:
    with pytest.raises(ValidationError) as raised:
        curate(derive={"X": {"expression": "read_csv('/etc/passwd')"}})
    (error,) = raised.value.errors()
    assert error["loc"] == ("derive", "X", "expression")
    assert "READ_CSV is not allowed" in error["msg"]


@pytest.mark.parametrize(
    "expression",
    [
        "a + b * 2 - -a",
        "a / b",
        "a // 2 % 3",
        "a ** 2",
        "round(b, 1) + ceil(b) + floor(b) + abs(a) + sqrt(a) + ln(a) + log10(a) + exp(b)",
        "CASE WHEN a > 1 AND NOT b < 2 OR a IS NULL THEN 'x' ELSE 'y' END",
        "coalesce(nullif(t, 'x'), 'y') || upper(t) || left(t, 2)",
        "t LIKE 'A%' AND t NOT ILIKE 'z' AND t IN ('Ab-cd', 'x')",
        "regexp_replace(t, '[a-z]', '_', 'g') || regexp_extract(t, '(.)-', 1) || split_part(t, '-', 2)",
        "length(trim(t)) + strpos(t, '-') BETWEEN 1 AND 99",
        "year(d) * 100 + month(d) + extract(day FROM d)",
        "date_diff('day', d, DATE '2020-03-09')",
        "date_trunc('month', d) + INTERVAL 1 DAY",
        "strftime(d, '%Y/%m') || strptime('2020', '%Y')::DATE::VARCHAR",
        "TIMESTAMP '2020-01-01 00:00:00' < d",
        "make_date(a::INTEGER, 1, 2)",
        "j ->> '$.k[1]'",
        "greatest(a, 3) + least(a, 3)",
        "TRY_CAST(t AS DECIMAL(38,2))",
        "a IS DISTINCT FROM b",
    ],
)
def test_checked_expression_keeps_its_meaning(expression: str) -> None:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE r AS SELECT 7::BIGINT AS a, 2.5::DECIMAL(12,2) AS b, 'Ab-cd' AS t, "
        "DATE '2020-03-04' AS d, '{\"k\": [1, \"two\"]}' AS j"
    )
    checked = expression_sql(expression, {name: name for name in "abtdj"})
    results = [
        connection.execute(f"SELECT {sql} FROM r").fetchall()  # noqa: S608
        for sql in (checked, expression)
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY (SELECT 1) TO '/tmp/curate-canary.csv'",
        "ATTACH '/tmp/curate-canary.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '1TB'",
    ],
)
def test_duckdb_reaches_no_file_network_or_setting(tmp_path: Path, statement: str) -> None:
    table = pa.table({"A": [1]})
    with engine(curate(), table.schema, tmp_path) as opened, pytest.raises(duckdb.Error):
        opened._connection.execute(statement)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"columns": {"A": {"cast": "BLOB"}}}, "unknown type BLOB: use BOOLEAN"),
        ({"columns": {"A": {"cast": "DECIMAL(39,2)"}}}, "up to 38 digits"),
        ({"columns": {"A": {"cast": "DECIMAL(2,3)"}}}, "up to 38 digits"),
        ({"columns": {"A": {"cast": "DATE) FROM x --"}}}, "unknown type"),
        ({"columns": {"A": {"name": "X"}, "B": {"name": "X"}}}, "two clean columns have the name X"),
        ({"columns": {"A": {}}, "derive": {"A": {"expression": "1"}}}, "two clean columns have the name A"),
        ({"asset": "Not-A-Name"}, "String should match pattern"),
        ({"maxQuarantined": 101}, "less than or equal to 100"),
        ({"derive": {"X": {"expression": "1 + " * 1000 + "1"}}}, "at most 4000 characters"),
    ],
)
def test_impossible_rules_raise_an_error(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        curate(**rules)


def test_rules_with_the_same_meaning_have_the_same_hash() -> None:
    one = {"A": {"min": 1, "trim": False}, "B": {"cast": "decimal(12, 2)"}}
    same = {"B": {"cast": "DECIMAL(12,2)"}, "A": {"min": 1}}
    assert rules_hash(curate(columns=one)) == rules_hash(curate(columns=same))
    assert rules_hash(curate(columns=one)) != rules_hash(curate(columns={**one, "A": {"min": 2}}))
