"""Unloading end to end: the local Snowflake writes to Azurite itself, with the token that it gets."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient, UserDelegationKey
from snowflake.connector.cursor import SnowflakeCursor
from snowflake.connector.errors import ProgrammingError
from tenacity import wait_none

from importer.errors import ImporterError, MissingRoleError
from importer.job.unload import UNLOAD_TIMEOUT
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.azure import ROLE_RETRIES
from importer.lake.datastore import Datastore
from importer.lake.folder_signature import delegation_key, folder_token
from importer.lake.manifest import Cast
from importer.lake.stored_versions import StoredVersions
from importer.snowflake.session import execute
from importer.spec.import_spec import ImportSpec
from importer.versions.workspace import Workspace
from localcloud.home import Home
from localcloud.houses import house_sales
from tests import data_cloud as imports
from tests.data_cloud import ALL_SALES, V1, V2, attempts, blob_names, command, container, crash, run

mltable = pytest.importorskip("mltable")  # no wheel for Apple silicon


def spec(name: str, query: str = ALL_SALES, **fields: Any) -> ImportSpec:
    return imports.spec(name, query, mode="unload", **fields)


def files(home: Home, asset: str) -> list[str]:
    return [name.rpartition("/")[2] for name in blob_names(home, asset) if name.endswith(".parquet")]


def sql(statement: str) -> None:
    """Run a statement as the deployer."""
    with closing(snowflake.connector.connect(**imports.deployer())) as connection:
        connection.cursor().execute(statement)


def test_command_unloads_the_house_sales_unchanged(home: Home, tmp_path: Path) -> None:
    result = command("run", "unloaded", "--version", "2026-11-23T06:00:00Z", spec=spec("unloaded"))

    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert imports.events(result.stdout) == ["started", "registered"]
    manifest = imports.download(home, "unloaded", V1, tmp_path)
    assert manifest.rows == sum(part.rows for part in manifest.files) == 2930
    assert [part.name for part in manifest.files] == [f"data/data_{manifest.query_id}_0_0_0.snappy.parquet"]
    assert manifest.casts == []
    loaded = pa.Table.from_pandas(mltable.load(str(tmp_path)).to_pandas_dataframe(), preserve_index=False)
    assert loaded.to_pylist() == house_sales().to_pylist()
    (registered,) = Workspace().versions("unloaded")
    assert registered.tags["rows"] == "2930"


def test_unloaded_and_streamed_versions_have_the_same_schema(home: Home, tmp_path: Path) -> None:
    run(spec("both"), V1)
    run(imports.spec("both"), V2)
    unloaded, streamed = (imports.download(home, "both", version, tmp_path) for version in (V1, V2))
    assert unloaded.schema_hash == streamed.schema_hash
    assert unloaded.columns == streamed.columns


def test_several_files_make_one_table(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.job.unload.MAX_FILE_BYTES", 1000)
    run(spec("several"))
    manifest = imports.download(home, "several", V1, tmp_path)
    assert [part.rows for part in manifest.files] == [1000, 1000, 930]
    assert [part.bytes for part in manifest.files] == [
        (tmp_path / part.name).stat().st_size for part in manifest.files
    ]
    loaded = pa.Table.from_pandas(mltable.load(str(tmp_path)).to_pandas_dataframe(), preserve_index=False)
    assert loaded.to_pylist() == house_sales().to_pylist()


def test_values_of_every_type_arrive_and_casts_are_listed(home: Home, tmp_path: Path) -> None:
    values = {
        "1::INT": 1,
        "-12.25::NUMBER(12,2)": Decimal("-12.25"),
        "0.1::FLOAT": 0.1,
        "'Zoë ☃'": "Zoë ☃",
        "TRUE": True,
        "NULL": None,
        "'2020-02-29'::DATE": date(2020, 2, 29),
        "'01:02:03.5'::TIME": time(1, 2, 3, 500000),
        "TO_BINARY('AB', 'HEX')": b"\xab",
        "'2020-01-02 03:04:05.123456'::TIMESTAMP_NTZ": datetime(2020, 1, 2, 3, 4, 5, 123456),
        "'2020-01-02 03:04:05.123456 +02:00'::TIMESTAMP_TZ": datetime(2020, 1, 2, 1, 4, 5, 123456),
        "PARSE_JSON('{\"a\": [1, 2]}')": '{"a":[1,2]}',
    }
    columns = ", ".join(f'{expression} AS "c ""{n}"""' for n, expression in enumerate(values))
    sql(f"CREATE OR REPLACE TABLE UNLOAD_TYPES AS SELECT {columns}")

    run(spec("unload_types", "SELECT * FROM GLOBOREALTY.REAL_ESTATE.UNLOAD_TYPES -- all"))

    manifest = imports.download(home, "unload_types", V1, tmp_path)
    (row,) = pq.read_table(tmp_path / manifest.files[0].name).to_pylist()
    assert row == {f'c "{n}"': value for n, value in enumerate(values.values())}
    assert manifest.casts == [
        Cast('c "7"', "TIME(9)", "TIME(6)"),
        Cast('c "9"', "TIMESTAMP_NTZ(9)", "TIMESTAMP_NTZ(6)"),
        Cast('c "10"', "TIMESTAMP_TZ(9)", "TIMESTAMP_NTZ(6)"),
        Cast('c "11"', "VARIANT", "VARCHAR"),
    ]
    assert [c.snowflake_type for c in manifest.columns[10:]] == ["TIMESTAMP_TZ(9)", "VARIANT"]


