"""Curation end to end, with the real clients: Snowflake, Azurite and the workspace service."""

import multiprocessing
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import snowflake.connector
import yaml
from azure.storage.blob import ContainerClient

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.manifest import Manifest
from importer.lake.stored_versions import StoredVersions
from importer.spec.curate import Curate
from importer.spec.import_spec import ImportSpec
from importer.spec.incremental import Incremental
from importer.versions.workspace import Workspace
from localcloud.home import BLOB_KEY, Home
from localcloud.houses import house_sales
from tests import data_cloud
from tests.data_cloud import (
    ALL_SALES,
    REPOSITORY,
    V1,
    V2,
    V3,
    WORKSPACE,
    command,
    crash,
    deployer,
    error_line,
    put,
    run,
    spec,
)

mltable = pytest.importorskip("mltable")  # no wheel for Apple silicon

LARGE_ONES_GO: dict[str, Any] = {"columns": {"GR_LIV_AREA": {"max": 4000}}}


@pytest.fixture(scope="module")
def home(home: Home) -> Home:
    """The local cloud with a datastore for clean data."""
    put(
        home,
        f"{WORKSPACE}/datastores/cleandata",
        "Microsoft.MachineLearningServices/workspaces/datastores",
        datastoreType="AzureBlob",
        accountName="lake",
        containerName="cleandata",
        endpoint=f"127.0.0.1:{home.ports['blob']}",
        protocol="https",
        credentials={"credentialsType": "None"},
    )
    container(home).create_container()
    return home


def container(home: Home) -> ContainerClient:
    return ContainerClient(f"{home.blob_url}/lake", "cleandata", credential=BLOB_KEY)


def curated(
    name: str, rules: dict[str, Any] = LARGE_ONES_GO, query: str = ALL_SALES, **fields: Any
) -> ImportSpec:
    return spec(name, query, curate=Curate.model_validate({"asset": f"clean_{name}", **rules}), **fields)


def blob_names(home: Home, asset: str) -> list[str]:
    return sorted(container(home).list_blob_names(name_starts_with=f"{asset}/"))


def download(home: Home, asset: str, version: str, folder: Path) -> Manifest:
    """Download the one attempt of a clean version, and return its manifest."""
    names = [
        name
        for name in blob_names(home, asset)
        if name.startswith(f"{asset}/{version}/") and name.count("/") > 2
    ]
    (attempt,) = {"/".join(name.split("/")[:3]) for name in names}
    for name in names:
        path = folder / name.removeprefix(f"{attempt}/")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(container(home).download_blob(name).readall())
    return Manifest.model_validate_json((folder / "_manifest.json").read_text())


def versions(asset: str) -> list[str]:
    return [found.version for found in Workspace().versions(asset)]


def test_house_sales_are_curated_by_the_rules_of_the_local_stack(home: Home, tmp_path: Path) -> None:
    settings = yaml.safe_load((REPOSITORY / "Pulumi.local.yaml").read_text())["config"]
    rules = Curate.model_validate(settings["ai-platform:imports"][0]["curate"])
    houses = spec("raw_house_data", curate=rules)

    result = command("run", "raw_house_data", "--version", "2026-11-23T06:00:00Z", spec=houses)

    assert (result.returncode, result.stderr) == (0, "")
    said = data_cloud.said(result.stdout)
    assert [line["event"] for line in said] == ["started", "registered", "curated"]
    assert said[-1] | {"bytes": 0} == {
        "event": "curated",
        "asset": "clean_house_data",
        "version": V1,
        "rows": 2923,
        "bytes": 0,
        "quarantined": 7,
    }
    manifest = download(home, "clean_house_data", V1, tmp_path)
    loaded = mltable.load(str(tmp_path)).to_pandas_dataframe()
    assert len(loaded) == manifest.rows == 2923
    assert loaded["GR_LIV_AREA"].max() <= 4000
    assert (loaded["SALE_TYPE"] == "WD").sum() > 2500  # without the blank after it
    assert (loaded["AGE_AT_SALE"] == loaded["YEAR_SOLD"] - loaded["YEAR_BUILT"]).all()
    aside = pq.read_table(tmp_path / "quarantine")
    assert aside.num_rows == 7
    assert aside.drop_columns("_reasons").schema.names == house_sales().schema.names
    large = [row for row in aside.to_pylist() if row["GR_LIV_AREA"] > 4000]
    assert all("GR_LIV_AREA: is above 4000" in row["_reasons"] for row in large)
    assert len(large) == manifest.reasons["GR_LIV_AREA: is above 4000"] == 5


