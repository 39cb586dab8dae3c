"""Odd tables through both modes: what arrives is what Snowflake has, by pyarrow and by mltable."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector

from importer.errors import ImporterError
from importer.lake.manifest import Manifest
from importer.spec.import_spec import Mode
from localcloud.home import Home
from tests.data_cloud import V1, blob_names, deployer, download, run, spec

mltable = pytest.importorskip("mltable")  # no wheel for Apple silicon

MODES: list[Mode] = ["stream", "unload"]

#: What a cell of a table arrives as.
Value = int | float | str | bytes | bool | Decimal | date | time | datetime | None


class Column(NamedTuple):
    """A column of an odd table: its name, its type, the SQL of its values, and what they arrive as."""

    name: str
    type: str
    sql: Sequence[str]
    arrives: Sequence[Value]


def text(value: str) -> str:
    """Return a string constant; https://docs.snowflake.com/en/sql-reference/data-types-text"""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def same(name: str, kind: str, *values: Value) -> Column:
    """Return a column whose values SQL writes as Python does."""
    return Column(name, kind, ["NULL" if v is None else text(str(v)) for v in values], values)


#: DuckDB, which is the local Snowflake, does not tell `a` from `A` in one table.
NAMES = (
    *("lower", "Mixed Case", "a.b", 'quo"te', '"', "it's", "a,b;c", "per%cent", "back\\slash", "sl/ash", "#"),
    *("SELECT", "Größe", "列", "😀 emoji", "`tick`", "$1", "{x}", "[y]", "é" * 120, " ", "tab\there"),
)

NTZ = "TIMESTAMP_NTZ"
MAX64, MIN64 = 2**63 - 1, -(2**63)
TEXTS = ("Zoë ☃ 😀", "", "a\tb\n\"c\" 'd' \\ %s\0", " \u00a0", "NULL", None)
LONG = "Zoë ☃ 😀 " * 400_000
DOCUMENT = json.dumps({"a": [1, 2.5, None, {"b": "ü\"'\\"}], "c": {}})

