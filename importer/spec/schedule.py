"""When an import runs: a cron expression in a time zone, by the rules of Azure ML schedules."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from tzlocal.windows_tz import tz_win, win_tz

#: What Azure ML takes in each field that it looks at: its place, one value, and that value in words
#: (https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job).
_FIELDS = {
    "minute": (0, r"[0-5]?\d", "0 to 59"),
    "hour": (1, r"[01]?\d|2[0-3]", "0 to 23"),
    "weekday": (4, r"[0-6]|SUN|MON|TUE|WED|THU|FRI|SAT", "0 (Sunday) to 6, or SUN to SAT"),
}


def check_cron(expression: str) -> str:
    """Return `expression` with single spaces; a ValueError says why Azure ML would not run it.

    Azure ML ignores the fields for day of month and month, so anything but `*` there would fire at other
    times than it says. Of cron's dialects it has the plain one: no `L`, no `#`, and Sunday is not 7.
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
    for name, (place, value, words) in _FIELDS.items():
        term = rf"(\*|({value})(-({value}))?)(/\d+)?"
        if not re.fullmatch(rf"{term}(,{term})*", fields[place], re.IGNORECASE):
            raise ValueError(f"{name} {fields[place]}: Azure ML takes {words}, with * , - and / only")
    return " ".join(fields)


def windows_time_zone(name: str) -> str:
    """Return the Windows name (Azure ML wants it) of an IANA or Windows time zone; ValueError if neither."""
    if name in win_tz:
        return name
    if not name or name not in tz_win:  # tzlocal takes "" for Mexico's
        raise ValueError("not a time zone; expected a name such as Europe/Berlin or W. Europe Standard Time")
    return tz_win[name]


def next_tick(expression: str, time_zone: str, after: datetime) -> datetime:
    """Return the first time after `after` (aware) at which the cron fires, in UTC; ValueError if none."""
    zone = ZoneInfo(win_tz[windows_time_zone(time_zone)])
    try:
        return next(CronSim(expression, after.astimezone(zone))).astimezone(UTC)
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"not a cron expression that ever fires: {error}") from None


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
