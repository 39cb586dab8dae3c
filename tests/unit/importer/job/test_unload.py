"""Unloading: the statement and its token, and the checks of the files that Snowflake reports."""

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from azure.storage.blob import UserDelegationKey
from pydantic import ValidationError
from snowflake.connector.errors import ProgrammingError

from importer.errors import ImporterError
from importer.job.contract.enforce import Enforcement
from importer.job.unload import UNLOAD_TIMEOUT, snowflake_access, unload
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.attempt import Attempt
from importer.lake.datastore import Datastore
from importer.lake.folder_signature import folder_token
from importer.lake.manifest import Cast, Part, Written
from importer.progress import JsonLines
from importer.snowflake.columns import DescribedColumn
from importer.snowflake.session import connect, execute
from importer.snowflake.type_table import TypeOptions, arrow_schema
from importer.spec.import_spec import ImportSpec
from importer.spec.snowflake_target import SignIn, SnowflakeTarget
from importer.spec.snowflake_types import SnowflakeType

VERSION = "20261123T060000Z"
FOLDER = f"houses/{VERSION}/0123456789ab/"

#: The data lake in Azure.
LAKE = Datastore("rawdata", "lake", "rawdata", "https", "core.windows.net")
GOLDEN = f"""\
COPY INTO 'azure://lake.blob.core.windows.net/rawdata/{FOLDER}data/'
FROM (
SELECT "ID"::BIGINT AS "ID", "PRICE", "a ""b"
FROM (
SELECT * FROM HOUSES -- all of them
)
)
STORAGE_INTEGRATION = LAKE
FILE_FORMAT = (TYPE = PARQUET)
HEADER = TRUE
MAX_FILE_SIZE = 268435456
INCLUDE_QUERY_ID = TRUE
DETAILED_OUTPUT = TRUE"""  # noqa: S608 - compared, not run


def column(name: str, kind: str, precision: int | None = None, scale: int | None = None) -> DescribedColumn:
    return DescribedColumn(name, SnowflakeType(kind), precision, scale)


def key() -> UserDelegationKey:
    made = UserDelegationKey()  # type: ignore[no-untyped-call]
    made.signed_oid, made.signed_tid, made.signed_service, made.signed_version = "o", "t", "b", "2025-07-05"
    made.signed_start, made.signed_expiry = "2026-11-23T05:45:00Z", "2026-11-23T12:15:00Z"
    made.value = "a2V5"
    return made


