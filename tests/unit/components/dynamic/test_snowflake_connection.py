"""The whole life of a Snowflake connection, against the real azure-ai-ml client and a Snowflake in memory."""

from dataclasses import replace
from typing import Any

import pytest
from pulumi import dynamic
from pulumi.output import UNKNOWN

from components.dynamic.provider import ResourceError
from components.dynamic.snowflake_connection import (
    SKIPPED,
    SnowflakeConnectionProvider,
)
from components.dynamic.workspace import WorkspaceRef
from importer.errors import ImporterError
from importer.snowflake import session as snowflake
from importer.snowflake.columns import DescribedColumn, type_text
from importer.snowflake.deployer import deployer_sign_in
from importer.spec.snowflake_target import SnowflakeTarget
from importer.spec.snowflake_types import SnowflakeType
from tests.unit.components.dynamic.fake_workspace import ROOT, WORKSPACE, FakeWorkspace

CONNECTION = "connections/snowflake"
ID = f"{ROOT}/{CONNECTION}"
PROVIDER = SnowflakeConnectionProvider()
PRICE = DescribedColumn("PRICE", SnowflakeType.NUMBER, 12, 2)
STYLE = DescribedColumn("STYLE", SnowflakeType.VARCHAR, length=20)
SEEN_AT = DescribedColumn("SEEN_AT", SnowflakeType.TIMESTAMP_TZ, 0, 9)


class FakeSnowflake:
    """The columns that each query returns; any other query is refused."""

    def __init__(self) -> None:
        self.columns = {"SELECT * FROM raw": [PRICE]}
        self.problem: str | None = None
        self.targets: list[SnowflakeTarget] = []
        self.closed = 0

    def connect(self, target: SnowflakeTarget, sign_in: dict[str, str]) -> "FakeSnowflake":
        assert sign_in == {"user": "DEPLOYER"}
        if self.problem:
            raise ImporterError(self.problem)
        self.targets.append(target)
        return self

    def describe(self, query: str) -> list[DescribedColumn]:
        if query not in self.columns:
            raise ImporterError("Snowflake refuses the query: 904: invalid identifier 'NOPE'")
        return self.columns[query]

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def workspace(monkeypatch: pytest.MonkeyPatch) -> FakeWorkspace:
    fake = FakeWorkspace()
    monkeypatch.setattr(WorkspaceRef, "client", lambda _: fake.client())
    return fake


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> FakeSnowflake:
    fake = FakeSnowflake()
    monkeypatch.setenv("SNOWFLAKE_USER", "DEPLOYER")
    monkeypatch.setattr(snowflake, "deployer_connection", fake.connect)
    monkeypatch.setattr(snowflake, "describe", FakeSnowflake.describe)
    return fake


@pytest.fixture
def no_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("SNOWFLAKE_USER", "SNOWFLAKE_AUTHENTICATOR", "SNOWFLAKE_DEFAULT_CONNECTION_NAME"):
        monkeypatch.delenv(variable, raising=False)


def given(**changes: Any) -> dict[str, Any]:
    """Return the properties that a program declares."""
    return {
        "workspace": WORKSPACE,
        "connection_name": "snowflake",
        "account": "globo",
        "host": "globo.snowflakecomputing.com",
        "port": 443.0,
        "protocol": "https",
        "warehouse": "IMPORT_WH",
        "role": "IMPORTER",
        "user": "IMPORTER",
        "sign_in": "key_pair",
        "secret_uri": "https://vault/secrets/snowflake-importer",
        "queries": {"raw_house_data": "SELECT * FROM raw;"},
        "managed_by_stack": "ai-platform/dev/snowflake",
        **changes,
    }


def declared(**changes: Any) -> dict[str, Any]:
    """Return the checked properties that a program declares, as Pulumi passes them on, without a change."""
    known = given(**changes)
    known["queries"] = {name: query.rstrip(";") for name, query in known["queries"].items()}
    result = PROVIDER.check(known, given(**changes))
    assert result.failures == []
    return result.inputs


def create(**changes: Any) -> dict[str, Any]:
    outs = PROVIDER.create(declared(**changes)).outs
    assert outs is not None
    return outs


def column(described: DescribedColumn) -> dict[str, Any]:
    return {"name": described.name, "type": type_text(described), "nullable": described.is_nullable}


def test_create_registers_the_target_without_a_credential(
    workspace: FakeWorkspace, server: FakeSnowflake
) -> None:
    result = PROVIDER.create(declared())

    assert result.id == ID
    properties = workspace.documents[CONNECTION]["properties"]
    assert properties["category"] == "Snowflake"
    assert properties["authType"] == "None"
    assert "credentials" not in properties
    target = SnowflakeTarget.from_metadata(properties["metadata"])
    assert target == server.targets[0]
    assert (target.port, target.secret_uri) == (443, "https://vault/secrets/snowflake-importer")