@pytest.mark.usefixtures("home")
def test_clean_version_is_tagged_with_its_source_and_rules(tmp_path: Path, home: Home) -> None:
    run(curated("told"))
    (registered,) = Workspace().versions("clean_told")
    manifest = download(home, "clean_told", V1, tmp_path)
    assert registered.version == V1
    assert registered.tags | {"rules_hash": "", "seconds": ""} == {
        "rows": "2925",
        "bytes": str(manifest.bytes),
        "seconds": "",
        "schema_hash": manifest.schema_hash,
        "source": f"told:{V1}",
        "rules_hash": "",
        "quarantined": "5",
    }
    assert "quarantine" not in (tmp_path / "MLTable").read_text()
    assert [column for column in manifest.columns if column.name == "SALE_PRICE"] == [
        ("SALE_PRICE", "NUMBER(38,0)", "int64")
    ]


def test_rows_that_break_no_rule_leave_quarantine_empty(home: Home) -> None:
    run(curated("good", {"columns": {"SALE_PRICE": {"min": 1}}}))
    assert not [name for name in blob_names(home, "clean_good") if "quarantine" in name]
    assert Workspace().versions("clean_good")[0].tags["quarantined"] == "0"


@pytest.mark.parametrize("query", [f"{ALL_SALES} WHERE 1 = 0", ALL_SALES])
def test_version_without_clean_rows_is_made(home: Home, tmp_path: Path, query: str) -> None:
    name = "broken" if query == ALL_SALES else "empty"
    run(curated(name, {"columns": {"SALE_PRICE": {"max": 0}}}, query))
    manifest = download(home, f"clean_{name}", V1, tmp_path)
    assert (manifest.rows, manifest.quarantined) == (0, 2930 if name == "broken" else 0)
    assert mltable.load(str(tmp_path)).to_pandas_dataframe().empty


def test_more_broken_rows_than_max_quarantined_make_no_clean_version(home: Home) -> None:
    limited = curated("limited", {**LARGE_ONES_GO, "maxQuarantined": 0.1})
    line = error_line(command("run", "limited", "--version", "2026-11-23T06:00:00Z", spec=limited))
    assert "curate.maxQuarantined: 5 of the 2930 rows" in line
    assert "GR_LIV_AREA: is above 4000 (5 rows)" in line
    assert versions("limited") == [V1]
    assert versions("clean_limited") == blob_names(home, "clean_limited") == []


def test_rule_that_does_not_fit_is_a_one_line_error(home: Home) -> None:
    wrong = curated("wrong", {"columns": {"NOPE": {"required": True}}})
    result = command("run", "wrong", "--version", "2026-11-23T06:00:00Z", spec=wrong)
    assert "curate.columns.NOPE: the query returns no such column" in error_line(result)
    assert versions("wrong") == [V1]
    assert blob_names(home, "clean_wrong") == []