class Blobs(AssetBlobs):
    """The blobs of an asset in Azure, with one Parquet file."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__(LAKE, "houses")
        self._content = content
        self.reads: list[int] = []

    def sizes(self, _folder: str) -> dict[str, int]:
        return {"data_1.snappy.parquet": len(self._content)}

    def read_range(self, path: str, start: int, end: int) -> bytes:
        assert path == FOLDER + "data/data_1.snappy.parquet"
        self.reads.append(end - start)
        return self._content[start:end]


class Snowflake:
    """A Snowflake that returns the same columns for every query, and reports one file."""

    def __init__(self, columns: list[DescribedColumn], rows: int, path: str = "") -> None:
        self.columns = columns
        self.statements: list[str] = []
        self._rows = [(f"{path}data_1.snappy.parquet", 1, rows)]

    def execute(self, _connection: object, query: str, timeout: timedelta) -> SimpleNamespace:
        assert timeout == UNLOAD_TIMEOUT
        self.statements.append(query)
        names = ("FILE_NAME", "FILE_SIZE", "ROW_COUNT")
        description = [SimpleNamespace(name=name) for name in names]
        return SimpleNamespace(description=description, fetchall=lambda: self._rows, sfqid="q")


def run(
    monkeypatch: pytest.MonkeyPatch,
    snowflake: Snowflake,
    blobs: Blobs,
    delegation_key: UserDelegationKey | None = None,
) -> Written:
    monkeypatch.setattr("importer.job.unload.execute", snowflake.execute)
    spec = ImportSpec(
        name="houses",
        connection="snowflake",
        query="SELECT * FROM HOUSES -- all of them",
        mode="unload",
        storage_integration=None if delegation_key else "LAKE",
    )
    connection: Any = None
    attempt = Attempt(blobs, VERSION, "0123456789ab")
    monkeypatch.setattr("importer.job.unload.delegation_key", lambda *_: delegation_key)
    access = snowflake_access(spec.storage_integration, attempt, JsonLines())
    contract = Enforcement(spec, None, JsonLines())
    return unload(connection, spec.query, snowflake.columns, TypeOptions(), attempt, access, contract)


def parquet(schema: pa.Schema, rows: int = 2) -> bytes:
    sink = pa.BufferOutputStream()
    columns = [
        pa.array(range(rows)) if pa.types.is_int64(field.type) else pa.nulls(rows, field.type)
        for field in schema
    ]
    pq.write_table(pa.table(columns, schema=schema), sink)
    return bytes(sink.getvalue())


def file_of(columns: list[DescribedColumn], rows: int = 2) -> bytes:
    """Return the file that Snowflake writes for a query with these columns."""
    return parquet(arrow_schema(columns, "unload", TypeOptions()), rows)


def one_text(name: str = "C", rows: int = 2) -> bytes:
    return parquet(pa.schema([(name, pa.string())]), rows)


def test_statement_matches_the_golden_one(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [column("ID", "NUMBER", 38, 0), column("PRICE", "NUMBER", 12, 2), column('a "b', "VARCHAR")]
    snowflake = Snowflake(columns, rows=2)
    content = file_of(columns)
    written = run(monkeypatch, snowflake, Blobs(content))
    assert snowflake.statements == [GOLDEN]
    assert written.parts == [Part("data/data_1.snappy.parquet", 2, len(content))]
    assert (written.rows, written.query_id, written.casts) == (2, "q", [])


@pytest.mark.parametrize(
    ("described", "selected", "cast"),
    [
        (column("C", "NUMBER", 38, 0), '"C"::BIGINT AS "C"', None),
        (column("C", "NUMBER", 12, 2), '"C"', None),
        (column("C", "FLOAT"), '"C"::DOUBLE AS "C"', None),
        (column("C", "BINARY"), '"C"', None),
        (column("C", "TIME", scale=9), '"C"', ("TIME(9)", "TIME(6)")),
        (column("C", "TIMESTAMP_NTZ", scale=9), '"C"', ("TIMESTAMP_NTZ(9)", "TIMESTAMP_NTZ(6)")),
        (column("C", "TIMESTAMP_NTZ", scale=6), '"C"', None),
        (
            column("C", "TIMESTAMP_TZ", scale=9),
            'CONVERT_TIMEZONE(\'UTC\', "C")::TIMESTAMP_NTZ(9) AS "C"',
            ("TIMESTAMP_TZ(9)", "TIMESTAMP_NTZ(6)"),
        ),
        (
            column("C", "TIMESTAMP_LTZ", scale=3),
            'CONVERT_TIMEZONE(\'UTC\', "C")::TIMESTAMP_NTZ(3) AS "C"',
            ("TIMESTAMP_LTZ(3)", "TIMESTAMP_NTZ(3)"),
        ),
        (column("C", "VARIANT"), 'TO_JSON("C") AS "C"', ("VARIANT", "VARCHAR")),
        (column("C", "OBJECT"), 'TO_JSON("C") AS "C"', ("OBJECT", "VARCHAR")),
        (column("C", "ARRAY"), 'TO_JSON("C") AS "C"', ("ARRAY", "VARCHAR")),
        (
            DescribedColumn("C", SnowflakeType.VECTOR, element="FLOAT", dimension=3),
            'TO_JSON("C"::ARRAY) AS "C"',
            ("VECTOR(FLOAT,3)", "VARCHAR"),
        ),
        (column("C", "GEOGRAPHY"), 'TO_JSON(ST_ASGEOJSON("C")) AS "C"', ("GEOGRAPHY", "VARCHAR")),
    ],
)
def test_column_that_parquet_does_not_hold_is_cast_and_listed(
    monkeypatch: pytest.MonkeyPatch,
    described: DescribedColumn,
    selected: str,
    cast: tuple[str, str] | None,
) -> None:
    snowflake = Snowflake([described], rows=2)
    written = run(monkeypatch, snowflake, Blobs(file_of([described])))
    assert f"\nSELECT {selected}\nFROM (\n" in snowflake.statements[0]
    assert written.casts == ([Cast("C", *cast)] if cast else [])


def test_token_gives_access_to_the_attempts_folder_only(monkeypatch: pytest.MonkeyPatch) -> None:
    snowflake = Snowflake([column("C", "VARCHAR")], rows=2)
    run(monkeypatch, snowflake, Blobs(one_text()), key())
    (token,) = re.findall(r"CREDENTIALS = \(AZURE_SAS_TOKEN = '(.*)'\)", snowflake.statements[0])
    granted = {name: values[0] for name, values in parse_qs(token).items()}
    assert (granted["sr"], granted["sdd"]) == ("d", "4")  # a directory, four levels deep
    assert (granted["sp"], granted["spr"]) == ("racwl", "https")
    assert (granted["se"], granted["skoid"]) == ("2026-11-23T12:15:00Z", "o")


def test_tokens_of_two_folders_have_different_signatures() -> None:
    one, same, other = (
        parse_qs(folder_token(LAKE, folder, key()))["sig"]
        for folder in (FOLDER, FOLDER, FOLDER.replace("/0", "/1"))
    )
    assert one == same != other


@pytest.mark.parametrize(
    ("guess", "reads"),
    [(2**16, 1), (16, 2)],
)
def test_footer_longer_than_the_first_read_takes_a_second_one(
    monkeypatch: pytest.MonkeyPatch, guess: int, reads: int
) -> None:
    monkeypatch.setattr("importer.job.unload._FOOTER_BYTES", guess)
    names = [f"C{n}" for n in range(50)]
    columns = [column(name, "NUMBER", 38, 0) for name in names]
    blobs = Blobs(file_of(columns, rows=10_000))
    snowflake = Snowflake(columns, rows=10_000)
    assert run(monkeypatch, snowflake, blobs).rows == 10_000
    assert len(blobs.reads) == reads
    assert sum(blobs.reads) < len(blobs._content)


def test_file_reported_with_its_path_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    snowflake = Snowflake([column("C", "VARCHAR")], rows=2, path=FOLDER + "data/")
    assert run(monkeypatch, snowflake, Blobs(one_text())).parts[0].name == "data/data_1.snappy.parquet"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (one_text(rows=3), "reports 2 rows in .*, but it has 3"),
        (one_text("D"), "has other columns than the query"),
        (one_text()[:-20], "is not a complete Parquet file"),
        (b"", "is not a complete Parquet file"),
    ],
)
def test_file_that_differs_from_the_report_raises_an_error(
    monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    with pytest.raises(ImporterError, match=message):
        run(monkeypatch, Snowflake([column("C", "VARCHAR")], rows=2), Blobs(content))


@pytest.mark.parametrize(
    ("described", "written"),
    [
        (column("AT", "TIMESTAMP_NTZ", scale=9), pa.timestamp("ms")),
        (column("AT", "TIMESTAMP_NTZ", scale=9), pa.timestamp("us", "UTC")),
        (column("AT", "TIMESTAMP_TZ", scale=9), pa.timestamp("us", "UTC")),
        (column("AT", "TIME", scale=9), pa.time32("ms")),
        (column("AT", "FLOAT"), pa.float32()),
        (column("AT", "NUMBER", 38, 0), pa.decimal128(38, 0)),
        (column("AT", "NUMBER", 12, 2), pa.decimal128(4, 2)),
    ],
    ids=lambda value: getattr(value, "kind", None) or str(value),
)
def test_file_with_another_type_than_the_description_gives_raises_an_error(
    monkeypatch: pytest.MonkeyPatch, described: DescribedColumn, written: pa.DataType
) -> None:
    content = parquet(pa.schema([("AT", written)]))
    expected = arrow_schema([described], "unload", TypeOptions()).field(0).type
    message = rf"Snowflake wrote column AT as {re.escape(str(written))} instead of {re.escape(str(expected))}"
    with pytest.raises(ImporterError, match=message):
        run(monkeypatch, Snowflake([described], rows=2), Blobs(content))


def test_number_out_of_range_names_the_column_and_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    snowflake = Snowflake([column("ID", "NUMBER", 38, 0), column("P", "NUMBER", 12, 2)], rows=2)

    def fail(*_: object) -> None:
        raise ImporterError("the query failed in Snowflake: 100132: Numeric value is out of range")

    monkeypatch.setattr(snowflake, "execute", fail)
    with pytest.raises(ImporterError, match=r"out of range; if ID has .* to the import's setting decimal$"):
        run(monkeypatch, snowflake, Blobs())


def test_statement_is_sent_with_its_timeout() -> None:
    given: dict[str, object] = {}
    cursor = SimpleNamespace(execute=lambda _, **options: given.update(options))
    connection: Any = SimpleNamespace(cursor=lambda _: cursor)
    execute(connection, "COPY INTO …", timedelta(hours=1))
    assert given == {"timeout": 3600}


def test_session_keeps_types_and_aborts_the_query_of_a_lost_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {}

    def keep(**arguments: Any) -> SimpleNamespace:
        given.update(arguments)
        return SimpleNamespace(warehouse="WH")

    monkeypatch.setattr("snowflake.connector.connect", keep)
    where: dict[str, Any] = {"account": "a", "host": "h", "warehouse": "WH", "role": "R", "user": "U"}
    connect(SnowflakeTarget(**where, sign_in=SignIn.PASSWORD), "secret", "tag")
    assert given["session_parameters"]["ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION"] is False
    assert given["session_parameters"]["ABORT_DETACHED_QUERY"] is True


@pytest.mark.parametrize(
    "quoted",
    [
        "unexpected '<EOF>' in AZURE_SAS_TOKEN = 'sv=1&sig=canary%2B7391%3D&se=2026'",
        "cannot write https://lake.blob.core.windows.net/rawdata/x?sv=1&sig=canary7391",
        "position 0 unexpected 'SIG=canary739",
    ],
)
def test_error_that_quotes_the_statement_hides_the_signature(quoted: str) -> None:
    class Cursor:
        def execute(self, *_: object, **__: object) -> None:
            raise ProgrammingError(quoted, errno=1003)

    connection: Any = SimpleNamespace(cursor=lambda _: Cursor())
    with pytest.raises(ImporterError, match=r"(sig|SIG)=\.\.\.") as refused:
        execute(connection, "COPY INTO …")
    assert "canary" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("name", ["LAKE", "lake_2$", None])
def test_storage_integration_accepts_an_identifier(name: str | None) -> None:
    spec = ImportSpec(name="a", connection="c", query="SELECT 1", mode="unload", storage_integration=name)
    assert ImportSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("mode", "name"), [("unload", "LAKE FILE_FORMAT"), ("unload", "x'"), ("unload", ""), ("stream", "LAKE")]
)
def test_storage_integration_that_is_not_an_identifier_raises_an_error(mode: str, name: str) -> None:
    fields = {"name": "a", "connection": "c", "query": "SELECT 1", "mode": mode, "storage_integration": name}
    with pytest.raises(ValidationError) as refused:
        ImportSpec.model_validate(fields)
    assert [error["loc"] for error in refused.value.errors()] == [("storage_integration",)]
