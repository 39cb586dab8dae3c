"""When an import ran, as the cron expression of this program's schedules."""

from datetime import UTC, datetime
from typing import NamedTuple, assert_never
from zoneinfo import ZoneInfo

from tzlocal.windows_tz import win_tz

from importer.commands.migrate.documents import Frequency, Pattern, Trigger
from importer.spec.schedule import check_cron, windows_time_zone

#: The schedule of an import whose trigger has no cron expression; the import is disabled.
_PLACEHOLDER = "0 6 * * *"
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


class Timing(NamedTuple):
    """When an import runs, and notes on what changes with its trigger."""

    cron: str
    time_zone: str
    enabled: bool
    notes: list[str]


def read_timing(trigger: Trigger | None, is_enabled: bool, now: datetime) -> Timing:
    """Return the timing of a trigger; disabled, with a note, if no cron expression has its times."""
    if trigger is None:
        why = "it had no schedule: set one and remove `enabled`, or start it with `importer run`"
        return Timing(_PLACEHOLDER, "UTC", False, [why])
    notes: list[str] = []
    try:
        zone = windows_time_zone(trigger.time_zone)
        cron = _cron(trigger, notes)
    except ValueError as error:
        why = f"its trigger has no equivalent: {error}; set `schedule` and `timeZone`, remove `enabled`"
        return Timing(_PLACEHOLDER, "UTC", False, [why])
    if not is_enabled:
        notes.append("the schedule was disabled, so the import is disabled")
    is_over = _is_before(trigger.end_time, zone, now)
    if is_over:
        notes.append(f"end_time {trigger.end_time} has passed, so the import is disabled")
    elif trigger.end_time is not None:
        notes.append(f"end_time {trigger.end_time} has no equivalent: set `enabled: false` at that time")
    if trigger.start_time is not None and not _is_before(trigger.start_time, zone, now):
        notes.append(
            f"start_time {trigger.start_time} has no equivalent: the first import runs with `pulumi up`"
        )
    return Timing(cron, zone, is_enabled and not is_over, notes)


def _is_before(time: datetime | None, windows_zone: str, now: datetime) -> bool:
    if time is None:
        return False
    return (time if time.tzinfo else time.replace(tzinfo=ZoneInfo(win_tz[windows_zone]))) < now.astimezone(
        UTC
    )


def _cron(trigger: Trigger, notes: list[str]) -> str:
    """Return the trigger as a cron expression; a ValueError says why that is impossible."""
    if trigger.type == "cron":
        return _cron_of_expression(trigger.expression or "", notes)
    if trigger.type != "recurrence":
        raise ValueError("it is neither a cron nor a recurrence")
    if trigger.interval != 1:
        raise ValueError(f"it fires every {trigger.interval} {trigger.frequency}s")
    frequency = _frequency(trigger)
    pattern = trigger.schedule
    # the client adds an empty pattern to a trigger without one
    if pattern is not None and (pattern.hours or pattern.minutes or pattern.week_days or pattern.month_days):
        return check_cron(_cron_of_pattern(frequency, pattern))
    return check_cron(_cron_of_start(frequency, trigger.start_time))


def _frequency(trigger: Trigger) -> Frequency:
    try:
        return Frequency(trigger.frequency or "")
    except ValueError:
        raise ValueError("its frequency is not minute, hour, day, week or month") from None


def _cron_of_expression(expression: str, notes: list[str]) -> str:
    """Return a cron expression as Azure ML ran it: without the day of the month and the month.

    https://learn.microsoft.com/azure/machine-learning/how-to-schedule-pipeline-job
    """
    fields = expression.split()
    if len(fields) == 5 and fields[2:4] != ["*", "*"]:
        notes.append(f"cron {expression}: Azure ML ignored its day and month, so they are * now")
        fields[2:4] = ["*", "*"]
    return check_cron(" ".join(fields))


def _cron_of_pattern(frequency: Frequency, pattern: Pattern) -> str:
    """Return the cron expression of a daily pattern (hours and minutes) or a weekly one (also weekdays).

    https://learn.microsoft.com/azure/machine-learning/reference-yaml-schedule
    """
    if not (pattern.hours and pattern.minutes):
        raise ValueError("its pattern has no hours or no minutes")
    times = f"{_joined(pattern.minutes)} {_joined(pattern.hours)}"
    match frequency:
        case Frequency.DAY if not (pattern.week_days or pattern.month_days):
            return f"{times} * * *"
        case Frequency.WEEK if pattern.week_days and not pattern.month_days:
            if any(day not in _DAYS for day in pattern.week_days):
                raise ValueError("its pattern has an unknown weekday")
            return f"{times} * * {_joined([_DAYS.index(day) for day in pattern.week_days])}"
        case Frequency.MINUTE | Frequency.HOUR | Frequency.DAY | Frequency.WEEK | Frequency.MONTH:
            raise ValueError(f"Azure ML's cron expressions cannot express its pattern by the {frequency}")
        case _:
            assert_never(frequency)


def _cron_of_start(frequency: Frequency, start: datetime | None) -> str:
    """Return the cron expression of a recurrence without a pattern, which repeats from its start time."""
    if start is None:
        raise ValueError("it repeats from the time at which it was created")
    if start.tzinfo is not None:
        raise ValueError("its start_time has an offset from UTC")
    match frequency:
        case Frequency.HOUR:
            return f"{start.minute} * * * *"
        case Frequency.DAY:
            return f"{start.minute} {start.hour} * * *"
        case Frequency.WEEK:
            return f"{start.minute} {start.hour} * * {start.isoweekday() % 7}"
        case Frequency.MINUTE | Frequency.MONTH:
            raise ValueError(f"it repeats by the {frequency}")
        case _:
            assert_never(frequency)


def _joined(numbers: list[int]) -> str:
    return ",".join(str(number) for number in sorted(set(numbers)))
