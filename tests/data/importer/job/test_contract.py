"""Contracts end to end: what the local Snowflake has, held to the rules, in both modes."""

import json
import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
import snowflake.connector
import yaml

from importer.errors import ImporterError
from importer.job.contract.enforce import Enforcement
from importer.lake.contract_result import ContractBreachError
from importer.spec.contract import Contract
from importer.spec.import_spec import ImportSpec
from importer.spec.incremental import Incremental
from importer.versions.workspace import Workspace
from localcloud.home import Home
from localcloud.houses import house_sales
from localcloud.snowflake_account import read_passwords
from stacks.settings.imports import ImportSettings
from tests import data_cloud as cloud
from tests.data_cloud import ALL_SALES, V1, V2, blob_names, command, download, error_line, run

MODES = pytest.mark.parametrize("mode", ["stream", "unload"])
ODD = "GLOBOREALTY.REAL_ESTATE.ODD"
ALL_ODD = f"SELECT * FROM {ODD}"  # noqa: S608 - a constant

HOUSES: dict[str, Any] = {
    "columns": {
        "SALE_PRICE": {"type": "INT", "nullable": False, "min": 10_000, "max": "1000000"},
        "YEAR_SOLD": {"allowed": [2006, 2007, 2008, 2009, 2010]},
        "STREET": {"allowed": ["Pave", "Grvl"], "min": "A"},
        "LATITUDE": {"max": 42.1},
    },
    "rows": {"min": 2000, "maxDecrease": 10},
}


def spec(name: str, contract: dict[str, Any], query: str = ALL_SALES, **fields: Any) -> ImportSpec:
    return cloud.spec(name, query, contract=Contract.model_validate(contract), **fields)


def sql(statement: str) -> None:
    with closing(snowflake.connector.connect(**cloud.deployer())) as connection:
        connection.cursor().execute(statement)


def described(query: str) -> list[Any]:
    with closing(snowflake.connector.connect(**cloud.deployer())) as connection:
        return list(connection.cursor().describe(query) or [])


@pytest.fixture(scope="module", autouse=True)
def odd(home: Home) -> None:  # noqa: ARG001 - it is there before
    """A table of all types, with names and values that want care."""
    row = (
        "SELECT {n}::INT AS ID, '{n}' || 'é''\\\\' AS \"Straße \"\"{{1}}\", {n}::NUMBER(38,0) AS D38, "
        "({n} / 4)::NUMBER(12,2) AS AMOUNT, {r}::FLOAT AS R, "
        "'196{n}-01-31'::DATE AS D, '0{n}:02:03.5'::TIME AS T, "
        "'196{n}-01-02 03:04:05.123456'::TIMESTAMP_NTZ AS AT, "
        "'2020-01-0{n} 03:04:05 +02:00'::TIMESTAMP_TZ AS TZ, {b}::BOOLEAN AS B, "
        "PARSE_JSON('{{\"a\": {n}}}') AS V, TO_BINARY('A{n}', 'HEX') AS BIN, NULL::VARCHAR AS NONE"
    )
    rows = [
        row.format(n=1, r="'NaN'", b="TRUE"),
        row.format(n=2, r="0.25", b="FALSE"),
        row.format(n=3, r="0.5", b="NULL"),
        row.format(n=3, r="'inf'", b="TRUE"),
        f"SELECT NULL, NULL, {10**38 - 1}{', NULL' * 10}",
    ]
    sql(f"CREATE OR REPLACE TABLE {ODD} AS {' UNION ALL '.join(rows)}")


BREACHES: dict[str, Any] = {
    "columns": {
        "ID": {"unique": True, "nullable": False, "max": 2.5, "allowed": [1, 2]},
        'Straße "{1}': {"allowed": ["1é'\\"], "min": "2", "unique": True},
        "D38": {"max": "99999999999999999999999999999999999998", "unique": True},
        "AMOUNT": {"min": "0.255", "max": 0.5, "allowed": [0.25, "0.50", 1.001]},
        "R": {"min": 0.3, "max": 1e300, "allowed": [0.25], "unique": True},
        "D": {"min": "1962-01-01", "max": "1962-12-31", "unique": True, "maxAge": "1d"},
        "T": {"min": "01:30", "max": "02:02:03.5", "unique": True},
        "AT": {
            "min": "1962-01-01",
            "max": "1962-01-02T03:04:05.123456",
            "allowed": ["1961-01-02 03:04:05.123456"],
        },
        "TZ": {
            "min": "2020-01-02T01:04:05Z",
            "max": "2020-01-02T03:04:05+02:00",
            "maxAge": "6h",
            "unique": True,
        },
        "B": {"allowed": [True], "nullable": False},
        "V": {"nullable": False},
        "BIN": {"unique": True},
        "NONE": {"nullable": False, "min": "a", "allowed": ["x"], "unique": True},
    },
    "unique": [["B", "ID"], ["ID", "NONE"], ["ID", "D"]],
    "rows": {"max": 4},
}


