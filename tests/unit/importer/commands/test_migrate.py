"""`importer migrate`: the settings and notes for the documents of Azure ML's own data import."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from importer.__main__ import app
from importer.commands.migrate import migrate
from importer.commands.migrate.documents import Trigger
from importer.commands.migrate.snowflake_address import read_address
from importer.commands.migrate.timing import read_timing
from stacks.settings.explain import SettingsError
from stacks.settings.load import load
from stacks.settings.stack import Settings
from tests.unit.stacks.stack_config import IMAGE

HERE = Path(__file__).parent / "migrate"
CONNECTION, IMPORT = HERE / "connection.yml", HERE / "import.yml"
CANARY = "canary-7f3a"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
TARGET = "jdbc:snowflake://globo-prod.snowflakecomputing.com/?db=A&warehouse=WH&role=R"


def migrated(*files: Path) -> str:
    text, problem = migrate(files, with_workspace=False)
    assert problem is None
    return text


def loaded(text: str) -> Settings:
    """Return the settings of a stack that has what `migrate` printed."""
    return load(
        {
            "ai-platform:name": "globodev",
            "ai-platform:location": "westeurope",
            "ai-platform:importerImage": IMAGE,
            **{key: json.dumps(value) for key, value in yaml.safe_load(text)["config"].items()},
        }
    )


def notes(text: str) -> list[str]:
    return [line.strip("# -") for line in text.splitlines() if line.lstrip().startswith("#")]


def write(path: Path, content: object) -> Path:
    path.write_text(yaml.safe_dump(content))
    return path


def connection(name: str, target: str = TARGET) -> dict[str, Any]:
    return {"type": "snowflake", "name": name, "target": target}


def data_import(name: str = "sales", query: str = "select 1", **changes: Any) -> dict[str, Any]:
    source = {"type": "database", "query": query, "connection": "azureml:estates"}
    return {"type": "mltable", "name": name, "source": source, **changes}


def scheduled(expression: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"name": "s", "trigger": {"type": "cron", "expression": expression}, "import_data": data}


def test_connection_imports_and_schedules_become_settings_that_load() -> None:
    text = migrated(CONNECTION, IMPORT, HERE / "schedule_of_file.yml", HERE / "schedule_inline.yml")
    settings = loaded(text)
    snowflake = settings.snowflake
    assert (snowflake.account, snowflake.host) == ("globo-prod", None)
    assert (snowflake.warehouse, snowflake.role) == ("LOAD_WH", "LOADER")
    sales, agents = settings.imports
    assert (sales.name, sales.schedule, sales.time_zone) == (
        "house_sales",
        "30 4,16 * * *",
        "Central Standard Time",
    )
    assert sales.query == "select * from GLOBOREALTY.REAL_ESTATE.raw"
    assert (agents.name, agents.schedule, agents.time_zone) == ("agents_eu", "15 10 * * MON", "UTC")
    assert sales.enabled
    assert agents.enabled


def test_query_keeps_its_text_except_for_completed_table_names() -> None:
    (agents,) = loaded(migrated(CONNECTION, HERE / "schedule_inline.yml")).imports
    assert agents.query == (
        "with eu as (\n"
        "  select * from GLOBOREALTY.staff.agents -- by country\n"
        ")\n"
        "select eu.*, o.city from eu join GLOBOREALTY.REAL_ESTATE.offices o on o.id = eu.office"
    )


@pytest.mark.parametrize(
    ("query", "whole"),
    [
        ("select * from A.B.t", "select * from A.B.t"),
        ("select 1 from dual", "select 1 from dual"),
        (
            "select * from t where x in (select y from u)",
            "select * from A.P.t where x in (select y from A.P.u)",
        ),
        ('select * from "my t" union select * from t', 'select * from A.P."my t" union select * from A.P.t'),
        ("with t as (select * from t) select * from T", "with t as (select * from A.P.t) select * from T"),
        (
            "select f.value from t, lateral flatten(input => t.v) f, table(generator(rowcount => 1))",
            "select f.value from A.P.t, lateral flatten(input => t.v) f, table(generator(rowcount => 1))",
        ),
    ],
)
def test_tables_get_the_database_and_other_names_stay(tmp_path: Path, query: str, whole: str) -> None:
    target = TARGET + "&schema=P"
    files = [
        write(tmp_path / "c.yml", connection("estates", target)),
        write(tmp_path / "i.yml", data_import(query=query)),
    ]
    assert loaded(migrated(*files)).imports[0].query == whole


def test_what_has_no_equivalent_is_a_note() -> None:
    text = migrated(CONNECTION, IMPORT, HERE / "schedule_inline.yml")
    for note in (
        "its user and password are not migrated: Snowflake no longer accepts passwords of services",
        "added the connection's database GLOBOREALTY to tables without one, and its schema REAL_ESTATE",
        "it had no schedule: set one",
        "path azureml://datastores/workspaceblobstore/paths/estates/${{name}} has no equivalent",
        "no equivalent for its description",
        "asset Agents-EU becomes agents_eu",
        "cron 15 10 1 * MON: Azure ML ignored its day and month",
        "end_time 2999-12-31 00:00:00 has no equivalent",
    ):
        assert any(line.startswith(note) for line in notes(text)), note


def test_documents_that_cannot_be_migrated_are_listed_with_place_and_reason() -> None:
    text = migrated(CONNECTION, IMPORT, HERE / "others.yml")
    others = [line.partition(f"{HERE / 'others.yml'} ")[2] for line in notes(text) if "others.yml" in line]
    assert others == [
        "(document 6): a schedule, but not of an import",
        "(document 7): not a data import, import schedule or connection",
        "(document 2): connection ledger is of type azure_sql_db, not Snowflake",
        "(document 1): import photos: it reads files (source type file_system), not a query",
        "(document 3): import bookings: its connection ledger is of type azure_sql_db, not Snowflake",
        "(document 4): import valuations: it calls a stored procedure, and an import is one SELECT",
        "(document 5): import purge: expected one SELECT statement, not DELETE",
    ]
    assert [item.name for item in loaded(text).imports] == ["house_sales"]


def test_import_without_schedule_is_disabled_unless_a_schedule_imports_it_too() -> None:
    (by_hand,) = loaded(migrated(CONNECTION, IMPORT)).imports
    assert not by_hand.enabled
    text = migrated(CONNECTION, IMPORT, HERE / "schedule_of_file.yml")
    (item,) = loaded(text).imports
    assert item.enabled
    assert f"also in {IMPORT}" in notes(text)


def test_second_import_of_a_name_is_left_out_with_a_note(tmp_path: Path) -> None:
    first = write(tmp_path / "first.yml", scheduled("0 6 * * *", data_import()))
    second = write(tmp_path / "second.yml", scheduled("0 7 * * *", data_import()))
    text = migrated(CONNECTION, first, second)
    assert [item.schedule for item in loaded(text).imports] == ["0 6 * * *"]
    assert (
        f"{second}: import sales: sales is also in {first}, with a different query or schedule: "
        "rename one of them" in notes(text)
    )


def test_the_connection_that_most_imports_use_becomes_the_stacks(tmp_path: Path) -> None:
    def by(name: str, used: str) -> dict[str, Any]:
        return data_import(name, source={"type": "database", "query": "select 1", "connection": used})

    other_warehouse = "jdbc:snowflake://globo-prod.snowflakecomputing.com/?db=B&warehouse=WH2&role=R"
    other_account = "jdbc:snowflake://globo-test.snowflakecomputing.com/?db=B&warehouse=WH&role=R"
    documents = [
        connection("unused"),
        connection("small", other_warehouse),
        connection("test", other_account),
        connection("main"),
        *(by(f"main_{number}", "azureml:main") for number in range(2)),
        by("small_one", "azureml:small"),
        by("test_one", "azureml:test"),
    ]
    text = migrated(write(tmp_path / "all.yml", documents))  # as `az ml … list` prints
    settings = loaded(text)
    assert settings.snowflake.warehouse == "WH"
    assert [item.name for item in settings.imports] == ["main_0", "main_1", "small_one"]
    assert "ran in warehouse WH2, now runs in WH" in notes(text)
    assert any("import test_one: connection test reaches another account" in line for line in notes(text))
    assert "connection unused: no import uses it, and the stack has main" in notes(text)


def test_import_without_its_connection_leaves_settings_to_fill_in() -> None:
    text = migrated(IMPORT)
    assert yaml.safe_load(text)["config"]["ai-platform:snowflake"] == dict.fromkeys(
        ("account", "warehouse", "role")
    )
    with pytest.raises(
        SettingsError, match=r"ai-platform:snowflake\.account: Input should be a valid string"
    ):
        loaded(text)
    assert any("no connection to Snowflake was found" in line for line in notes(text))
    assert any(line.startswith("no database is known for RAW") for line in notes(text))


@pytest.mark.parametrize(
    ("trigger", "cron"),
    [
        ({"type": "cron", "expression": "0  6 * * 1-5"}, "0 6 * * 1-5"),
        ({"frequency": "day", "schedule": {"hours": [5, 4], "minutes": [30, 0]}}, "0,30 4,5 * * *"),
        (
            {"frequency": "week", "schedule": {"hours": 6, "minutes": 0, "week_days": ["sunday", "friday"]}},
            "0 6 * * 0,5",
        ),
        ({"frequency": "Week", "pattern": {"hours": 6, "minutes": 0, "weekdays": "Monday"}}, "0 6 * * 1"),
        ({"frequency": "hour", "start_time": "2023-01-01T10:05:00"}, "5 * * * *"),
        ({"frequency": "day", "start_time": "2023-01-01T10:05:00"}, "5 10 * * *"),
        ({"frequency": "week", "start_time": "2023-01-01T10:05:00"}, "5 10 * * 0"),
        (
            {
                "frequency": "day",
                "start_time": "2023-01-01T10:05:00",
                "schedule": {"hours": [], "minutes": []},
            },
            "5 10 * * *",
        ),
    ],
)
def test_trigger_becomes_a_cron_expression(trigger: dict[str, Any], cron: str) -> None:
    timing = read_timing(Trigger.model_validate({"type": "recurrence", **trigger}), True, NOW)
    assert timing == (cron, "UTC", True, [])


@pytest.mark.parametrize(
    ("trigger", "why"),
    [
        ({"type": "cron", "expression": "0 6 * *"}, "expected 5 fields"),
        ({"type": "cron", "expression": "0 6 * * *", "time_zone": "Mars"}, "not a time zone"),
        ({"frequency": "day", "interval": 2, "start_time": "2023-01-01T10:05:00"}, "every 2 days"),
        ({"frequency": "month", "schedule": {"hours": 6, "minutes": 0, "month_days": 1}}, "by the month"),
        ({"frequency": "month", "start_time": "2023-01-01T10:05:00"}, "by the month"),
        ({"frequency": "week", "schedule": {"hours": 6, "minutes": 0}}, "by the week"),
        ({"frequency": "day", "schedule": {"hours": 6}}, "has no hours or no minutes"),
        ({"frequency": "day", "schedule": {"hours": 25, "minutes": 0}}, "not a cron expression"),
        ({"frequency": "day"}, "the time at which it was created"),
        ({"frequency": "day", "start_time": "2023-01-01T10:05:00+02:00"}, "an offset from UTC"),
        ({"frequency": "minute", "start_time": "2023-01-01T10:05:00"}, "by the minute"),
    ],
)
def test_trigger_that_cron_cannot_express_disables_its_import(trigger: dict[str, Any], why: str) -> None:
    timing = read_timing(Trigger.model_validate({"type": "recurrence", **trigger}), True, NOW)
    (note,) = timing.notes
    assert note.startswith("its trigger has no equivalent: ")
    assert why in note
    assert not timing.enabled


@pytest.mark.parametrize(
    ("changes", "is_enabled", "enabled"),
    [
        ({"end_time": "2023-01-01T00:00:00"}, True, False),
        ({"end_time": "2026-11-24T09:00:00", "time_zone": "Tokyo Standard Time"}, True, True),
        ({"end_time": "2026-11-24T08:59:00", "time_zone": "Tokyo Standard Time"}, True, False),
        ({"start_time": "2999-01-01T00:00:00"}, True, True),
        ({}, False, False),
    ],
)
def test_schedule_that_has_ended_or_is_disabled_gives_a_disabled_import(
    changes: dict[str, str], is_enabled: bool, enabled: bool
) -> None:
    trigger = Trigger.model_validate({"type": "cron", "expression": "0 6 * * *", **changes})
    timing = read_timing(trigger, is_enabled, NOW)
    assert (timing.cron, timing.enabled, len(timing.notes)) == ("0 6 * * *", enabled, 1)


@pytest.mark.parametrize(
    ("target", "account", "host"),
    [
        ("jdbc:snowflake://globo-prod.snowflakecomputing.com/", "globo-prod", None),
        ("jdbc:snowflake://xy1.west-europe.azure.snowflakecomputing.com:443/", "xy1.west-europe.azure", None),
        (
            "jdbc:snowflake://xy1.west-europe.privatelink.snowflakecomputing.com",
            "xy1.west-europe",
            "xy1.west-europe.privatelink.snowflakecomputing.com",
        ),
        ("jdbc:snowflake://<myaccount>.snowflakecomputing.com/?db=<mydb>", None, None),
    ],
)
def test_account_and_host_are_read_from_the_target(
    target: str, account: str | None, host: str | None
) -> None:
    address = read_address(target)
    assert (address.account, address.host) == (account, host)


def test_placeholders_are_left_to_fill_in_and_a_missing_role_is_public() -> None:
    placeholder = read_address("jdbc:snowflake://<a>.snowflakecomputing.com/?db=<d>&warehouse=<w>&role=<r>")
    assert (placeholder.warehouse, placeholder.role, placeholder.database) == (None, None, None)
    assert placeholder.notes == ["fill in account, warehouse, role: its target has no readable value"]
    assert read_address("jdbc:snowflake://globo.snowflakecomputing.com/?warehouse=W").role == "PUBLIC"


@pytest.mark.parametrize(
    "content",
    [
        {"source": {"type": "parquet", "path": "x"}, "features": []},  # a feature set
        {"name": "index", "source": {"input_data": {"path": "x"}}},
        [[1]],
        "text",
    ],
)
def test_other_documents_are_listed_and_the_rest_is_migrated(tmp_path: Path, content: object) -> None:
    other = write(tmp_path / "other.yml", content)
    assert f"{other}: not a data import, import schedule or connection" in notes(migrated(other, CONNECTION))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"type: snowflake\nname: c\ncredentials: {{password: @{CANARY}}}", "invalid YAML at line 3"),
        (f"type: snowflake\nname: c\ncredentials: {{password: !{CANARY} x}}", "invalid YAML at line 3"),
        (f"type: snowflake\nname: c\ncredentials: {{password: *{CANARY}}}", "invalid YAML at line 3"),
        (f"type: snowflake\ntarget: x\ncredentials: {{password: {CANARY}}}", "name: Field required"),
        (f"{{name: c, type: snowflake, target: x, credentials: {CANARY}}}", "credentials: Input should be"),
        ("import_data: ./none.yml", "import_data: ./none.yml: cannot be read: No such file"),
        ("import_data: azureml:houses:1", "import_data refers to the workspace"),
        ("a: 2023-99-99", "invalid YAML"),
        ("\0", "invalid YAML"),
    ],
)
def test_broken_file_is_one_line_and_the_others_are_migrated(tmp_path: Path, text: str, reason: str) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(text)
    printed = CliRunner().invoke(app, ["migrate", str(broken), str(CONNECTION), str(IMPORT)])
    assert str(printed.exception) == f"cannot read {broken}: see the notes"
    assert CANARY not in printed.output
    (line,) = [line for line in notes(printed.output) if line.startswith(str(broken))]
    assert reason in line
    assert [item.name for item in loaded(printed.output).imports] == ["house_sales"]


@pytest.mark.parametrize(
    "target",
    [
        f"{TARGET}&user=u&password={CANARY}&{CANARY}=1",
        f"jdbc:snowflake://u:{CANARY}@globo.snowflakecomputing.com/?warehouse=W",
        f"jdbc:snowflake://globo.snowflakecomputing.com/?warehouse={CANARY}&role={CANARY}&db={CANARY}",
        f"https://globo.snowflakecomputing.com/?password={CANARY}",
        f"jdbc:snowflake://globo.snowflakecomputing.com:{CANARY}/",
        f"jdbc:snowflake://[{CANARY}/",
        f"jdbc:snowflake://{CANARY}/word@globo.snowflakecomputing.com/",
    ],
)
def test_no_secret_of_a_connection_is_printed(tmp_path: Path, target: str) -> None:
    document = connection("estates", target) | {
        "credentials": {"type": "username_password", "username": "u", "password": CANARY}
    }
    text = migrated(write(tmp_path / "c.yml", document), IMPORT, CONNECTION)
    assert CANARY not in text


def test_line_break_in_a_name_stays_inside_the_comment(tmp_path: Path) -> None:
    name = "a\nconfig: {ai-platform:name: mallory}\x07"
    text = migrated(CONNECTION, write(tmp_path / "i.yml", data_import(name, path=name)))
    assert loaded(text).name == "globodev"
    assert list(yaml.safe_load(text)) == ["config"]


def test_nothing_to_migrate_is_an_error(tmp_path: Path) -> None:
    assert "give YAML files" in str(CliRunner().invoke(app, ["migrate"]).exception)
    unknown = write(tmp_path / "unknown.yml", {"some": "thing"})
    assert migrate([unknown], with_workspace=False)[1] == "nothing could be migrated: see the notes"