def test_empty_result_makes_one_empty_part_with_the_same_schema(home: Home, tmp_path: Path) -> None:
    run(spec("unload_none"))
    full = imports.download(home, "unload_none", V1, tmp_path)
    run(spec("unload_none", f"{ALL_SALES} WHERE 1 = 0"), V2)

    empty = imports.download(home, "unload_none", V2, tmp_path)
    assert (empty.rows, [part.name for part in empty.files]) == (0, ["data/part-00000.parquet"])
    assert empty.schema_hash == full.schema_hash
    assert pq.read_schema(tmp_path / "data" / "part-00000.parquet").names == house_sales().column_names
    assert mltable.load(str(tmp_path)).to_pandas_dataframe().empty


def test_storage_integration_needs_no_token(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importer.job.unload.delegation_key", imports.never)
    run(spec("integrated", storage_integration="lake"))
    assert Workspace().versions("integrated")[0].tags["rows"] == "2930"
    assert len(files(home, "integrated")) == 1


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that are made during the test."""
    made: list[str] = []

    def keep(datastore: Datastore, folder: str, key: UserDelegationKey) -> str:
        made.append(folder_token(datastore, folder, key))
        return made[-1]

    monkeypatch.setattr("importer.job.unload.folder_token", keep)
    return made


def test_token_is_in_no_log_output_or_file(
    home: Home,
    tokens: list[str],
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    run(spec("secretive"))
    with pytest.raises(ImporterError) as refused:
        run(spec("secretive", "SELECT 'x'::INT AS X"), V2)

    signatures = [parse_qs(token)["sig"][0] for token in tokens]
    assert len(signatures) == 2
    secrets = [form.encode() for signature in signatures for form in (signature, quote(signature, safe=""))]
    said = [str(refused.value), caplog.text, *capsys.readouterr()]
    stored = [path.read_bytes() for path in home.path.rglob("*") if path.is_file()]
    assert len(stored) > 10
    written = [*(text.encode() for text in said), *stored]
    assert not [text[:200] for text in written if any(secret in text for secret in secrets)]


def test_token_can_write_into_its_folder_for_hours_and_cannot_delete(home: Home, tokens: list[str]) -> None:
    run(spec("bounded"))
    (token,) = tokens
    granted = {name: values[0] for name, values in parse_qs(token).items()}
    assert granted["spr"] == "https"
    assert granted["sp"] == "racwl"
    life = datetime.fromisoformat(granted["se"]) - datetime.now(UTC)
    assert UNLOAD_TIMEOUT < life < 2 * UNLOAD_TIMEOUT
    assert granted["skoid"]  # signed in the importer's name, not with the account's key
    snowflakes = ContainerClient(f"{home.blob_url}/lake", "rawdata", credential=token)
    (file,) = [name for name in blob_names(home, "bounded") if name.endswith(".parquet")]
    folder = file.rpartition("/")[0]
    assert file in snowflakes.list_blob_names(name_starts_with=f"{folder}/")
    outside: list[Callable[[], object]] = [
        lambda: snowflakes.delete_blob(file),
        lambda: snowflakes.upload_blob(f"{folder}1/x", b""),
        lambda: snowflakes.upload_blob(f"bounded/{V1}/_committed.json", b"", overwrite=True),
        lambda: list(snowflakes.list_blob_names(name_starts_with="bounded/")),
    ]
    for call in outside:
        with pytest.raises(HttpResponseError) as refused:
            call()
        assert refused.value.status_code == 403


@pytest.mark.usefixtures("home")
def test_first_unload_waits_until_the_delegator_role_applies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importer.lake.azure.ROLE_RETRIES", ROLE_RETRIES.copy(wait=wait_none()))
    refusals = [MissingRoleError("no")]

    def forbidden_once(*arguments: Any) -> UserDelegationKey:
        if refusals:
            raise refusals.pop()
        return delegation_key(*arguments)

    monkeypatch.setattr("importer.job.unload.delegation_key", forbidden_once)
    run(spec("unload_early"))
    said = imports.events(capsys.readouterr().out)
    assert said == ["started", "waiting for role assignments", "registered"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"storage_integration": "OTHER"}, "Integration 'OTHER' does not exist or not authorized"),
        ({"query": "SELECT * FROM NO.SUCH.TABLE"}, "Snowflake refuses the query: 002003"),
        ({"query": "SELECT 1 AS A, 2 AS A"}, "returns column A twice"),
        ({"query": ALL_SALES.replace("*", "STREET::INT AS N")}, "the query failed in Snowflake: 100035"),
        ({"connection": "warehouse"}, "there is no such warehouse"),
    ],
)
def test_failed_unload_leaves_no_blob_and_no_version(
    home: Home, change: dict[str, str], message: str
) -> None:
    broken = spec("unload_broken").model_copy(update=change)
    with pytest.raises(ImporterError, match=message):
        run(broken)
    assert blob_names(home, "unload_broken") == []
    assert Workspace().versions("unload_broken") == []


def after_the_unload(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Call `act` once Snowflake has written its files."""

    def run_and_act(connection: Any, query: str, *timeout: Any) -> SnowflakeCursor:
        cursor = execute(connection, query, *timeout)
        act()
        return cursor

    monkeypatch.setattr("importer.job.unload.execute", run_and_act)


def test_warehouse_that_fails_after_writing_leaves_no_blob(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def fail() -> None:
        seen.extend(files(home, "midway"))
        raise ImporterError("the query failed in Snowflake: 000604: SQL execution canceled")

    after_the_unload(monkeypatch, fail)
    with pytest.raises(ImporterError, match="SQL execution canceled"):
        run(spec("midway"))
    assert len(seen) == 1
    assert blob_names(home, "midway") == []
    assert Workspace().versions("midway") == []


def replace(home: Home, asset: str, content: bytes | None) -> None:
    (name,) = [name for name in blob_names(home, asset) if name.endswith(".parquet")]
    container(home).delete_blob(name)
    if content is not None:
        container(home).upload_blob(name, content)


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "but it does not exist; nothing is registered"),
        (b"PAR1 cut off", "is not a complete Parquet file"),
        (b"", "is not a complete Parquet file"),
        (parquet(house_sales().slice(1)), "Snowflake reports 2930 rows in .*, but it has 2929"),
        (parquet(house_sales().drop_columns(["STREET"])), "has other columns than the query"),
    ],
    ids=["lost", "cut-off", "empty", "short", "other-columns"],
)
def test_file_that_differs_from_the_report_registers_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    after_the_unload(monkeypatch, lambda: replace(home, "unlike", content))
    with pytest.raises(ImporterError, match=message):
        run(spec("unlike"))
    assert blob_names(home, "unlike") == []
    assert Workspace().versions("unlike") == []


