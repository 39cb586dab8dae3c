"""The alerts on an import, and the queries that they run."""

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from cronsim import CronSim

from components.component import AzureArgs
from components.imports.import_alert import ImportAlert, ImportAlertArgs, cron_times, failed_query, late_query
from tools.declared import RESOURCES, Declared, declare

AZURE = AzureArgs(resource_group="rg-test", location="westeurope", tags={"stack": "test"})
LOG_ALERT = "azure-native:monitor:ScheduledQueryRule"
TABLE = "Imports_CL"


def declare_import_alert(**changes: Any) -> Declared:
    args: dict[str, Any] = {
        "azure": AZURE,
        "log_analytics_id": f"{RESOURCES}/obs-logs",
        "action_group_id": f"{RESOURCES}/alerts",
        "import_name": "houses",
        "table": TABLE,
        "cron": "30 6 * * MON",
        "time_zone": "Europe/Berlin",
        "late_after_minutes": 90,
        **changes,
    }
    return declare(lambda: ImportAlert("houses", ImportAlertArgs(**args)))


def test_import_gets_an_alert_on_failure_and_one_on_lateness() -> None:
    declared = declare_import_alert(scheduled_since="2026-11-24T05:00:00Z")
    queries = {r.name: r.inputs["criteria"]["allOf"][0]["query"] for r in declared.all(LOG_ALERT)}
    assert queries == {
        "houses-failed": failed_query(TABLE, "houses"),
        "houses-late": late_query(
            TABLE, "houses", "30 6 * * MON", "Europe/Berlin", 90, "2026-11-24T05:00:00Z"
        ),
    }
    for alert in declared.all(LOG_ALERT):
        assert alert.inputs["windowSize"] == "P2D"
        assert alert.inputs["autoMitigate"] is True
        assert alert.inputs["actions"] == {"actionGroups": [f"{RESOURCES}/alerts"]}
        (condition,) = alert.inputs["criteria"]["allOf"]
        assert (condition["operator"], condition["threshold"]) == ("GreaterThan", 0)


@pytest.mark.parametrize(
    ("time_zone", "zone"),
    [("Europe/Berlin", "Europe/Berlin"), ("W. Europe Standard Time", "Europe/Berlin"), ("UTC", "Etc/UTC")],
)
def test_late_query_computes_times_in_the_time_zone_of_the_schedule(time_zone: str, zone: str) -> None:
    query = late_query(TABLE, "houses", "30 6,18 * * 1-2", time_zone, 90, None)
    assert f'let zone = "{zone}";' in query
    assert "in (1, 2)" in query
    assert "dynamic([6, 18])" in query
    assert "dynamic([30])" in query
    assert "| where tick >= ago(2d) and tick <= ago(90m)" in query


def test_late_query_ignores_times_before_scheduled_since() -> None:
    query = late_query(TABLE, "houses", "0 6 * * *", "UTC", 60, "2026-11-24T05:00:00Z")
    assert "tick >= max_of(ago(2d), datetime(2026-11-24T05:00:00Z))" in query


@pytest.mark.parametrize(
    "cron",
    [
        "0 6 * * *",
        "*/15 * * * *",
        "30 6,18 * * 1-5",
        "5 4 * * SUN",
        "0 0 * * SUN",
        "59 23 * * SAT",
        "0 */5 * * 0,3",
        "7 7-9/2 * * *",
    ],
)
def test_cron_fires_at_every_combination_of_its_weekdays_hours_and_minutes(cron: str) -> None:
    weekdays, hours, minutes = cron_times(cron)
    start = datetime(2026, 11, 25)
    ticks = itertools.takewhile(
        lambda tick: tick < start + timedelta(weeks=1), CronSim(cron, start - timedelta(minutes=1))
    )
    week = (start + timedelta(minutes=minute) for minute in range(7 * 24 * 60))
    assert list(ticks) == [
        time
        for time in week
        if (time.isoweekday() % 7) in weekdays and time.hour in hours and time.minute in minutes
    ]
