"""When an import runs: a cron expression in a time zone, by the rules of Azure ML schedules."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from tzlocal.windows_tz import tz_win, win_tz

#: The fields that Azure ML reads: the place of each, a pattern of one value, and that value in words
#: (https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job).
_FIELDS = {
    "minute": (0, r"[0-5]?\d", "0 to 59"),
    "hour": (1, r"[01]?\d|2[0-3]", "0 to 23"),
    "weekday": (4, r"[0-6]|SUN|MON|TUE|WED|THU|FRI|SAT", "0 (Sunday) to 6, or SUN to SAT"),
}

#: The version of a scheduled time, see `version_of`.
_TICK = re.compile(r"\d{8}T\d{6}Z")


def check_cron(expression: str) -> str:
    """Return `expression` with single spaces; a ValueError says why Azure ML would not run it as written.

    Azure ML ignores the fields for day of month and month: only `*` there means what it says. It supports
    plain cron only: `L` and `#` are errors, and Sunday is 0.
    """
    fields = expression.split()
    if len(fields) != 5:
        raise ValueError(f"expected 5 fields (minute hour day month weekday), not {len(fields)}")
    try:
        next(CronSim(expression, datetime.now(UTC)))
    except CronSimError as error:
        raise ValueError(f"not a cron expression: {error}") from None
    except StopIteration:
        raise ValueError("the cron expression never fires") from None
    if fields[2] != "*" or fields[3] != "*":
        raise ValueError("day and month must be *, as Azure ML ignores them")
    for name, (place, value, words) in _FIELDS.items():
        term = rf"(\*|({value})(-({value}))?)(/\d+)?"
        if not re.fullmatch(rf"{term}(,{term})*", fields[place], re.IGNORECASE):
            raise ValueError(f"{name} {fields[place]}: Azure ML takes {words}, with * , - and / only")
    return " ".join(fields)


def windows_time_zone(name: str) -> str:
    """Return the Windows name, as Azure ML takes it, of an IANA or Windows time zone; else a ValueError."""
    if name in win_tz:
        return name
    if not name or name not in tz_win:  # tzlocal maps "" to a zone of Mexico
        raise ValueError("not a time zone; expected a name such as Europe/Berlin or W. Europe Standard Time")
    return tz_win[name]


def check_time_zone(name: str) -> str:
    """Return the IANA or Windows name of a time zone as it is; a ValueError if it is none."""
    windows_time_zone(name)
    return name


def next_tick(expression: str, time_zone: str, after: datetime) -> datetime:
    """Return the first time in UTC after `after` at which the cron fires; a ValueError if it never does."""
    return _tick(expression, time_zone, after)


def last_tick(expression: str, time_zone: str, until: datetime) -> datetime:
    """Return the last time in UTC until `until` at which the cron fired; a ValueError if it never did."""
    return _tick(expression, time_zone, until.replace(microsecond=0) + timedelta(seconds=1), reverse=True)


def _tick(expression: str, time_zone: str, start: datetime, *, reverse: bool = False) -> datetime:
    """Return the first time after `start` at which the cron fires, or the last one before it."""
    zone = ZoneInfo(win_tz[windows_time_zone(time_zone)])
    try:
        return next(CronSim(expression, start.astimezone(zone), reverse=reverse)).astimezone(UTC)
    except CronSimError as error:
        raise ValueError(f"not a cron expression: {error}") from None
    except StopIteration:
        raise ValueError("the cron expression never fires") from None


def parse_tick(text: str) -> datetime:
    """Return a scheduled time from ISO 8601, in UTC if it has no zone, or from the name of a version."""
    try:
        tick = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expected a time such as 2026-11-23T06:00:00Z") from None
    return tick if tick.tzinfo else tick.replace(tzinfo=UTC)


def version_order(version: str) -> tuple[bool, int, str]:
    """Return the key by which versions are sorted, oldest first.

    Scheduled times are newer than versions that something else made: those count up, as Azure ML does.
    """
    is_tick = _TICK.fullmatch(version) is not None
    return is_tick, int(version) if version.isdecimal() and not is_tick else 0, version


def is_older(version: str, other: str) -> bool:
    """Return whether a version is older than another."""
    return version_order(version) < version_order(other)


def version_of(tick: datetime) -> str:
    """Return the asset version of a scheduled time: `YYYYMMDDTHHMMSSZ` in UTC."""
    return tick.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
