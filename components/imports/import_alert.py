"""Alerts on an import: its last run failed, or it is late."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pulumi
from cronsim import CronSim
from tzlocal.windows_tz import win_tz

from components.observability.log_alert import AlertArgs, add_log_alert
from importer.spec.run_alerts import FAILED_TITLE, FREQUENCY_MINUTES, LATE_TITLE, LOOK_BACK_DAYS
from importer.spec.run_record import FAILED, SUCCEEDED

_LOOK_BACK = f"P{LOOK_BACK_DAYS}D"
_FREQUENCY = f"PT{FREQUENCY_MINUTES}M"

#: A Sunday: the weekdays of KQL and of cron count from Sunday.
_START_OF_A_WEEK = datetime(2023, 1, 1)


@dataclass(kw_only=True)
class ImportAlertArgs(AlertArgs):
    """What the alerts on an import need from outside."""

    import_name: pulumi.Input[str]
    table: pulumi.Input[str]
    """The table with the outcome of each run: `Observability.imports_table`."""
    cron: pulumi.Input[str]
    time_zone: pulumi.Input[str]
    """An IANA or a Windows name."""
    late_after_minutes: pulumi.Input[int]
    """How long after its time an import may succeed: less than the two days that an alert looks back."""
    scheduled_since: pulumi.Input[str] | None = None
    """Since when the schedule has had its times (ISO 8601, UTC): earlier times do not count as late."""


class ImportAlert(pulumi.ComponentResource):
    """Two alerts on one import: its last run failed; no run has succeeded for its last scheduled time.

    The second alert also finds runs that never started: no schedule, no node, no image. An import that keeps
    failing sends one alert until a run succeeds. Both alerts look back two days only, so the alert on a
    weekly import ends two days after its time, even if the import still fails. When clocks change, the second
    alert may be false for an import in the hour that is skipped or repeated. A disabled import needs no
    alerts.
    """

    def __init__(self, name: str, args: ImportAlertArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("ai-platform:index:ImportAlert", name, None, opts)
        args = ImportAlertArgs.of(args)
        add_log_alert(
            f"{name}-failed",
            pulumi.Output.format(FAILED_TITLE, args.import_name),
            pulumi.Output.all(args.table, args.import_name).apply(lambda known: failed_query(*known)),
            args,
            self,
            frequency=_FREQUENCY,
            window=_LOOK_BACK,
            description="Its last run failed: `python -m importer list` shows where its log is.",
        )
        add_log_alert(
            f"{name}-late",
            pulumi.Output.format(LATE_TITLE, args.import_name),
            pulumi.Output.all(
                args.table,
                args.import_name,
                args.cron,
                args.time_zone,
                args.late_after_minutes,
                args.scheduled_since,
            ).apply(lambda known: late_query(*known)),
            args,
            self,
            frequency=_FREQUENCY,
            window=_LOOK_BACK,
            description="No run has succeeded for its last scheduled time: see `python -m importer list`.",
        )
        self.register_outputs({})


def failed_query(table: str, name: str) -> str:
    """Return a query that returns a row if the last run of an import failed."""
    return f"""{table}
| where Import == "{name}"
| summarize arg_max(TimeGenerated, Outcome, Version, Error)
| where Outcome == "{FAILED}\""""


def late_query(
    table: str, name: str, cron: str, time_zone: str, late_after_minutes: int, since: str | None
) -> str:
    """Return a query that returns a row if no run has succeeded for the last time that was due.

    A time counts as due `late_after_minutes` later. The query computes the times itself, in the schedule's
    time zone, because the alert cannot see the last run of a weekly import. KQL's dayofweek is a timespan
    since Sunday (https://learn.microsoft.com/kusto/query/dayofweek-function).
    """
    weekdays, hours, minutes = cron_times(cron)
    zone = win_tz.get(time_zone, time_zone)
    first = f"max_of(ago({LOOK_BACK_DAYS}d), datetime({since}))" if since else f"ago({LOOK_BACK_DAYS}d)"
    return f"""let zone = "{zone}";
let today = startofday(datetime_utc_to_local(now(), zone));
let due = toscalar(
    range back from 0 to {LOOK_BACK_DAYS + 1} step 1
    | extend day = today - back * 1d
    | where toint(dayofweek(day) / 1d) in ({_listed(weekdays)})
    | mv-expand hour = dynamic([{_listed(hours)}]) to typeof(int)
    | mv-expand minute = dynamic([{_listed(minutes)}]) to typeof(int)
    | extend tick = datetime_local_to_utc(day + hour * 1h + minute * 1m, zone)
    | where tick >= {first} and tick <= ago({late_after_minutes}m)
    | summarize max(tick));
{table}
| where Import == "{name}" and Outcome == "{SUCCEEDED}" and Scheduled >= due
| summarize Runs = count()
| where Runs == 0 and isnotnull(due)
| project Due = due"""


def cron_times(expression: str) -> tuple[list[int], list[int], list[int]]:
    """Return the weekdays (Sunday is 0), hours and minutes at which a cron expression fires.

    `check_cron` has accepted it, so day and month are `*`, and it fires at every combination of the three.
    """
    ticks = []
    for tick in CronSim(expression, _START_OF_A_WEEK - timedelta(minutes=1)):
        if tick >= _START_OF_A_WEEK + timedelta(weeks=1):
            break
        ticks.append(tick)
    return (
        sorted({tick.isoweekday() % 7 for tick in ticks}),
        sorted({tick.hour for tick in ticks}),
        sorted({tick.minute for tick in ticks}),
    )


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