TABLES: dict[str, list[Column]] = {
    "names": [Column(name, "NUMBER", [str(n)], [n]) for n, name in enumerate(NAMES)],
    "wide": [Column(f"C{n}", "NUMBER", [str(n), "NULL"], [n, None]) for n in range(600)],
    "decimals": [
        same("WHOLE", "NUMBER(38,2)", Decimal("9" * 36 + ".99"), Decimal("-0.01"), None),
        same("TEN", "NUMBER(38,10)", Decimal("9" * 28 + "." + "9" * 10), Decimal("-1E-10"), Decimal("0")),
        same("MOST", "NUMBER(38,37)", Decimal("9." + "9" * 37), Decimal("-1E-37"), None),
        same("SMALL", "NUMBER(5,2)", Decimal("999.99"), Decimal("-999.99"), Decimal("0.10")),
    ],
    "integers": [
        same("EDGE", "NUMBER(38,0)", MAX64, MIN64, 0, None),
        same("SMALL", "NUMBER(3,0)", 999, -999, 0, None),
    ],
    "dates": [
        same("D", "DATE", date(1, 1, 1), date(1969, 12, 31), date(1582, 10, 10), date(9999, 12, 31), None)
    ],
    "times": [
        same("T", "TIME", time(0), time(23, 59, 59, 999999), None),
        same("M", "TIME(6)", time(12, 0, 0, 1), time(0, 0, 1), None),
    ],
    "timestamps": [
        same(
            "N",
            NTZ,
            datetime(1, 1, 1),
            datetime(1969, 12, 31, 23, 59, 59, 999999),
            datetime(2262, 4, 12),
            datetime(9999, 12, 31, 23, 59, 59, 999999),
            None,
        ),
    ],
    "near": [same("N", NTZ, datetime(1700, 1, 1), datetime(2020, 1, 2, 3, 4, 5, 6), None)],
    "zones": [
        Column(
            "Z",
            "TIMESTAMP_TZ",
            [
                "'1969-12-31 23:30:00 -02:00'::TIMESTAMP_TZ",
                "'2020-01-02 03:04:05.000006 +02:00'::TIMESTAMP_TZ",
                "NULL",
            ],
            [datetime(1970, 1, 1, 1, 30), datetime(2020, 1, 2, 1, 4, 5, 6), None],
        )
    ],
    "binary": [
        Column(
            "B",
            "BINARY",
            ["TO_BINARY('00FF10', 'HEX')", "TO_BINARY('', 'HEX')", "NULL"],
            [b"\0\xff\x10", b"", None],
        )
    ],
    "booleans": [Column("B", "BOOLEAN", ["TRUE", "FALSE", "NULL"], [True, False, None])],
    "floats": [
        Column(
            "F",
            "FLOAT",
            [*(f"'{v}'::FLOAT" for v in ("NaN", "inf", "-inf", "-0.0")), "1e308", "5e-324", "0.1", "NULL"],
            [math.nan, math.inf, -math.inf, -0.0, 1e308, 5e-324, 0.1, None],
        )
    ],
    "nested": [
        Column("V", "VARIANT", [f"PARSE_JSON({text(DOCUMENT)})", "NULL"], [DOCUMENT, None]),
    ],
    "text": [
        Column("S", "VARCHAR", ["NULL" if v is None else text(v) for v in TEXTS], TEXTS),
    ],
    "long": [Column("S", "VARCHAR", [f"REPEAT({text('Zoë ☃ 😀 ')}, 400000)", "'x'"], [LONG, "x"])],
    "nulls": [
        Column(kind, kind, ["NULL", "NULL"], [None, None])
        for kind in ("NUMBER", "NUMBER(38,37)", "FLOAT", "VARCHAR", "BINARY", "BOOLEAN", "DATE", "TIME", NTZ)
    ],
    "one": [Column("A", "NUMBER", ["1"], [1])],
    "none": [Column("A", "NUMBER", [], []), Column("Ö", "VARCHAR", [], []), Column("D", "DATE", [], [])],
}  # fmt: skip


def create(name: str, columns: list[Column]) -> str:
    """Create a table of the columns, and return its name."""
    table = f"GLOBOREALTY.REAL_ESTATE.{name.upper()}"
    defined = ", ".join('"' + c.name.replace('"', '""') + f'" {c.type}' for c in columns)
    with closing(snowflake.connector.connect(**deployer())) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE OR REPLACE TABLE {table} ({defined})")
        for row in zip(*(c.sql for c in columns), strict=True):
            cursor.execute(f"INSERT INTO {table} SELECT {', '.join(row)}")
    return table


def arrived(home: Home, asset: str, folder: Path) -> tuple[pa.Table, Manifest]:
    manifest = download(home, asset, V1, folder)
    return pa.concat_tables(pq.read_table(folder / part.name) for part in manifest.files), manifest


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_arrives_as_it_is(home: Home, tmp_path: Path, name: str, mode: Mode) -> None:
    columns = TABLES[name]
    table = create(f"odd_{name}_{mode}", columns)
    run(spec(f"odd_{name}_{mode}", f"SELECT * FROM {table}", mode=mode))  # noqa: S608 - constants

    found, manifest = arrived(home, f"odd_{name}_{mode}", tmp_path)

    assert found.column_names == [column.name for column in columns]
    assert manifest.rows == found.num_rows == len(columns[0].arrives)
    for column in columns:
        values = [plain(value) for value in found[column.name].to_pylist()]
        if column.type == "VARIANT":
            values = [value and json.dumps(json.loads(str(value))) for value in values]
        assert Counter(map(repr, values)) == Counter(map(repr, map(plain, column.arrives))), column.name
    loaded = mltable.load(str(tmp_path)).to_pandas_dataframe()
    assert len(loaded) == found.num_rows
    # it has no columns where there are no rows, and whole numbers beside NULLs as floats
    assert loaded.columns.tolist() == (found.column_names if found.num_rows else [])
    if name in ("names", "text", "long", "booleans"):
        assert pa.Table.from_pandas(loaded, preserve_index=False).to_pylist() == found.to_pylist()