SAID = [
    "columns.ID.nullable: 1 NULL",
    "columns.ID.max: 2 values above 2.5, such as 3",
    "columns.ID.allowed: 2 values not allowed, such as 3",
    "columns.ID.unique: 1 row with a value that another row has, such as 3",
    "columns.Straße \"{1}.min: 1 value below '2', such as '1é'\\'",
    "columns.Straße \"{1}.allowed: 3 values not allowed, such as '2é'\\', '3é'\\'",
    "columns.Straße \"{1}.unique: 1 row with a value that another row has, such as '3é'\\'",
    f"columns.D38.max: 1 value above {10**38 - 2}, such as {10**38 - 1}",
    "columns.D38.unique: 1 row with a value that another row has, such as 3",
    "columns.AMOUNT.min: 1 value below 0.255, such as 0.25",
    "columns.AMOUNT.max: 2 values above 0.5, such as 0.75",
    "columns.AMOUNT.allowed: 2 values not allowed, such as 0.75",
    "columns.R.min: 2 values below 0.3, such as NaN, 0.25",
    "columns.R.max: 2 values above 1e+300, such as NaN, inf",
    "columns.R.allowed: 3 values not allowed, such as NaN, 0.5, inf",
    "columns.D.min: 1 value below 1962-01-01, such as 1961-01-31",
    "columns.D.max: 2 values above 1962-12-31, such as 1963-01-31",
    "columns.D.unique: 1 row with a value that another row has, such as 1963-01-31",
    "columns.D.maxAge: the newest is 1963-01-31, N old, expected at most 1 d old",
    "columns.T.min: 1 value below 01:30:00, such as 01:02:03.500000",
    "columns.T.max: 2 values above 02:02:03.500000, such as 03:02:03.500000",
    "columns.T.unique: 1 row with a value that another row has, such as 03:02:03.500000",
    "columns.AT.min: 1 value below 1962-01-01 00:00:00, such as 1961-01-02 03:04:05.123456",
    "columns.AT.max: 2 values above 1962-01-02 03:04:05.123456, such as 1963-01-02 03:04:05.123456",
    "columns.AT.allowed: 3 values not allowed, such as 1962-01-02 03:04:05.123456, "
    "1963-01-02 03:04:05.123456",
    "columns.TZ.min: 1 value below 2020-01-02 01:04:05Z, such as 2020-01-01 01:04:05Z",
    "columns.TZ.max: 2 values above 2020-01-02 01:04:05Z, such as 2020-01-03 01:04:05Z",
    "columns.TZ.unique: 1 row with a value that another row has, such as 2020-01-03 01:04:05Z",
    "columns.TZ.maxAge: the newest is 2020-01-03 01:04:05Z, N old, expected at most 6 h old",
    "columns.B.nullable: 2 NULLs",
    "columns.B.allowed: 1 value not allowed, such as false",
    "columns.V.nullable: 1 NULL",
    "columns.BIN.unique: 1 row with a value that another row has, such as a3",
    "columns.NONE.nullable: 5 NULLs",
    "unique[2]: 1 row with values of ID, D that another row has, such as (3, 1963-01-31)",
    "rows.max: 5 rows, expected at most 4",
]


def sorted_examples(text: str) -> str:
    """Return a message whose examples are in one order: Snowflake's is its own."""
    breach, such_as, examples = text.partition(", such as ")
    return breach + such_as + ", ".join(sorted(examples.split(", ")))


