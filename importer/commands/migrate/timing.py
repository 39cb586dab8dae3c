"""When an import ran, as the cron expression of this program's schedules."""

from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import win_tz

from importer.commands.migrate.documents import Pattern, Trigger
from importer.spec.schedule import check_cron, windows_time_zone

#: For an import whose times have no equal: it does not run by it, as it is disabled.
_PLACEHOLDER = "0 6 * * *"
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


class Timing(NamedTuple):
    """When an import runs, and what of its trigger is not the same any more."""

    cron: str
    time_zone: str
    enabled: bool
    notes: list[str]


def read_timing(trigger: Trigger | None, is_enabled: bool, now: datetime) -> Timing:
    """Return the timing of a trigger; where it has no equal, the import is disabled and a note says why."""
    if trigger is None:
        why = "it had no schedule: set one and remove `enabled`, or start it with `importer run`"
        return Timing(_PLACEHOLDER, "UTC", False, [why])
    notes: list[str] = []
    try:
        zone = windows_time_zone(trigger.time_zone)
        cron = _cron(trigger, notes)
    except ValueError as error:
        why = f"trigger has no equal: {error}; set `schedule` and `timeZone`, then remove `enabled`"
        return Timing(_PLACEHOLDER, "UTC", False, [why])
    if not is_enabled:
        notes.append("the schedule was disabled, and still is")
    is_over = _is_before(trigger.end_time, zone, now)
    if is_over:
        notes.append(f"end_time {trigger.end_time} has passed: disabled")
    elif trigger.end_time is not None:
        notes.append(f"end_time {trigger.end_time} has no equal: set `enabled: false` then")
    if trigger.start_time is not None and not _is_before(trigger.start_time, zone, now):
        notes.append(f"start_time {trigger.start_time} has no equal: the first import is with `pulumi up`")
    return Timing(cron, zone, is_enabled and not is_over, notes)


def _is_before(time: datetime | None, windows_zone: str, now: datetime) -> bool:
    if time is None:
        return False
    return (time if time.tzinfo else time.replace(tzinfo=ZoneInfo(win_tz[windows_zone]))) < now.astimezone(
        UTC
    )


def _cron(trigger: Trigger, notes: list[str]) -> str:
    """Return the trigger as a cron expression; a ValueError says why there is none."""
    if trigger.type == "cron":
        return _cron_of_expression(trigger.expression or "", notes)
    if trigger.type != "recurrence":
        raise ValueError("it is neither a cron nor a recurrence")
    if trigger.interval != 1:
        raise ValueError(f"it fires every {trigger.interval} {trigger.frequency}s")
    pattern = trigger.schedule
    # the client fills in an empty pattern where there is none
    if pattern is not None and (pattern.hours or pattern.minutes or pattern.week_days or pattern.month_days):
        return check_cron(_cron_of_pattern(trigger.frequency or "", pattern))
    return check_cron(_cron_of_start(trigger.frequency or "", trigger.start_time))


def _cron_of_expression(expression: str, notes: list[str]) -> str:
    """Return a cron expression as Azure ML ran it: it ignores the day of the month and the month.

    https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job
    """
    fields = expression.split()
    if len(fields) == 5 and fields[2:4] != ["*", "*"]:
        notes.append(f"cron {expression}: Azure ML ignored its day and month, so they are * now")
        fields[2:4] = ["*", "*"]
    return check_cron(" ".join(fields))


def _cron_of_pattern(frequency: str, pattern: Pattern) -> str:
    """Return the cron expression of a pattern: one by the day has hours and minutes, by the week also days.

    https://learn.microsoft.com/azure/machine-learning/reference-yaml-schedule
    """
    if not (pattern.hours and pattern.minutes):
        raise ValueError("its pattern names no hours or no minutes")
    times = f"{_joined(pattern.minutes)} {_joined(pattern.hours)}"
    if frequency == "day" and not (pattern.week_days or pattern.month_days):
        return f"{times} * * *"
    if frequency == "week" and pattern.week_days and not pattern.month_days:
        unknown = [day for day in pattern.week_days if day not in _DAYS]
        if unknown:
            raise ValueError("its pattern has a weekday that is none")
        return f"{times} * * {_joined([_DAYS.index(day) for day in pattern.week_days])}"
    raise ValueError(f"no cron expression of Azure ML's has the times of its pattern by the {frequency}")


def _cron_of_start(frequency: str, start: datetime | None) -> str:
    """Return the cron expression of a recurrence without a pattern, which goes by its start alone."""
    if start is None:
        raise ValueError("it goes by the time at which it was created")
    if start.tzinfo is not None:
        raise ValueError("its start_time has an offset from UTC")
    match frequency:
        case "hour":
            return f"{start.minute} * * * *"
        case "day":
            return f"{start.minute} {start.hour} * * *"
        case "week":
            return f"{start.minute} {start.hour} * * {start.isoweekday() % 7}"
    raise ValueError(f"it fires by the {frequency}")


def _joined(numbers: list[int]) -> str:
    return ",".join(str(number) for number in sorted(set(numbers)))
