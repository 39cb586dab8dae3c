"""When an import counts as late."""

from datetime import UTC, datetime, timedelta

import pytest

from importer.spec.run_alerts import LATE_TAG, SINCE_TAG, LateRule

DUE = datetime(2026, 11, 28, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("cron", "now", "since", "succeeded", "is_overdue"),
    [
        ("0 6 * * *", DUE + HOUR, None, ["20261127T060000Z"], True),
        ("0 6 * * *", DUE + HOUR - timedelta(minutes=1), None, ["20261127T060000Z"], False),
        ("0 6 * * *", DUE + HOUR, None, ["20261128T060000Z"], False),
        ("0 6 * * *", DUE + HOUR, None, ["20261128T061500Z"], False),
        ("0 6 * * *", DUE + HOUR, DUE + timedelta(minutes=1), [], False),
        ("0 6 * * *", DUE + HOUR, DUE - HOUR, [], True),
        ("0 6 * * SAT", DUE + timedelta(days=2), None, [], True),
        ("0 6 * * SAT", DUE + timedelta(days=2, minutes=1), None, [], False),
    ],
)
def test_import_is_late_once_its_last_time_is_past_without_a_run_of_it(
    cron: str, now: datetime, since: datetime | None, succeeded: list[str], is_overdue: bool
) -> None:
    found = LateRule(HOUR, since).overdue(cron, "UTC", succeeded, now)
    assert found == (DUE if is_overdue else None)


def test_rule_comes_from_the_tags_of_the_schedule() -> None:
    since = {SINCE_TAG: "2026-11-24T05:00:00Z"}
    assert LateRule.of({LATE_TAG: "90", **since}) == (
        timedelta(minutes=90),
        datetime(2026, 11, 24, 5, tzinfo=UTC),
    )
    assert LateRule.of({LATE_TAG: "90"}) == (timedelta(minutes=90), None)
    assert LateRule.of(since) is None
    assert LateRule.of({LATE_TAG: "soon"}) is None