@pytest.mark.usefixtures("no_sign_in")
def test_refused_snowflake_category_falls_back_to_custom(workspace: FakeWorkspace) -> None:
    workspace.refused['"category": "Snowflake"'] = 400
    PROVIDER.create(declared())
    assert workspace.documents[CONNECTION]["properties"]["category"] == "CustomKeys"


def test_create_probes_each_query_and_records_its_columns(server: FakeSnowflake) -> None:
    outs = create()
    assert outs["columns"] == outs["observed_columns"] == {"raw_house_data": [column(PRICE)]}
    assert outs["probe"] == "ok"
    assert server.targets[0].role == "IMPORTER"
    assert server.closed == 1


def test_refused_query_registers_nothing(workspace: FakeWorkspace) -> None:
    with pytest.raises(ResourceError) as caught:
        create(queries={"raw_house_data": "SELECT * FROM raw", "other": "SELECT nope FROM raw"})
    assert str(caught.value) == (
        "connections/snowflake in workspace mlw: imports[other].query: "
        "Snowflake refuses the query: 904: invalid identifier 'NOPE'"
    )
    assert workspace.writes == []


def test_failed_sign_in_is_an_error_with_snowflakes_message(
    workspace: FakeWorkspace, server: FakeSnowflake
) -> None:
    server.problem = "cannot sign in to Snowflake: 250001: Incorrect username or password was specified."
    with pytest.raises(ResourceError, match="Incorrect username or password"):
        create()
    assert workspace.writes == []


@pytest.mark.usefixtures("no_sign_in")
def test_missing_sign_in_skips_the_probe_and_records_it(workspace: FakeWorkspace) -> None:
    outs = create()
    assert deployer_sign_in() is None
    assert (outs["columns"], outs["probe"]) == ({}, SKIPPED)
    assert CONNECTION in workspace.documents
    assert PROVIDER.diff(ID, PROVIDER.read(ID, outs).outs or {}, declared()).changes is False


def test_create_updates_an_existing_connection_with_its_mark(workspace: FakeWorkspace) -> None:
    create(warehouse="OTHER_WH")
    create()
    assert workspace.documents[CONNECTION]["properties"]["metadata"]["warehouse"] == "IMPORT_WH"


def test_read_after_create_shows_no_drift(workspace: FakeWorkspace) -> None:
    outs = create()
    workspace.documents[CONNECTION]["properties"]["metadata"]["ResourceId"] = "added by the service"

    result = PROVIDER.read(ID, outs)

    assert result.outs == outs
    assert result.inputs == declared()


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ([PRICE], [PRICE, STYLE]),
        ([PRICE, STYLE], [PRICE]),
        ([PRICE], [replace(PRICE, precision=14)]),
        ([PRICE], [replace(PRICE, is_nullable=False)]),
    ],
    ids=["appears", "goes", "changes-type", "changes-nullability"],
)
def test_changed_column_shows_after_a_refresh_and_an_update_records_it(
    server: FakeSnowflake, before: list[DescribedColumn], now: list[DescribedColumn]
) -> None:
    server.columns["SELECT * FROM raw"] = before
    outs = create()
    server.columns["SELECT * FROM raw"] = now

    refreshed = PROVIDER.read(ID, outs)
    assert refreshed.outs is not None
    assert refreshed.inputs is not None
    inputs = PROVIDER.check(refreshed.inputs, declared()).inputs

    assert PROVIDER.changes(refreshed.outs, inputs) == ["columns"]
    assert PROVIDER.diff(ID, refreshed.outs, inputs).replaces == []
    # what Pulumi prints is the difference between these two
    assert refreshed.inputs["columns"] == {"raw_house_data": list(map(column, before))}
    assert inputs["columns"] == {"raw_house_data": list(map(column, now))}

    updated = PROVIDER.update(ID, refreshed.outs, inputs).outs
    assert updated is not None
    assert updated["columns"] == {"raw_house_data": list(map(column, now))}
    assert PROVIDER.diff(ID, updated, declared()).changes is False


def test_query_that_fails_in_a_refresh_is_drift_and_no_error(server: FakeSnowflake) -> None:
    outs = create()
    server.columns.clear()
    live = PROVIDER.read(ID, outs).outs
    assert live is not None
    assert live["observed_columns"] == {}
    assert live["probe"].startswith("imports[raw_house_data].query: Snowflake refuses")
    assert PROVIDER.changes(live, declared()) == ["columns"]


def test_refresh_without_a_sign_in_keeps_the_recorded_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    outs = create()
    monkeypatch.delenv("SNOWFLAKE_USER")
    assert PROVIDER.read(ID, outs).outs == outs
    updated = PROVIDER.update(ID, outs, declared(warehouse="BIG_WH")).outs
    assert updated is not None
    assert updated["columns"] == outs["columns"]