def test_second_run_leaves_the_clean_version_unchanged(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run(curated("twice"))
    before = blob_names(home, "clean_twice")
    monkeypatch.setattr("importer.job.curate.run.write_clean", data_cloud.never)
    run(curated("twice"))
    assert blob_names(home, "clean_twice") == before


def test_changed_rules_apply_to_the_next_version(home: Home) -> None:
    run(curated("ruled"))
    before = blob_names(home, "clean_ruled")
    other = curated("ruled", {"columns": {"GR_LIV_AREA": {"max": 3000}}})
    with pytest.raises(
        ImporterError,
        match=f"clean_ruled:{V1} exists already and was made by other rules: these rules apply",
    ):
        run(other)
    assert blob_names(home, "clean_ruled") == before
    run(other, V2)
    assert versions("clean_ruled") == [V2, V1]


@pytest.mark.parametrize(
    ("owner", "step", "after"),
    [
        (AssetBlobs, "write", False),
        (AssetBlobs, "write", True),
        (StoredVersions, "commit", False),
        (StoredVersions, "commit", True),
        (Workspace, "register", False),
        (Workspace, "register", True),
    ],
)
def test_rerun_after_a_kill_makes_one_clean_version(
    home: Home, tmp_path: Path, owner: type, step: str, after: bool
) -> None:
    killed = curated(f"killed_{step}_{after}".lower())
    asset = f"clean_{killed.name}"
    run(killed.model_copy(update={"curate": None}))
    crash(killed, owner, step, after=after)
    assert versions(asset) == ([V1] if owner is Workspace and after else [])

    run(killed)

    assert versions(asset) == [V1]
    assert download(home, asset, V1, tmp_path).quarantined == 5  # one attempt is left


@pytest.mark.usefixtures("home")
def test_next_version_registers_the_committed_one_before_it() -> None:
    killed = curated("first")
    run(killed.model_copy(update={"curate": None}))
    crash(killed, Workspace, "register", after=False)
    run(killed, V2)
    assert versions("clean_first") == [V2, V1]


def die_before_curating(killed: ImportSpec, version: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("importer.job.curate.run.CleanAsset.make", lambda *_: __import__("os")._exit(9))
        run(killed, version)


@pytest.mark.usefixtures("home")
def test_next_run_catches_up_on_missed_clean_versions() -> None:
    owed = curated("owed")
    run(owed)
    process = multiprocessing.get_context("fork").Process(target=die_before_curating, args=(owed, V2))
    process.start()
    process.join(timeout=120)
    assert (process.exitcode, versions("owed"), versions("clean_owed")) == (9, [V2, V1], [V1])

    run(owed, V3)

    assert versions("clean_owed") == [V3, V2, V1]


@pytest.mark.usefixtures("home")
def test_missed_version_that_fails_again_does_not_fail_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    run(curated("stuck"))
    narrow = curated("stuck", query=f"SELECT SALE_PRICE FROM ({ALL_SALES}) AS s")  # noqa: S608
    with pytest.raises(ImporterError, match=r"curate\.columns\.GR_LIV_AREA"):
        run(narrow, V2)
    capsys.readouterr()
    run(curated("stuck"), V3)
    said = data_cloud.said(capsys.readouterr().out)
    assert [line["event"] for line in said] == ["started", "registered", "curated", "not curated"]
    assert said[-1]["version"] == V2
    assert versions("clean_stuck") == [V3, V1]


@pytest.mark.usefixtures("home")
def test_run_without_new_rows_makes_no_clean_version_and_catches_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    query = "SELECT 1 AS ID, 5 AS GR_LIV_AREA"
    growing = Incremental.model_validate({"column": "ID"})
    quiet = curated("quiet", query=query, incremental=growing)
    run(quiet)
    run(quiet, V2)
    assert [line["event"] for line in data_cloud.said(capsys.readouterr().out)][-1] == "unchanged"
    assert (versions("quiet"), versions("clean_quiet")) == ([V1], [V1])

    more = quiet.model_copy(update={"query": f"{query} UNION ALL SELECT 6, 5"})
    run(more.model_copy(update={"curate": None}), V2)
    run(more, V3)
    assert (versions("quiet"), versions("clean_quiet")) == ([V2, V1], [V2, V1])


@pytest.mark.usefixtures("home")
def test_first_rules_do_not_curate_older_raw_versions() -> None:
    run(curated("late").model_copy(update={"curate": None}))
    run(curated("late"), V2)
    assert versions("clean_late") == [V2]


@pytest.mark.usefixtures("home")
def test_two_concurrent_curations_make_one_version(monkeypatch: pytest.MonkeyPatch) -> None:
    race = curated("race")
    run(race.model_copy(update={"curate": None}))
    commit = StoredVersions.commit

    def overtaken(self: StoredVersions, *given: Any) -> None:
        monkeypatch.setattr(StoredVersions, "commit", commit)
        run(race)
        commit(self, *given)

    monkeypatch.setattr(StoredVersions, "commit", overtaken)
    run(race)
    assert versions("clean_race") == [V1]


def test_clean_versions_past_keep_versions_are_retired(home: Home) -> None:
    for version in (V1, V2, V3):
        run(curated("retired", keep_versions=2), version)
    assert versions("clean_retired") == [V3, V2]
    assert not [name for name in blob_names(home, "clean_retired") if V1 in name]


@pytest.mark.usefixtures("home")
def test_command_curates_the_given_version_or_the_newest() -> None:
    asked = curated("asked")
    assert "asset asked has no version yet: run the import first" in error_line(
        command("curate", "asked", spec=asked)
    )
    for version in (V1, V2):
        run(asked.model_copy(update={"curate": None}), version)
    newest = command("curate", "asked", spec=asked)
    assert [line["version"] for line in data_cloud.said(newest.stdout)] == [V2], newest.stderr
    older = command("curate", "asked", "--version", "2026-11-23T06:00:00Z", spec=asked)
    assert [line["version"] for line in data_cloud.said(older.stdout)] == [V1]
    assert "asked has no version 20200101T000000Z: run the import first" in error_line(
        command("curate", "asked", "--version", "2020-01-01T00:00:00Z", spec=asked)
    )
    assert "import bare has no rules" in error_line(command("curate", "bare", spec=spec("bare")))


@pytest.mark.usefixtures("home")
def test_clean_asset_with_the_raw_assets_name_raises_an_error() -> None:
    with pytest.raises(ImporterError, match="is the raw asset's name"):
        run(curated("same", {"asset": "same"}))


def test_unchanged_columns_keep_exact_types_and_unusual_names(home: Home, tmp_path: Path) -> None:
    values = (
        "12345678901234567890123456789012345.678::NUMBER(38,3) AS \"Préçis 'x'\", "
        "'2020-01-02 03:04:05.123456 +02:00'::TIMESTAMP_TZ AS \"a.b\", "
        "'1960-01-01'::DATE AS D, PARSE_JSON('{\"a\": [1]}') AS J, NULL::VARCHAR AS \"é\""
    )
    with closing(snowflake.connector.connect(**deployer())) as connection:
        connection.cursor().execute(f"CREATE OR REPLACE TABLE ODD AS SELECT {values}")
    odd = curated(
        "odd",
        {
            "columns": {"Préçis 'x'": {"min": 0, "name": "exact"}, "D": {"max": "1960-01-01"}},
            "derive": {"first": {"expression": "j ->> '$.a[0]'"}, "wide": {"expression": "exact + 0.001"}},
        },
        "SELECT * FROM GLOBOREALTY.REAL_ESTATE.ODD",
    )
    run(odd)
    raw_folder, folder = tmp_path / "raw", tmp_path / "clean"
    raw_folder.mkdir()
    folder.mkdir()
    data_cloud.download(home, "odd", V1, raw_folder)
    download(home, "clean_odd", V1, folder)
    raw, found = (pq.read_table(path / "data") for path in (raw_folder, folder))
    assert found.schema.names == ["exact", "a.b", "D", "J", "é", "first", "wide"]
    for before, after in zip(raw.columns, found.columns, strict=False):
        assert before == after
    assert found["first"].to_pylist() == ["1"]
    assert str(found["wide"][0]) == "12345678901234567890123456789012345.679"


def test_clean_version_of_an_incremental_one_has_all_rows(home: Home, tmp_path: Path) -> None:
    table = "GLOBOREALTY.REAL_ESTATE.GROWS_AND_IS_CURATED"
    rules = {"columns": {"PRICE": {"min": 0}}, "derive": {"TWICE": {"expression": "PRICE * 2"}}}
    grows = curated(
        "grows_curated",
        rules,
        f"SELECT * FROM {table}",  # noqa: S608 - a constant
        incremental=Incremental.model_validate({"column": "ID", "key": ["ID"]}),
    )
    with closing(snowflake.connector.connect(**deployer())) as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE OR REPLACE TABLE {table} (ID INT, PRICE INT)")
        cursor.execute(f"INSERT INTO {table} VALUES (1, 10), (2, -1)")  # noqa: S608 - a constant
        run(grows, V1)
        cursor.execute(f"INSERT INTO {table} VALUES (3, 30)")  # noqa: S608 - a constant
        run(grows, V2)

    manifest = download(home, "clean_grows_curated", V2, tmp_path)
    assert (manifest.rows, manifest.quarantined, manifest.source) == (2, 1, f"grows_curated:{V2}")
    rows = [row for part in manifest.files for row in pq.read_table(tmp_path / part.name).to_pylist()]
    assert sorted(row["TWICE"] for row in rows) == [20, 60]