def plain(value: Value) -> Value:
    """Return a value without what does not tell it from another one: the zone UTC, a decimal's last zeros."""
    if isinstance(value, Decimal):
        digits = f"{value:f}"
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    if not isinstance(value, datetime):
        return value
    moment = datetime.fromisoformat(str(value))  # pyarrow has nanoseconds in a class of pandas's
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


BEYOND = f"SELECT {10**38 - 1} AS N UNION ALL SELECT -{2**63 + 1}"


@pytest.mark.parametrize("mode", MODES)
def test_whole_numbers_beyond_64_bits_arrive_if_they_are_declared(
    home: Home, tmp_path: Path, mode: Mode
) -> None:
    run(spec(f"beyond_{mode}", BEYOND, mode=mode, decimal=["N"]))
    found, _ = arrived(home, f"beyond_{mode}", tmp_path)
    assert sorted(map(int, found["N"].to_pylist())) == [-(2**63) - 1, 10**38 - 1]


@pytest.mark.parametrize("mode", MODES)
def test_whole_numbers_beyond_64_bits_are_an_error_with_column_and_setting(home: Home, mode: Mode) -> None:
    with pytest.raises(
        ImporterError, match=r"N has .*beyond 64 bits.* add it to the import's setting decimal"
    ):
        run(spec(f"too_long_{mode}", BEYOND, mode=mode))
    assert blob_names(home, f"too_long_{mode}") == []


def test_schema_follows_from_the_columns_and_not_from_the_rows(home: Home, tmp_path: Path) -> None:
    """The same columns with near and far times, small and large numbers, and no rows."""
    hashes = set()
    for name, rows in {
        "near": "SELECT 1 AS N, '2020-01-01'::TIMESTAMP_NTZ AS MOMENT",
        "far": f"SELECT {2**62} AS N, '9999-12-31'::TIMESTAMP_NTZ AS MOMENT",
        "none": "SELECT 1 AS N, '2020-01-01'::TIMESTAMP_NTZ AS MOMENT WHERE 1 = 0",
    }.items():
        for mode in MODES:
            run(spec(f"{name}_{mode}", f"SELECT N::NUMBER(38,0) AS N, MOMENT FROM ({rows})", mode=mode))  # noqa: S608
            hashes.add(download(home, f"{name}_{mode}", V1, tmp_path).schema_hash)
    assert len(hashes) == 1


def test_vector_arrives_as_a_list_of_floats(home: Home, tmp_path: Path) -> None:
    run(spec("vector", "SELECT LOCAL_VECTOR('[1.5, 2.5, 3.5]') AS V UNION ALL SELECT LOCAL_VECTOR(NULL)"))
    found, manifest = arrived(home, "vector", tmp_path)
    assert found.schema.field("V").type.value_type == pa.float32()
    assert sorted(found["V"].to_pylist(), key=str) == [None, [1.5, 2.5, 3.5]]
    assert manifest.columns[0].snowflake_type == "VECTOR(FLOAT,3)"
    assert len(mltable.load(str(tmp_path)).to_pandas_dataframe()) == 2


REFUSED = {"INTERVAL_DAY_TIME": "INTERVAL '1 day'", "DECFLOAT": "LOCAL_DECFLOAT(1)"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", REFUSED)
def test_type_that_parquet_does_not_have_is_refused(home: Home, mode: Mode, kind: str) -> None:
    asset = f"refused_{kind}_{mode}".lower()
    with pytest.raises(ImporterError, match=rf"column C has the type {kind}, .*: cast it in the query"):
        run(spec(asset, f"SELECT {REFUSED[kind]} AS C", mode=mode))
    assert blob_names(home, asset) == []
