"""The importer end to end: Snowflake over HTTP, Azurite and the workspace service, by the real clients."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import mltable
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import snowflake.connector
from azure.storage.blob import ContainerClient
from tenacity import wait_none

from importer.azure import ROLE_RETRIES, credential
from importer.blob import AssetBlobs, VersionBlobs
from importer.errors import ImporterError, MissingRoleError
from importer.fetch import arrow_batches
from importer.manifest import Manifest
from importer.progress import JsonLines
from importer.run import Import
from importer.spec import ImportSpec, SignIn, SnowflakeTarget
from importer.workspace import Workspace
from localcloud.arm import ArmStore
from localcloud.home import BLOB_KEY, SUBSCRIPTION_ID, Home, write_atomically
from localcloud.houses import TABLE, house_sales
from localcloud.snowflake_account import read_passwords
from tests.local_cloud import new_cloud

GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv"
ALL_SALES = f"SELECT * FROM {TABLE}"  # noqa: S608 - a constant
REPOSITORY = Path(__file__).parents[2]

V1, V2, V3 = "20261123T060000Z", "20261124T060000Z", "20261125T060000Z"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A local cloud with a workspace, as a deployment leaves it, in the environment of the tests."""
    cloud = new_cloud(tmp_path_factory.mktemp("import"))
    deploy(cloud.home)
    cloud.start("blob", "snowflake", "azure")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.env.items():
            patch.setenv(name, value)
        container(cloud.home).create_container()
        credential.cache_clear()
        yield cloud.home
    cloud.run("stop")


def deploy(home: Home) -> None:
    """Store a workspace with a datastore and a connection, and one each whose server is down."""
    put(home, GROUP, "Microsoft.Resources/resourceGroups")
    put(home, VAULT, "Microsoft.KeyVault/vaults")
    kind = "Microsoft.MachineLearningServices/workspaces"
    put(home, WORKSPACE, kind)
    for name, port in (("rawdata", home.ports["blob"]), ("down", 9)):
        put(
            home,
            f"{WORKSPACE}/datastores/{name}",
            f"{kind}/datastores",
            datastoreType="AzureBlob",
            accountName="lake",
            containerName="rawdata",
            endpoint=f"127.0.0.1:{port}",
            protocol="https",
            credentials={"credentialsType": "None"},
        )
    target = SnowflakeTarget(
        account="local",
        host="127.0.0.1",
        port=home.ports["snowflake"],
        protocol="http",
        warehouse="IMPORT_WH",
        role="IMPORTER",
        user="IMPORTER",
        sign_in=SignIn.PASSWORD,
        secret_uri=f"{home.azure_url}/vaults/kv/secrets/snowflake-importer",
    )
    others: dict[str, dict[str, object]] = {
        "snowflake": {},
        "down": {"port": 9},
        "role": {"role": "SYSADMIN"},
        "warehouse": {"warehouse": "NO_WH"},
        "secret": {"secret_uri": f"{home.azure_url}/vaults/kv/secrets/none"},
        "incomplete": {"account": None},
    }
    for name, change in others.items():
        put(
            home,
            f"{WORKSPACE}/connections/{name}",
            f"{kind}/connections",
            category="Snowflake",
            authType="None",
            target="127.0.0.1",
            metadata=target.model_copy(update=change).to_metadata(),
        )


def put(home: Home, arm_id: str, kind: str, **properties: Any) -> None:
    created = "2026-01-01T00:00:00Z"
    ArmStore(home.arm_db).put(
        arm_id,
        {
            "id": arm_id,
            "name": arm_id.rpartition("/")[2],
            "type": kind,
            "properties": properties,
            "systemData": {"createdAt": created, "lastModifiedAt": created},
        },
    )


def container(home: Home) -> ContainerClient:
    return ContainerClient(f"{home.blob_url}/lake", "rawdata", credential=BLOB_KEY)


def blob_names(home: Home, asset: str) -> list[str]:
    return sorted(container(home).list_blob_names(name_starts_with=f"{asset}/"))


def attempts(home: Home, asset: str, version: str) -> set[str]:
    names = blob_names(home, asset)
    return {name.split("/")[2] for name in names if f"/version={version}/attempt=" in name}


def spec(name: str, query: str = ALL_SALES, **fields: Any) -> ImportSpec:
    return ImportSpec(name=name, connection="snowflake", query=query, **fields)


def run(spec: ImportSpec, version: str = V1) -> None:
    Import(spec, Workspace(), JsonLines()).run(version)