@MODES
def test_every_breach_is_named_and_counted_and_nothing_is_registered(home: Home, mode: str) -> None:
    name = f"odd_{mode}"
    broken = spec(name, BREACHES, f"{ALL_ODD} -- all", mode=mode, decimal=["D38"])
    line = error_line(command("run", name, "--version", "2026-11-23T06:00:00Z", spec=broken))
    said, _, next_step = line.removeprefix(f"error: contract of {name}: ").partition(
        " (nothing is registered)"
    )
    assert next_step.startswith(f": correct the rows and run `importer start {name}`, or change the rule")
    found = [re.sub(r"\d+ d( \d+ h)?( \d+ min)? old,", "N old,", text) for text in said.split("; ")]
    assert [sorted_examples(text) for text in found] == [sorted_examples(text) for text in SAID]
    assert blob_names(home, name) == []
    assert Workspace().versions(name) == []


@MODES
def test_results_of_a_contract_that_holds_are_in_manifest_and_log(
    home: Home, mode: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"kept_{mode}"
    run(spec(name, HOUSES, mode=mode))
    results = download(home, name, V1, tmp_path).contract
    sales = house_sales()
    low, high = (pc.min_max(sales["SALE_PRICE"])[side].as_py() for side in ("min", "max"))
    assert {result.rule: result.measured for result in results} == {
        "columns.SALE_PRICE.type": "NUMBER(38,0)",
        "columns.YEAR_SOLD": "present",
        "columns.STREET": "present",
        "columns.LATITUDE": "present",
        "columns.SALE_PRICE.nullable": "no NULL",
        "columns.SALE_PRICE.min": f"smallest {low}",
        "columns.SALE_PRICE.max": f"largest {high}",
        "columns.YEAR_SOLD.allowed": "all allowed",
        "columns.STREET.min": "none below 'A'",
        "columns.STREET.allowed": "all allowed",
        "columns.LATITUDE.max": f"largest {pc.max(sales['LATITUDE']).as_py()}",
        "rows.min": "2930 rows",
    }
    assert all(result.passed for result in results)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["started", "contract holds", "registered"]
    assert events[1]["rules"] == len(results)

    fewer = spec(name, HOUSES, f"{ALL_SALES} WHERE YEAR_SOLD < 2009", mode=mode)
    with pytest.raises(ContractBreachError, match=r"rows.maxDecrease: \d+ rows after 2930 \(-3\d\.\d%\)"):
        run(fewer, V2)
    assert [found.version for found in Workspace().versions(name)] == [V1]


@MODES
@pytest.mark.parametrize(
    ("contract", "message"),
    [
        (
            {"columns": {"STREET": {"type": "VARCHAR(5)"}, "PRICE": {}}},
            "columns.STREET.type: the type is VARCHAR, not VARCHAR.5.; columns.PRICE: the query returns",
        ),
        ({"columns": {"STREET": {"maxAge": "1d"}}}, "import early: contract.columns.STREET.maxAge: "),
        (
            {"columns": {"STREET": {}}, "otherColumns": False},
            "otherColumns: the query also returns MS_SUBCLASS",
        ),
    ],
)
def test_wrong_columns_fail_before_a_row_is_written(
    home: Home, mode: str, contract: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stream", "unload"):
        monkeypatch.setattr(f"importer.job.query_reader.{name}", cloud.never)
    monkeypatch.setattr("importer.snowflake.query_rows.execute", cloud.never)
    with pytest.raises(ImporterError, match=message):
        run(spec("early", contract, mode=mode))
    assert blob_names(home, "early") == []


def test_rows_changed_after_the_check_are_found_in_the_files(home: Home) -> None:
    sql("CREATE OR REPLACE TABLE GLOBOREALTY.REAL_ESTATE.MOVING AS SELECT 1 AS ID")
    rules = {"columns": {"ID": {"nullable": False, "max": 1}}, "rows": {"max": 2}}
    moving = spec("moving", rules, "SELECT * FROM GLOBOREALTY.REAL_ESTATE.MOVING", mode="unload")
    check = Enforcement.check_in_snowflake

    def then_change(self: Enforcement, connection: Any, query: str) -> None:
        check(self, connection, query)
        sql("INSERT INTO GLOBOREALTY.REAL_ESTATE.MOVING VALUES (NULL), (7)")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Enforcement, "check_in_snowflake", then_change)
        with pytest.raises(ContractBreachError) as breach:
            run(moving)
    assert str(breach.value).startswith(
        "contract of moving: columns.ID.nullable: 1 NULL, since the table changed after the check; "
        "columns.ID.max: a value is 7, expected at most 1, since the table changed after the check; "
        "rows.max: 3 rows, expected at most 2 (nothing is registered)"
    )
    assert blob_names(home, "moving") == []


FIRST = {
    "first_houses": ALL_SALES,
    # COPY INTO writes whole numbers of 64 bits
    "first_odd": f"{ALL_ODD} WHERE ID IS NOT NULL -- all but the widest number",
    "first_none": f"{ALL_ODD} WHERE ID = 0",
}


@pytest.mark.parametrize("name", FIRST)
def test_first_contract_holds_for_the_rows_it_is_made_from(home: Home, name: str) -> None:
    result = command("contract", name, spec=cloud.spec(name, FIRST[name]))
    assert (result.returncode, result.stderr) == (0, "")
    first = yaml.safe_load(result.stdout)["contract"]
    settings = {"imports": [{"name": name, "query": FIRST[name], "schedule": "0 6 * * *", "contract": first}]}
    assert set(first["columns"]) == {column.name for column in described(FIRST[name])}
    assert ImportSettings.model_validate(settings["imports"][0]).contract is not None
    run(spec(name, first, FIRST[name]), V1)
    run(spec(name, first, FIRST[name], mode="unload"), V2)
    assert [found.version for found in Workspace().versions(name)] == [V2, V1]
    assert read_passwords(home)["IMPORTER"] not in result.stdout


def test_first_contract_of_the_houses_has_their_values_and_ranges() -> None:
    result = command("contract", "first_houses", spec=cloud.spec("first_houses"))
    columns = yaml.safe_load(result.stdout)["contract"]["columns"]
    assert columns["STREET"] == {"type": "VARCHAR", "nullable": False, "allowed": ["Grvl", "Pave"]}
    assert columns["YEAR_SOLD"] == {"type": "NUMBER(38,0)", "nullable": False, "min": 2000, "max": 2100}
    assert "allowed" not in columns["NEIGHBORHOOD"]


def test_contract_in_the_docs_holds_for_the_houses() -> None:
    page = (cloud.REPOSITORY / "docs" / "contracts.md").read_text()
    (shown,) = yaml.safe_load(page.partition("```yaml")[2].partition("```")[0])["imports"]
    run(spec("shown", shown["contract"], shown["query"]))
    assert [found.version for found in Workspace().versions("shown")] == [V1]


def test_first_contract_of_a_failing_query_is_one_error_line() -> None:
    broken = cloud.spec("broken", "SELECT * FROM NO.SUCH.TABLE")
    assert "Snowflake refuses the query: 002003" in error_line(command("contract", "broken", spec=broken))


@MODES
def test_increment_is_checked_alone_and_its_row_count_with_earlier_rows(
    home: Home, mode: str, tmp_path: Path
) -> None:
    name, table = f"grows_{mode}", f"GLOBOREALTY.REAL_ESTATE.GROWS_{mode}"
    newest = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    at = f"'{newest:%Y-%m-%d %H:%M:%S}'::TIMESTAMP_NTZ"
    sql(f"CREATE OR REPLACE TABLE {table} AS SELECT 1 AS ID, {at} AS AT")
    rules = {
        "columns": {"ID": {"max": 2, "nullable": False}, "AT": {"maxAge": "1d"}},
        "rows": {"min": 1, "maxDecrease": 0},
    }
    grows = spec(
        name,
        rules,
        f"SELECT * FROM {table}",  # noqa: S608 - a constant
        mode=mode,
        incremental=Incremental.model_validate({"column": "ID", "registerUnchanged": True}),
    )
    run(grows, V1)
    run(grows, V2)
    results = {result.rule: result.measured for result in download(home, name, V2, tmp_path).contract}
    assert results["columns.AT.maxAge"] == f"the newest is {newest.isoformat(' ')}"
    assert results["rows.maxDecrease"] == "1 row after 1 (+0.0%)"
    sql(f"INSERT INTO {table} SELECT 3, NULL")
    with pytest.raises(ContractBreachError, match=r"columns.ID.max: 1 value above 2, such as 3"):
        run(grows, cloud.V3)
    assert [found.version for found in Workspace().versions(name)] == [V2, V1]