def test_files_with_different_schemas_register_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def widen_the_last() -> None:
        name = next(name for name in blob_names(home, "mixed") if name.endswith("_0_2_0.snappy.parquet"))
        sales = pq.read_table(pa.BufferReader(container(home).download_blob(name).readall()))
        wider = sales.cast(sales.schema.set(0, pa.field(sales.column_names[0], pa.large_string())))
        container(home).upload_blob(name, parquet(wider), overwrite=True)

    monkeypatch.setattr("importer.job.unload.MAX_FILE_BYTES", 1000)
    after_the_unload(monkeypatch, widen_the_last)
    with pytest.raises(
        ImporterError, match="Snowflake wrote column MS_SUBCLASS as large_string instead of string"
    ):
        run(spec("mixed"))
    assert blob_names(home, "mixed") == []


def test_file_that_snowflake_does_not_report_is_deleted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave_one_more() -> None:
        folder = blob_names(home, "stray")[0].rpartition("/")[0]
        container(home).upload_blob(f"{folder}/data_of_a_retry.snappy.parquet", b"")

    after_the_unload(monkeypatch, leave_one_more)
    run(spec("stray"))
    assert len(files(home, "stray")) == 1
    assert Workspace().versions("stray")[0].tags["rows"] == "2930"


@pytest.mark.parametrize(
    ("owner", "step", "after"),
    [(AssetBlobs, "write", False), (StoredVersions, "commit", False), (Workspace, "register", False)],
    ids=["after-the-unload", "before-the-commit", "before-the-registration"],
)
def test_rerun_after_a_crash_makes_one_version(home: Home, owner: type, step: str, after: bool) -> None:
    asset = f"unload_crash_{step}"
    crash(spec(asset), owner, step, after=after)
    left = attempts(home, asset, V1)
    assert len(left) == 1
    assert Workspace().versions(asset) == []

    run(spec(asset))

    assert [found.version for found in Workspace().versions(asset)] == [V1]
    assert len(files(home, asset)) == 1
    assert (attempts(home, asset, V1) == left) is (step == "register")


