"""The importer end to end, with the real clients: Snowflake over HTTP, Azurite and the workspace service."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from tenacity import wait_none

from importer.errors import ImporterError, MissingRoleError
from importer.lake.azure import ROLE_RETRIES
from importer.lake.stored_versions import StoredVersion, StoredVersions
from importer.snowflake.result_chunks import arrow_batches
from importer.spec.contract import Contract
from importer.versions.workspace import Workspace
from localcloud.home import Home, write_atomically
from localcloud.houses import house_sales
from localcloud.snowflake_account import read_passwords
from tests.data_cloud import (
    ALL_SALES,
    V1,
    V2,
    V3,
    blob_names,
    command,
    download,
    error_line,
    events,
    never,
    run,
    spec,
)

mltable = pytest.importorskip("mltable")  # no wheel for Apple silicon


def test_command_imports_the_house_sales_unchanged(home: Home, tmp_path: Path) -> None:
    result = command(
        "run", "raw_house_data", "--version", "2026-11-23T06:00:00Z", spec=spec("raw_house_data")
    )

    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert events(result.stdout) == ["started", "registered"]
    manifest = download(home, "raw_house_data", V1, tmp_path)
    assert manifest.rows == sum(part.rows for part in manifest.files) == 2930
    loaded = pa.Table.from_pandas(mltable.load(str(tmp_path)).to_pandas_dataframe(), preserve_index=False)
    assert loaded.to_pylist() == house_sales().to_pylist()
    (registered,) = Workspace().versions("raw_house_data")
    assert registered.version == V1
    assert registered.tags["rows"] == "2930"
    assert registered.tags["schema_hash"] == manifest.schema_hash
    written = [
        result.stdout,
        *(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()),
    ]
    assert not [text for text in written if read_passwords(home)["IMPORTER"] in text]


def test_run_of_a_registered_version_changes_nothing(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    run(spec("twice"))
    before = blob_names(home, "twice")
    monkeypatch.setattr("importer.job.import_rows.connect", never)

    run(spec("twice"))

    assert blob_names(home, "twice") == before


@pytest.mark.usefixtures("home")
def test_first_run_waits_until_its_roles_apply(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importer.lake.azure.ROLE_RETRIES", ROLE_RETRIES.copy(wait=wait_none()))
    refusals = [MissingRoleError("no"), MissingRoleError("no")]
    versions = StoredVersions.all

    def forbidden_twice(self: StoredVersions) -> dict[str, StoredVersion]:
        if refusals:
            raise refusals.pop()
        return versions(self)

    monkeypatch.setattr(StoredVersions, "all", forbidden_twice)
    run(spec("early"))

    said = events(capsys.readouterr().out)
    assert said == ["waiting for role assignments", "started", "registered"]


def test_versions_past_keep_versions_are_archived_and_their_blobs_deleted(home: Home) -> None:
    for version in (V1, V2, V3):
        run(spec("retired", keep_versions=2), version)

    assert [found.version for found in Workspace().versions("retired")] == [V3, V2]
    assert Workspace().all_versions("retired") == {V1, V2, V3}
    assert not [name for name in blob_names(home, "retired") if V1 in name]


def test_row_count_that_differs_from_snowflakes_registers_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = arrow_batches

    def short(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        yield next(tables).slice(1)
        yield from tables

    monkeypatch.setattr(
        "importer.job.stream.arrow_batches", lambda *given, **options: short(whole(*given, **options))
    )

    with pytest.raises(ImporterError, match="Snowflake reports 2930 rows, but 2929 were written"):
        run(spec("short"))

    assert Workspace().versions("short") == []
    assert blob_names(home, "short") == []


def test_empty_result_makes_one_empty_part_with_the_same_schema(home: Home, tmp_path: Path) -> None:
    run(spec("none"))
    full = download(home, "none", V1, tmp_path)

    unique = Contract.model_validate({"columns": {"LATITUDE": {"unique": True, "min": 0}}})
    run(spec("none", f"{ALL_SALES} WHERE 1 = 0", contract=unique), V2)

    empty = download(home, "none", V2, tmp_path)
    assert (empty.rows, len(empty.files)) == (0, 1)
    assert empty.schema_hash == full.schema_hash
    assert mltable.load(str(tmp_path)).to_pandas_dataframe().empty


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
def test_failed_import_leaves_no_blob_and_no_version(
    home: Home, change: dict[str, str], message: str
) -> None:
    broken = spec("broken").model_copy(update=change)
    with pytest.raises(ImporterError, match=message):
        run(broken)
    assert blob_names(home, "broken") == []
    assert Workspace().versions("broken") == []


def test_wrong_password_is_a_one_line_error_that_hides_it(home: Home) -> None:
    secrets = home.vault_file.read_text()
    write_atomically(home.vault_file, json.dumps({"snowflake-importer": "canary-7391"}), mode=0o600)
    try:
        result = command("run", "refused", spec=spec("refused"))
    finally:
        write_atomically(home.vault_file, secrets, mode=0o600)
    assert "Incorrect username or password was specified." in error_line(result)
    assert "canary" not in result.stdout + result.stderr