def test_read_after_a_change_in_the_workspace_shows_it_as_drift(workspace: FakeWorkspace) -> None:
    outs = create()
    workspace.documents[CONNECTION]["properties"]["metadata"]["warehouse"] = "OTHER_WH"
    live = PROVIDER.read(ID, outs)
    assert PROVIDER.changes(live.outs or {}, declared()) == ["warehouse"]
    assert (live.inputs or {})["warehouse"] == "OTHER_WH"


def test_connection_with_broken_metadata_can_be_refreshed_updated_and_deleted(
    workspace: FakeWorkspace,
) -> None:
    outs = create()
    workspace.documents[CONNECTION]["properties"]["metadata"] = {"sign_in": "by fax"}

    live = PROVIDER.read(ID, outs).outs or {}
    assert PROVIDER.read(ID, live).outs == live
    diff = PROVIDER.diff(ID, live, declared())
    assert (diff.changes, diff.replaces) == (True, [])
    updated = PROVIDER.update(ID, live, declared()).outs or {}
    assert PROVIDER.diff(ID, updated, declared()).changes is False
    PROVIDER.delete(ID, updated)
    assert workspace.documents == {}


def test_read_of_a_deleted_connection_returns_no_id(workspace: FakeWorkspace) -> None:
    outs = create()
    workspace.documents.clear()
    result = PROVIDER.read(ID, outs)
    assert (result.id, result.outs) == (None, {})


def test_update_probes_the_new_query(workspace: FakeWorkspace, server: FakeSnowflake) -> None:
    outs = create()
    server.columns["SELECT style FROM raw"] = [STYLE]
    news = declared(queries={"raw_house_data": "SELECT style FROM raw"}, warehouse="BIG_WH")

    assert PROVIDER.changes(outs, news) == ["queries", "warehouse"]
    assert PROVIDER.diff(ID, outs, news).replaces == []
    updated = PROVIDER.update(ID, outs, news).outs

    assert updated is not None
    assert updated["columns"] == {"raw_house_data": [column(STYLE)]}
    assert workspace.documents[CONNECTION]["properties"]["metadata"]["warehouse"] == "BIG_WH"


def test_changed_name_replaces_the_connection() -> None:
    assert PROVIDER.diff(ID, declared(), declared(connection_name="other")).replaces == ["connection_name"]


def test_second_delete_does_nothing(workspace: FakeWorkspace) -> None:
    outs = create()
    PROVIDER.delete(ID, outs)
    assert workspace.documents == {}
    PROVIDER.delete(ID, outs)


@pytest.mark.parametrize("workspace_ref", [WORKSPACE, UNKNOWN], ids=["known", "first-preview"])
def test_check_of_a_refused_new_query_fails(workspace_ref: object) -> None:
    queries = {"raw_house_data": "SELECT * FROM raw;", "other": "SELECT nope FROM raw"}
    result = PROVIDER.check({}, given(workspace=workspace_ref, secret_uri=UNKNOWN, queries=queries))
    assert [failure.reason for failure in result.failures] == [
        "imports[other].query: Snowflake refuses the query: 904: invalid identifier 'NOPE'"
    ]


def test_check_of_a_query_with_a_type_that_parquet_does_not_have_fails(server: FakeSnowflake) -> None:
    server.columns["SELECT * FROM raw"] = [PRICE, DescribedColumn("RATE", SnowflakeType.DECFLOAT)]
    result = PROVIDER.check({}, given())
    assert [failure.reason for failure in result.failures] == [
        "imports[raw_house_data].query: column RATE has the type DECFLOAT, which Parquet does not have: "
        "cast it in the query to NUMBER(38,10), FLOAT or VARCHAR"
    ]


def test_check_of_decimal_names_a_column_that_the_query_lacks() -> None:
    result = PROVIDER.check({}, given(column_options={"raw_house_data": {"decimal": ["PRIZE"]}}))
    assert [failure.reason for failure in result.failures] == [
        "imports[raw_house_data].decimal: the query returns no column PRIZE; did you mean PRICE?"
    ]


def test_dropped_table_fails_its_own_import_only(server: FakeSnowflake) -> None:
    outs = create()
    del server.columns["SELECT * FROM raw"]
    server.columns["SELECT style FROM raw"] = [STYLE]
    queries = {"raw_house_data": "SELECT * FROM raw", "other": "SELECT style FROM raw"}

    result = PROVIDER.check(outs, given(queries=queries))
    updated = PROVIDER.update(ID, outs, declared(queries=queries)).outs or {}

    assert result.failures == []
    assert updated["columns"] == {"other": [column(STYLE)]}
    assert updated["probe"].startswith("imports[raw_house_data].query: Snowflake refuses the query")