@pytest.fixture
def copy(home: Home) -> Iterator[Callable[..., list[Any]]]:
    """Runs a COPY INTO that the importer would not send."""
    logical = {"ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION": False}
    connection = snowflake.connector.connect(**imports.deployer(), session_parameters=logical)

    def run_copy(query: str, access: str = "STORAGE_INTEGRATION = LAKE", options: str = "") -> list[Any]:
        address = home.blob_url.removeprefix("https:")
        cursor = connection.cursor()
        cursor.execute(
            f"COPY INTO 'azure:{address}/lake/rawdata/direct/' FROM ({query}) {access} "
            "FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE INCLUDE_QUERY_ID = TRUE DETAILED_OUTPUT = TRUE "
            + options
        )
        return list(cursor.fetchall())

    yield run_copy
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"query": "SELECT '2020-01-02 03:04:05 +02:00'::TIMESTAMP_TZ AS T"},
            "TIMESTAMP_TZ and LTZ types are not supported",
        ),
        ({"query": "SELECT 1 AS A", "access": ""}, "it takes a storage integration, or a shared access"),
        (
            {"query": "SELECT 1 AS A", "access": "CREDENTIALS = (AZURE_SAS_TOKEN = 'spr=https,http&sig=x')"},
            "signature for HTTPS only",
        ),
        (
            {"query": "SELECT 1 AS A", "access": "CREDENTIALS = (AZURE_SAS_TOKEN = 'spr=https&sig=canary')"},
            "Failure using stage area",
        ),
        ({"query": "SELECT 1 AS A", "options": "OVERWRITE = TRUE"}, "the options must be"),
        ({"query": "SELECT 1 AS A", "options": "MAX_FILE_SIZE = 5368709121"}, "the options must be"),
    ],
)
def test_local_snowflake_rejects_statements_that_snowflake_rejects(
    copy: Callable[..., list[Any]], arguments: dict[str, str], message: str
) -> None:
    with pytest.raises(ProgrammingError, match=message) as refused:
        copy(**arguments)
    assert "canary" not in str(refused.value)


def test_local_snowflake_writes_whole_numbers_as_decimals_unless_cast(
    home: Home, copy: Callable[..., list[Any]]
) -> None:
    [(name, size, rows)] = copy("SELECT SALE_PRICE AS D, SALE_PRICE::BIGINT AS I FROM RAW")
    blob = container(home).download_blob(f"direct/{name}").readall()
    assert (len(blob), rows) == (size, 2930)
    assert pq.read_schema(pa.BufferReader(blob)).types == [pa.decimal128(38, 0), pa.int64()]
    assert copy("SELECT 1 AS A WHERE 1 = 0") == []


def test_local_snowflake_writes_the_smallest_types_and_milliseconds_by_default(home: Home) -> None:
    sql(
        "COPY INTO 'azure://lake.blob.core.windows.net/rawdata/small/' FROM (SELECT 1::BIGINT AS I, "
        "'2020-01-01 00:00:00.123456'::TIMESTAMP_NTZ AS T) STORAGE_INTEGRATION = LAKE "
        "FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE INCLUDE_QUERY_ID = TRUE DETAILED_OUTPUT = TRUE"
    )
    (name,) = container(home).list_blob_names(name_starts_with="small/data_")
    blob = container(home).download_blob(name).readall()
    assert pq.read_schema(pa.BufferReader(blob)).types == [pa.int8(), pa.timestamp("ms")]


def test_unload_without_a_warehouse_fails_and_with_one_writes_a_file(home: Home) -> None:
    options = {**imports.deployer(), "warehouse": "NO_WH"}
    statement = (
        "COPY INTO 'azure://lake.blob.core.windows.net/rawdata/none/' FROM (SELECT * FROM RAW) "
        "STORAGE_INTEGRATION = LAKE FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE INCLUDE_QUERY_ID = TRUE "
        "DETAILED_OUTPUT = TRUE"
    )
    with (
        closing(snowflake.connector.connect(**options)) as connection,
        pytest.raises(ProgrammingError, match="No active warehouse"),
    ):
        connection.cursor().execute(statement)
    sql(statement)
    assert len(list(container(home).list_blob_names(name_starts_with="none/data_"))) == 1
