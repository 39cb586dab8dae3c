"""When an import runs: a cron expression in a time zone, by the rules of Azure ML schedules."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from tzlocal.windows_tz import tz_win, win_tz


def check_cron(expression: str) -> str:
    """Return `expression` with single spaces; a ValueError says why Azure ML would not run it.

    Azure ML ignores the fields for day of month and month
    (https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job), so anything but `*`
    there would fire at other times than it says.
    """
    fields = expression.split()
    if len(fields) != 5:
        raise ValueError(f"expected 5 fields (minute hour day month weekday), not {len(fields)}")
    try:
        next(CronSim(expression, datetime.now(UTC)))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"not a cron expression that ever fires: {error}") from None
    if fields[2] != "*" or fields[3] != "*":
        raise ValueError("day and month must be *, as Azure ML ignores them")
    return " ".join(fields)


def windows_time_zone(name: str) -> str:
    """Return the Windows name (Azure ML wants it) of an IANA or Windows time zone; ValueError if neither."""
    if name in win_tz:
        return name
    if name not in tz_win:
        raise ValueError("not a time zone; expected a name such as Europe/Berlin or W. Europe Standard Time")
    return tz_win[name]


def next_tick(expression: str, time_zone: str, after: datetime) -> datetime:
    """Return the first time after `after` (aware) at which the cron fires, in UTC."""
    zone = ZoneInfo(win_tz[windows_time_zone(time_zone)])
    return next(CronSim(expression, after.astimezone(zone))).astimezone(UTC)


def parse_tick(text: str) -> datetime:
    """Return a scheduled time from ISO 8601 (in UTC where it names no zone) or from a version of it."""
    try:
        tick = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a time such as 2026-11-23T06:00:00Z") from None
    return tick if tick.tzinfo else tick.replace(tzinfo=UTC)


def version_of(tick: datetime) -> str:
    """Return the asset version of a scheduled time: `YYYYMMDDTHHMMSSZ` in UTC."""
    return tick.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