def download(home: Home, asset: str, version: str, folder: Path) -> Manifest:
    """Download the one attempt of a version as a data scientist would, and return its manifest."""
    (attempt,) = attempts(home, asset, version)
    prefix = f"{asset}/version={version}/{attempt}/"
    for name in container(home).list_blob_names(name_starts_with=prefix):
        (folder / name.removeprefix(prefix)).write_bytes(container(home).download_blob(name).readall())
    return Manifest.model_validate_json((folder / "_manifest.json").read_text())


def command(*arguments: str, spec: ImportSpec | None = None) -> subprocess.CompletedProcess[str]:
    extra = {"IMPORT_SPEC": spec.model_dump_json()} if spec else {}
    return subprocess.run(
        [sys.executable, "-m", "importer", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **extra},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def error_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1, result
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_the_command_imports_the_houses_as_they_are(home: Home, tmp_path: Path) -> None:
    result = command(
        "run", "raw_house_data", "--version", "2026-11-23T06:00:00Z", spec=spec("raw_house_data")
    )

    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert [json.loads(line)["event"] for line in result.stdout.splitlines()] == ["started", "registered"]
    manifest = download(home, "raw_house_data", V1, tmp_path)
    assert manifest.rows == sum(part.rows for part in manifest.files) == 2930
    loaded = pa.Table.from_pandas(mltable.load(str(tmp_path)).to_pandas_dataframe(), preserve_index=False)
    assert loaded.to_pylist() == house_sales().to_pylist()
    (registered,) = Workspace().versions("raw_house_data")
    assert registered.version == V1
    assert registered.tags["rows"] == "2930"
    assert registered.tags["schema_hash"] == manifest.schema_hash
    written = [result.stdout, *(path.read_text(errors="replace") for path in tmp_path.iterdir())]
    assert not [text for text in written if read_passwords(home)["IMPORTER"] in text]


def test_a_registered_version_is_left_alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run(spec("twice"))
    before = blob_names(home, "twice")
    monkeypatch.setattr("importer.attempt.connect", _never)
    monkeypatch.setattr("importer.run.AssetBlobs", _never)

    run(spec("twice"))

    assert blob_names(home, "twice") == before


def test_a_version_of_another_query_is_left_alone_and_said(home: Home) -> None:
    run(spec("changed"))
    before = blob_names(home, "changed")
    other = spec("changed", f"{ALL_SALES} WHERE 1 = 0")

    line = error_line(command("run", "changed", "--version", "2026-11-23T06:00:00Z", spec=other))

    assert f"asset changed:{V1} is there already, and was made by another query: choose another" in line
    assert blob_names(home, "changed") == before


def test_a_committed_attempt_of_another_query_is_registered_and_said(home: Home) -> None:
    crash(spec("left"), Workspace, "register", after=False)
    left = attempts(home, "left", V1)
    with pytest.raises(ImporterError, match="was made by another query"):
        run(spec("left", f"{ALL_SALES} WHERE 1 = 0"))
    assert attempts(home, "left", V1) == left
    (registered,) = Workspace().versions("left")
    assert registered.tags["rows"] == "2930"


@pytest.mark.usefixtures("home")
def test_the_run_that_loses_to_another_query_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    commit = AssetBlobs.commit

    def overtaken(self: AssetBlobs, manifest: Manifest) -> None:
        monkeypatch.setattr(AssetBlobs, "commit", commit)
        run(spec("lost", f"{ALL_SALES} WHERE 1 = 0"))
        commit(self, manifest)

    monkeypatch.setattr(AssetBlobs, "commit", overtaken)
    with pytest.raises(ImporterError, match="was made by another query"):
        run(spec("lost"))


@pytest.mark.usefixtures("home")
def test_the_first_run_waits_for_its_roles(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importer.azure.ROLE_RETRIES", ROLE_RETRIES.copy(wait=wait_none()))
    refusals = [MissingRoleError("no"), MissingRoleError("no")]
    versions = AssetBlobs.versions

    def forbidden_twice(self: AssetBlobs) -> dict[str, VersionBlobs]:
        if refusals:
            raise refusals.pop()
        return versions(self)

    monkeypatch.setattr(AssetBlobs, "versions", forbidden_twice)
    run(spec("early"))

    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events == ["waiting for role assignments", "started", "registered"]


def _never(*_: object) -> None:
    pytest.fail("nothing is to be read or written")


def test_two_runs_of_one_tick_make_one_version(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # both have written all they write before either commits
    both = threading.Barrier(2, timeout=60)
    commit = AssetBlobs.commit
    monkeypatch.setattr(AssetBlobs, "commit", lambda self, manifest: (both.wait(), commit(self, manifest))[1])
    threads = [threading.Thread(target=run, args=(spec("race"),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (attempt,) = attempts(home, "race", V1)
    (registered,) = Workspace().versions("race")
    committed = json.loads(container(home).download_blob(f"race/version={V1}/_committed.json").readall())
    assert attempt == f"attempt={committed['attempt']}"
    assert registered.tags["rows"] == "2930"


def test_a_run_that_another_one_overtakes_ends_well(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = AssetBlobs.commit

    def overtaken(self: AssetBlobs, manifest: Manifest) -> None:
        monkeypatch.setattr(AssetBlobs, "commit", commit)
        run(spec("overtaken"))
        assert f"attempt={manifest.attempt}" not in attempts(home, "overtaken", V1)
        commit(self, manifest)

    monkeypatch.setattr(AssetBlobs, "commit", overtaken)
    run(spec("overtaken"))

    assert len(attempts(home, "overtaken", V1)) == 1
    assert [found.version for found in Workspace().versions("overtaken")] == [V1]


def crash(spec: ImportSpec, owner: type, step: str, *, after: bool) -> None:
    """Run an import in a process that dies, without a word, before or after its first call of `step`."""

    def die() -> None:
        original: Callable[..., Any] = getattr(owner, step)

        def last(*arguments: Any) -> None:
            if after:
                original(*arguments)
            os._exit(9)

        setattr(owner, step, last)
        run(spec)

    process = multiprocessing.get_context("fork").Process(target=die)
    process.start()
    process.join(timeout=120)
    assert process.exitcode == 9


@pytest.mark.parametrize(
    ("owner", "step", "after"),
    [(AssetBlobs, "write", True), (AssetBlobs, "commit", False), (Workspace, "register", True)],
    ids=["after-the-first-part", "before-the-commit", "after-the-registration"],
)
def test_a_rerun_completes_what_a_crash_left(home: Home, owner: type, step: str, after: bool) -> None:
    asset = f"crash_{owner.__name__}_{step}".lower()
    crash(spec(asset), owner, step, after=after)
    left = attempts(home, asset, V1)
    assert len(left) == 1

    run(spec(asset))

    assert [found.version for found in Workspace().versions(asset)] == [V1]
    assert len(attempts(home, asset, V1)) == 1
    assert (attempts(home, asset, V1) == left) is (step == "register")


def test_a_committed_attempt_is_registered_without_importing_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash(spec("committed"), Workspace, "register", after=False)
    assert Workspace().versions("committed") == []
    left = attempts(home, "committed", V1)
    with monkeypatch.context() as patch:
        patch.setattr("importer.attempt.connect", _never)
        run(spec("committed"))
    assert attempts(home, "committed", V1) == left
    assert [found.version for found in Workspace().versions("committed")] == [V1]


@pytest.mark.usefixtures("home")
def test_the_next_tick_registers_what_the_last_one_committed() -> None:
    crash(spec("next_tick"), Workspace, "register", after=False)

    run(spec("next_tick"), V2)

    newest, oldest = Workspace().versions("next_tick")
    assert (oldest.version, newest.version) == (V1, V2)
    assert newest.tags["previous_version"] == V1


def test_an_attempt_of_a_dead_run_goes_when_it_has_been_silent_long_enough(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash(spec("dead"), AssetBlobs, "commit", after=False)
    run(spec("dead"), V2)
    assert len(attempts(home, "dead", V1)) == 1  # it may be a slow run

    monkeypatch.setattr("importer.retention.ABANDONED_AFTER", timedelta(0))
    run(spec("dead"), V3)

    assert attempts(home, "dead", V1) == set()
    assert len(attempts(home, "dead", V2)) == len(attempts(home, "dead", V3)) == 1


def test_an_attempt_that_lost_a_file_is_not_committed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = AssetBlobs.commit

    def lose_first(self: AssetBlobs, manifest: Manifest) -> None:
        container(home).delete_blob(self.attempt_path(V1, manifest.attempt) + "part-00000.parquet")
        commit(self, manifest)

    monkeypatch.setattr(AssetBlobs, "commit", lose_first)
    with pytest.raises(ImporterError, match=r"part-00000\.parquet is not in .*: import again"):
        run(spec("swept"))
    assert Workspace().versions("swept") == []


def test_older_versions_go_with_their_blobs(home: Home) -> None:
    for version in (V1, V2, V3):
        run(spec("retired", keep_versions=2), version)

    assert [found.version for found in Workspace().versions("retired")] == [V3, V2]
    assert Workspace().all_versions("retired") == {V1, V2, V3}
    assert not [name for name in blob_names(home, "retired") if V1 in name]


def test_other_rows_than_snowflake_reports_register_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = arrow_batches

    def short(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        yield next(tables).slice(1)
        yield from tables

    monkeypatch.setattr("importer.stream.arrow_batches", lambda *given: short(whole(*given)))

    with pytest.raises(ImporterError, match="Snowflake reports 2930 rows, but 2929 were written"):
        run(spec("short"))

    assert Workspace().versions("short") == []
    assert blob_names(home, "short") == []


def test_no_rows_make_one_empty_part_with_the_same_schema(home: Home, tmp_path: Path) -> None:
    run(spec("none"))
    full = download(home, "none", V1, tmp_path)

    run(spec("none", f"{ALL_SALES} WHERE 1 = 0"), V2)

    empty = download(home, "none", V2, tmp_path)
    assert (empty.rows, len(empty.files)) == (0, 1)
    assert empty.schema_hash == full.schema_hash
    assert mltable.load(str(tmp_path)).to_pandas_dataframe().empty


def deployer() -> dict[str, Any]:
    """Return the connector's arguments for the deployer, from the variables that real clients are given."""
    prefix = "SNOWFLAKE_"
    return {
        name.removeprefix(prefix).lower(): value
        for name, value in os.environ.items()
        if name.startswith(prefix)
    }


def test_values_of_every_type_arrive_as_they_are(home: Home, tmp_path: Path) -> None:
    values = {
        "1::INT": 1,
        "-12.25::NUMBER(12,2)": Decimal("-12.25"),
        "0.1::FLOAT": 0.1,
        "'Zoë ☃'": "Zoë ☃",
        "TRUE": True,
        "NULL": None,
        "'2020-02-29'::DATE": date(2020, 2, 29),
        "'01:02:03.5'::TIME": time(1, 2, 3, 500000),
        "'2020-01-02 03:04:05.123456'::TIMESTAMP_NTZ": datetime(2020, 1, 2, 3, 4, 5, 123456),
        "'2020-01-02 03:04:05.123456 +02:00'::TIMESTAMP_TZ": datetime(2020, 1, 2, 1, 4, 5, 123456, UTC),
        "'9999-12-31 00:00:00'::TIMESTAMP_NTZ": datetime(9999, 12, 31),
        "PARSE_JSON('{\"a\": [1, 2]}')": '{"a":[1,2]}',
    }
    columns = ", ".join(f'{sql} AS "c {number}"' for number, sql in enumerate(values))

    with closing(snowflake.connector.connect(**deployer())) as connection:
        connection.cursor().execute(f"CREATE TABLE TYPES AS SELECT {columns}")

    run(spec("types", "SELECT * FROM GLOBOREALTY.REAL_ESTATE.TYPES"))

    download(home, "types", V1, tmp_path)
    (row,) = pq.read_table(tmp_path / "part-00000.parquet").to_pylist()
    assert row == {f"c {number}": value for number, value in enumerate(values.values())}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"connection": "nope"},
            r"connection nope of workspace ws: .* \(status 404, request id [0-9a-f-]+\)",
        ),
        ({"datastore": "nope"}, r"datastore nope of workspace ws: .* \(status 404, "),
        ({"datastore": "down"}, "cannot be reached"),
        ({"connection": "down"}, r"cannot sign in to Snowflake \(host 127\.0\.0\.1, port \d+, user IMPORTER"),
        ({"connection": "role"}, "Role 'SYSADMIN' specified in the connect string does not exist"),
        ({"connection": "warehouse"}, "role IMPORTER, warehouse NO_WH.*: there is no such warehouse"),
        ({"connection": "secret"}, r"secret https://\S+/vaults/kv/secrets/none: .* \(status 404, "),
        ({"connection": "incomplete"}, "connection incomplete of workspace ws: account: Field required"),
        ({"query": "SELECT * FROM NO.SUCH.TABLE"}, "the query failed in Snowflake: 002003"),
        ({"query": "SELECT 1 AS A, 2 AS A"}, "returns column A twice"),
    ],
)
def test_what_stops_an_import_leaves_nothing(home: Home, change: dict[str, str], message: str) -> None:
    broken = spec("broken").model_copy(update=change)
    with pytest.raises(ImporterError, match=message):
        run(broken)
    assert blob_names(home, "broken") == []
    assert Workspace().versions("broken") == []


def test_a_wrong_password_is_one_line_without_it(home: Home) -> None:
    secrets = home.vault_file.read_text()
    write_atomically(home.vault_file, json.dumps({"snowflake-importer": "canary-7391"}), mode=0o600)
    try:
        result = command("run", "refused", spec=spec("refused"))
    finally:
        write_atomically(home.vault_file, secrets, mode=0o600)
    assert "Incorrect username or password was specified." in error_line(result)
    assert "canary" not in result.stdout + result.stderr


@pytest.mark.usefixtures("known")
def test_an_unknown_import_is_told_which_there_are() -> None:
    line = error_line(command("run", "unknown"))
    assert "has no import unknown; it has: known" in line


@pytest.fixture
def known(home: Home) -> Iterator[str]:
    """The name of an import that the workspace has a schedule of."""
    arm_id = schedule(home, "known")
    yield "known"
    ArmStore(home.arm_db).delete(arm_id)


DAILY = {"triggerType": "Cron", "expression": "0 6 * * *", "timeZone": "W. Europe Standard Time"}


def schedule(
    home: Home, name: str, trigger: dict[str, Any] = DAILY, variables: dict[str, str] | None = None
) -> str:
    """Store a schedule as `ImportSchedule` makes it, but for what is given, and return its id."""
    arm_id = f"{WORKSPACE}/schedules/import_{name}"
    step = {
        "type": "command",
        "componentId": f"{WORKSPACE}/components/azureml_anonymous/versions/1",
        "environment_variables": {"IMPORT_SPEC": spec(name).model_dump_json()}
        if variables is None
        else variables,
    }
    put(
        home,
        arm_id,
        "Microsoft.MachineLearningServices/workspaces/schedules",
        trigger=trigger,
        action={
            "actionType": "CreateJob",
            "jobDefinition": {"jobType": "Pipeline", "jobs": {"import": step}, "settings": {}},
        },
        isEnabled=True,
        tags={"import": name},
    )
    return arm_id


def test_list_shows_the_newest_version_and_the_next_tick(home: Home) -> None:
    listed = schedule(home, "listed")
    run(spec("listed"), V1)
    run(spec("listed"), V2)

    result = command("list", "--json", "--wait", "--timeout", "5")

    ArmStore(home.arm_db).delete(listed)

    assert result.returncode == 0, result.stderr
    (status,) = json.loads(result.stdout)
    assert (status["version"], status["rows"], status["time_zone"]) == (V2, 2930, "W. Europe Standard Time")
    assert datetime.fromisoformat(status["next"]) > datetime.now(UTC)


@pytest.mark.usefixtures("known")
def test_schedules_that_a_person_changed_do_not_hide_the_others(home: Home) -> None:
    daily = {"triggerType": "Recurrence", "frequency": "Day", "interval": 1, "timeZone": "UTC"}
    changed = [schedule(home, "recurring", daily), schedule(home, "emptied", variables={})]
    try:
        statuses = {found["name"]: found for found in json.loads(command("list", "--json").stdout)}
        assert Workspace().spec("known").name == "known"
        assert Workspace().spec("recurring").name == "recurring"
        line = error_line(command("run", "emptied"))
    finally:
        for arm_id in changed:
            ArmStore(home.arm_db).delete(arm_id)

    assert statuses.keys() == {"known", "recurring", "emptied"}
    assert (statuses["recurring"]["cron"], statuses["recurring"]["next"]) == (None, None)
    assert [name for name, found in statuses.items() if found["problem"]] == ["emptied"]
    assert "schedule import_emptied: its job has no IMPORT_SPEC" in line


def job(home: Home, name: str, status: str) -> None:
    put(
        home,
        f"{WORKSPACE}/jobs/{name}",
        "Microsoft.MachineLearningServices/workspaces/jobs",
        jobType="Pipeline",
        displayName=f"import_{name}-{V1}",
        status=status,
        properties={"azureml.scheduleName": f"import_{name}"},
        tags={"import": name},
        jobs={},
        settings={},
    )


def test_list_wait_fails_with_the_job_that_failed(home: Home) -> None:
    failing = schedule(home, "failing")
    job(home, "failing", "Failed")
    try:
        line = error_line(command("list", "--wait"))
    finally:
        ArmStore(home.arm_db).delete(failing)
    assert "import failing: job failing is Failed" in line


def test_preview_shows_columns_and_rows_and_writes_nothing(home: Home) -> None:
    result = command(
        "preview", "previewed", spec=spec("previewed", ALL_SALES.replace("*", "SALE_PRICE") + " -- all")
    )

    assert result.returncode == 0, result.stderr
    head, *rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert head == {
        "rows": 2930,
        "columns": [{"name": "SALE_PRICE", "type": "NUMBER(38,0)", "nullable": True}],
    }
    assert len(rows) == 10
    assert rows[0]["SALE_PRICE"] == house_sales()["SALE_PRICE"][0].as_py()
    assert blob_names(home, "previewed") == []
