"""The local Snowflake, called by snowflake-connector-python."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
import snowflake.connector
from snowflake.connector.cursor import DictCursor
from snowflake.connector.errors import DatabaseError, ProgrammingError

from localcloud.houses import TABLE, house_sales
from localcloud.snowflake_account import read_passwords
from tests.local_cloud import Cloud, new_cloud


@pytest.fixture(scope="module")
def snowflake_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = new_cloud(tmp_path_factory.mktemp("snowflake"))
    cloud.start("snowflake")
    yield cloud
    cloud.run("stop")


def connect(cloud: Cloud, user: str = "DEPLOYER", **options: Any) -> Any:
    chosen = {
        "user": user,
        "password": read_passwords(cloud.home).get(user, "none"),
        "account": "local",
        "host": "127.0.0.1",
        "port": cloud.home.ports["snowflake"],
        "protocol": "http",
        "warehouse": "IMPORT_WH",
        "database": "GLOBOREALTY",
        "schema": "REAL_ESTATE",
        "login_timeout": 10,
        "network_timeout": 10,
    }
    return closing(snowflake.connector.connect(**chosen | options))


#: Undoes the defaults of the user IMPORTER that lose or change values.
ALL_ROWS = {"session_parameters": {"ROWS_PER_RESULTSET": 0}}


def rows(connection: Any, statement: str) -> list[tuple[Any, ...]]:
    return list(connection.cursor().execute(statement).fetchall())


def test_table_of_houses_equals_the_dataset(snowflake_cloud: Cloud) -> None:
    with connect(snowflake_cloud, "IMPORTER", **ALL_ROWS) as connection:
        arrived = connection.cursor().execute(f"SELECT * FROM {TABLE}").fetch_arrow_all()  # noqa: S608 - a constant
    sales = house_sales()
    assert (arrived.num_rows, arrived.num_columns) == (2930, 74)
    assert arrived.to_pylist() == sales.to_pylist()
    assert {str(arrived.schema.field(name).type) for name in ("SALE_PRICE", "LATITUDE", "STREET")} == {
        "int64",
        "double",
        "string",
    }


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"password": "wrong"}, 390100, "Incorrect username or password was specified"),
        ({"user": "NOBODY"}, 390100, "Incorrect username or password was specified"),
        ({"user": "IMPORTER", "role": "SYSADMIN"}, 390189, "Role 'SYSADMIN'"),
        ({"role": "NO_SUCH_ROLE"}, 390189, "Role 'NO_SUCH_ROLE'"),
    ],
)
def test_wrong_user_password_or_role_is_refused(
    snowflake_cloud: Cloud, options: dict[str, str], code: int, message: str
) -> None:
    with pytest.raises(DatabaseError, match=message) as refused, connect(snowflake_cloud, **options):
        pass
    assert refused.value.errno == code


def test_log_has_no_password(snowflake_cloud: Cloud) -> None:
    with pytest.raises(DatabaseError), connect(snowflake_cloud, password="canary-5181"):
        pass
    with connect(snowflake_cloud):
        pass
    log = (snowflake_cloud.home.path / "logs" / "snowflake.log").read_text()
    assert not [p for p in ("canary-5181", *read_passwords(snowflake_cloud.home).values()) if p in log]


def test_session_returns_its_role_and_warehouse(snowflake_cloud: Cloud) -> None:
    whoami = "SELECT current_user(), current_role(), current_warehouse()"
    with connect(snowflake_cloud) as deployer, connect(snowflake_cloud, "IMPORTER") as importer:
        assert (deployer.role, deployer.warehouse) == ("SYSADMIN", "IMPORT_WH")
        deployer.cursor().execute("USE ROLE importer")
        assert deployer.role == "IMPORTER"
        assert rows(deployer, whoami) == [("DEPLOYER", "IMPORTER", "IMPORT_WH")]
        assert rows(importer, whoami) == [("IMPORTER", "IMPORTER", "IMPORT_WH")]
        with pytest.raises(ProgrammingError, match="'SYSADMIN' is not assigned") as refused:
            importer.cursor().execute("USE ROLE SYSADMIN")
        assert refused.value.errno == 3013


def test_importer_role_may_only_read(snowflake_cloud: Cloud) -> None:
    with connect(snowflake_cloud, "IMPORTER") as importer:
        for statement in ("CREATE TABLE t (a INT)", f"DROP TABLE {TABLE}", f"TRUNCATE TABLE {TABLE}"):
            with pytest.raises(ProgrammingError, match="Insufficient privileges"):
                importer.cursor().execute(statement)
        assert rows(importer, f"SELECT count(*) FROM {TABLE}") == [(2930,)]  # noqa: S608 - a constant


@pytest.mark.parametrize(
    ("parameters", "count", "document"),
    [
        ({}, 1000, '{\n    "a": [\n        1,\n        undefined\n    ]\n}'),
        (
            {"ROWS_PER_RESULTSET": 0, "JSON_INDENT": 0, "STRICT_JSON_OUTPUT": True},
            2930,
            '{"a":[1,null]}',
        ),
    ],
    ids=["defaults", "set"],
)
def test_defaults_of_the_importers_user_cut_results_and_print_what_is_not_json(
    snowflake_cloud: Cloud, parameters: dict[str, Any], count: int, document: str
) -> None:
    with connect(snowflake_cloud, "IMPORTER", session_parameters=parameters) as connection:
        assert len(rows(connection, f"SELECT * FROM {TABLE}")) == count  # noqa: S608 - a constant
        assert rows(connection, """SELECT PARSE_JSON('{"a": [1, null]}')""") == [(document,)]


def test_grants_of_secondary_roles_count_unless_they_are_off(snowflake_cloud: Cloud) -> None:
    secret = "SELECT * FROM GLOBOREALTY.PRIVATE.SALARIES"
    with connect(snowflake_cloud) as deployer:
        deployer.cursor().execute("CREATE SCHEMA PRIVATE")
        deployer.cursor().execute("CREATE TABLE PRIVATE.SALARIES AS SELECT 1 AS A")
    with connect(snowflake_cloud, role="IMPORTER") as connection:
        assert rows(connection, secret) == [(1,)]
    refused = pytest.raises(ProgrammingError, match="does not exist or not authorized")
    with connect(snowflake_cloud, role="IMPORTER", secondary_roles="NONE") as connection, refused:
        connection.cursor().describe(secret)


def test_query_needs_a_warehouse_and_describe_does_not(snowflake_cloud: Cloud) -> None:
    with connect(snowflake_cloud, warehouse="NO_SUCH_WH") as connection:
        described = connection.cursor().describe("SELECT STREET FROM RAW")
        assert [column.name for column in described] == ["STREET"]
        with pytest.raises(ProgrammingError, match="No active warehouse"):
            connection.cursor().execute("SELECT STREET FROM RAW")
        connection.cursor().execute("USE WAREHOUSE IMPORT_WH")
        assert rows(connection, "SELECT count(STREET) FROM RAW") == [(2930,)]


def test_arrow_batches_have_types_and_nulls(snowflake_cloud: Cloud) -> None:
    columns = (
        "n NUMBER(10,2), i NUMBER, f FLOAT, s VARCHAR, b BOOLEAN, d DATE, t TIMESTAMP_NTZ, z TIMESTAMP_TZ"
    )
    with connect(snowflake_cloud) as connection:
        connection.cursor().execute(f"CREATE OR REPLACE TABLE types ({columns})")
        connection.cursor().execute(
            "INSERT INTO types VALUES (1.25, 7, 0.5, 'é', TRUE, '2020-02-29', '2020-02-29 01:02:03.000004', "
            "'2020-02-29 01:02:03+00:00'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
        )
        cursor = connection.cursor().execute("SELECT * FROM types ORDER BY n NULLS LAST")
        table = pa.concat_tables(cursor.fetch_arrow_batches())
        batches = connection.cursor().execute("SELECT * FROM types").get_result_batches()
    full, empty = table.to_pylist()
    assert (full["N"], full["I"], full["F"], full["S"], full["B"]) == (Decimal("1.25"), 7, 0.5, "é", True)
    assert full["D"] == date(2020, 2, 29)
    assert full["T"].to_pydatetime() == datetime(2020, 2, 29, 1, 2, 3, 4)
    assert full["Z"].isoformat() == "2020-02-29T01:02:03+00:00"
    assert set(empty.values()) == {None}
    assert sum(batch.to_arrow().num_rows for batch in batches if batch.rowcount) == 2


def test_query_with_parameters_returns_dictionaries(snowflake_cloud: Cloud) -> None:
    with connect(snowflake_cloud) as connection:
        cursor = connection.cursor(DictCursor)
        cursor.execute("SELECT count(*) AS n FROM RAW WHERE STREET = %s AND LOT_AREA > %s", ("Pave", 10000))
        expected = [s for s in house_sales().to_pylist() if s["STREET"] == "Pave" and s["LOT_AREA"] > 10000]
        assert cursor.fetchall() == [{"N": len(expected)}]


def test_rolled_back_insert_is_not_stored(snowflake_cloud: Cloud) -> None:
    with connect(snowflake_cloud) as connection, connect(snowflake_cloud) as other:
        connection.cursor().execute("CREATE OR REPLACE TABLE undone (a INT)")
        connection.autocommit(False)
        connection.cursor().execute("INSERT INTO undone VALUES (1)")
        assert rows(other, "SELECT count(*) FROM undone") == [(0,)]
        connection.rollback()
        connection.cursor().execute("INSERT INTO undone VALUES (2)")
        connection.commit()
        assert rows(other, "SELECT a FROM undone") == [(2,)]


@pytest.mark.parametrize(
    "statement", ["SELECT [1, 2] AS l", "SELECT hash(LOT_AREA) FROM RAW", "SELECT $1", "SELECT 'open"]
)
def test_unsupported_statement_is_an_error_without_retries(snowflake_cloud: Cloud, statement: str) -> None:
    with connect(snowflake_cloud) as connection, pytest.raises(ProgrammingError) as refused:
        connection.cursor().execute(statement)
    assert refused.value.errno == 603


def test_unknown_database_is_not_created(snowflake_cloud: Cloud) -> None:
    no_database = pytest.raises(ProgrammingError, match="does not have a current database")
    with connect(snowflake_cloud, database="NOWHERE") as connection, no_database:
        connection.cursor().execute("SELECT count(*) FROM RAW")
    assert not (snowflake_cloud.home.path / "snowflake" / "NOWHERE.db").exists()


def test_closed_connection_ends_the_session(snowflake_cloud: Cloud) -> None:
    with connect(snowflake_cloud) as connection:
        left = connection
    with pytest.raises(DatabaseError, match="Connection is closed"):
        left.cursor().execute("SELECT 1")


def test_changed_table_survives_a_kill_and_is_not_loaded_again(snowflake_cloud: Cloud) -> None:
    with connect(snowflake_cloud) as connection:
        connection.cursor().execute("CREATE DATABASE side")
        connection.cursor().execute(
            "CREATE TABLE side.main.kept AS SELECT * FROM GLOBOREALTY.REAL_ESTATE.RAW"
        )
        connection.cursor().execute(f"ALTER TABLE {TABLE} ADD COLUMN note VARCHAR")
        connection.cursor().execute(f"DELETE FROM {TABLE} WHERE LOT_AREA < 10000")  # noqa: S608 - a constant
        left = rows(connection, "SELECT count(*) FROM RAW")
        os.kill(snowflake_cloud.pid("snowflake"), signal.SIGKILL)
    snowflake_cloud.start("snowflake")
    with connect(snowflake_cloud) as connection:
        assert rows(connection, "SELECT count(*) FROM RAW") == left != [(2930,)]
        assert connection.cursor().describe("SELECT * FROM RAW")[-1].name == "NOTE"
        assert rows(connection, "SELECT count(*) FROM side.main.kept") == [(2930,)]
        connection.cursor().execute(f"DROP TABLE {TABLE}")
    snowflake_cloud.run("stop")
    snowflake_cloud.start("snowflake")
    with connect(snowflake_cloud) as connection, pytest.raises(ProgrammingError, match="does not exist"):
        connection.cursor().execute("SELECT count(*) FROM RAW")