def test_changed_role_that_cannot_run_a_query_fails(server: FakeSnowflake) -> None:
    outs = create()
    del server.columns["SELECT * FROM raw"]
    result = PROVIDER.check(outs, given(role="OTHER"))
    assert [failure.reason.partition(":")[0] for failure in result.failures] == [
        "imports[raw_house_data].query"
    ]
    with pytest.raises(Exception, match=r"imports\[raw_house_data\]\.query: Snowflake refuses"):
        PROVIDER.update(ID, outs, declared(role="OTHER"))


def test_check_of_an_unknown_role_fails(server: FakeSnowflake) -> None:
    old = declared()
    server.problem = "cannot sign in to Snowflake: 390189: Role 'NOSUCH' does not exist."
    result = PROVIDER.check(old, given(role="NOSUCH"))
    assert [failure.reason for failure in result.failures] == [server.problem]


def test_check_without_a_change_does_not_connect_to_snowflake(server: FakeSnowflake) -> None:
    PROVIDER.check(declared(), given())
    assert server.targets == []


def test_check_of_a_query_with_a_repeated_column_fails(server: FakeSnowflake) -> None:
    server.columns["SELECT price, price FROM raw"] = [PRICE, PRICE]
    result = PROVIDER.check({}, given(queries={"raw_house_data": "SELECT price, price FROM raw"}))
    assert [failure.reason for failure in result.failures] == [
        "imports[raw_house_data].query: the query returns column PRICE twice: give each its own alias"
    ]


def options(**changes: Any) -> dict[str, Any]:
    """Return the options of the import `raw_house_data` that are checked against its columns."""
    return {"raw_house_data": {"mode": "stream", **changes}}


def reasons(result: dynamic.CheckResult) -> list[str]:
    return [failure.reason for failure in result.failures]


@pytest.mark.parametrize(
    ("given_options", "expected"),
    [
        (
            {"contract": {"columns": {"PRCE": {"min": 1.0}, "style": {}}}},
            [
                "contract.columns.PRCE: the query returns no such column; did you mean PRICE?",
                "contract.columns.style: the query returns no such column; did you mean STYLE?",
            ],
        ),
        (
            {"incremental": {"column": "SEEN", "key": []}},
            ["incremental.column: the query returns no column SEEN; did you mean SEEN_AT?"],
        ),
        (
            {"curate": {"asset": "clean", "derive": {"X": {"expression": "prce * 2"}}}},
            ["curate.derive.X.expression: there is no clean column prce; did you mean PRICE?"],
        ),
    ],
    ids=["contract", "incremental", "curate"],
)
def test_check_of_an_option_with_an_unknown_column_fails(
    server: FakeSnowflake, given_options: dict[str, Any], expected: list[str]
) -> None:
    server.columns["SELECT * FROM raw"] = [PRICE, STYLE, SEEN_AT]

    result = PROVIDER.check({}, given(workspace=UNKNOWN, column_options=options(**given_options)))

    assert reasons(result) == [f"imports[raw_house_data].{line}" for line in expected]


def test_check_of_an_option_that_alone_has_changed_fails_without_recording_it(server: FakeSnowflake) -> None:
    outs = create()
    news = given(column_options=options(contract={"columns": {"STYLE": {}}}))

    assert reasons(PROVIDER.check(declared(), news)) == [
        "imports[raw_house_data].contract.columns.STYLE: the query returns no such column; "
        "the columns are PRICE"
    ]
    server.columns["SELECT * FROM raw"].append(STYLE)
    result = PROVIDER.check(declared(), news)
    assert result.failures == []
    # the schedule of the import shows the change; the connection stays as it is
    assert PROVIDER.diff(ID, outs, result.inputs).changes is False


@pytest.mark.usefixtures("no_sign_in")
def test_options_are_not_checked_without_a_sign_in() -> None:
    assert PROVIDER.check({}, given(column_options=options(contract={"columns": {"X": {}}}))).failures == []


def test_options_of_a_refused_query_are_not_checked() -> None:
    result = PROVIDER.check(
        {},
        given(
            queries={"raw_house_data": "SELECT nope FROM raw"},
            column_options=options(contract={"columns": {"X": {}}}),
        ),
    )
    assert len(result.failures) == 1


def test_read_after_create_returns_the_options_so_that_a_check_probes_nothing(server: FakeSnowflake) -> None:
    chosen = options(contract={"columns": {"PRICE": {"min": 1.0}}})
    read = PROVIDER.read(ID, create(column_options=chosen))
    server.targets.clear()

    assert PROVIDER.check(read.inputs or {}, given(column_options=chosen)).failures == []
    assert server.targets == []
