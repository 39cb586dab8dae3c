"""The two alerts on an import: its last run failed; no run has succeeded for its last scheduled time.

Azure Monitor evaluates them on the records of runs, by the queries of `components/imports/import_alert.py`,
which have their numbers from here; `importer list` evaluates them on jobs.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from importer.spec.schedule import last_tick, version_of

#: How many days back an alert looks, which is the most that one can, and how often it is evaluated.
LOOK_BACK_DAYS = 2
FREQUENCY_MINUTES = 15

#: The titles of the alerts, with the import's name.
FAILED_TITLE = "Import {0} failed"
LATE_TITLE = "Import {0} is late"

#: The tags of a schedule that hold `late_after_minutes`, only if the import has alerts, and since when the
#: schedule has had its times.
LATE_TAG = "late_after_minutes"
SINCE_TAG = "scheduled_since"


class LateRule(NamedTuple):
    """When a scheduled time of an import counts as late: so long after it, unless it is before `since`."""

    late_after: timedelta
    since: datetime | None

    @classmethod
    def of(cls, tags: dict[str, str]) -> "LateRule | None":
        """Return the rule that the tags of a schedule hold; None if the import has no alerts."""
        try:
            since = datetime.fromisoformat(tags[SINCE_TAG]) if SINCE_TAG in tags else None
            return cls(timedelta(minutes=int(tags[LATE_TAG])), since)
        except (KeyError, ValueError):  # a person may have changed a tag
            return None

    def overdue(self, cron: str, time_zone: str, succeeded: Iterable[str], now: datetime) -> datetime | None:
        """Return the last time that is due, if none of the versions that `succeeded` is of it or later."""
        due = last_tick(cron, time_zone, now - self.late_after)
        first = max(now - timedelta(days=LOOK_BACK_DAYS), self.since or due)
        is_made = any(version >= version_of(due) for version in succeeded)
        return due if due >= first and not is_made else None
