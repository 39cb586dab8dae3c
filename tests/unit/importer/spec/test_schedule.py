from datetime import UTC, datetime

import pytest

from importer.spec.schedule import (
    check_cron,
    is_older,
    last_tick,
    next_tick,
    parse_tick,
    version_of,
    version_order,
    windows_time_zone,
)


@pytest.mark.parametrize("expression", ["*/15 8-17/2 * * MON-FRI", "0,30 23 * * 0,3-6", "5/10 06 * * sun"])
def test_cron_that_azure_ml_supports_is_accepted(expression: str) -> None:
    assert check_cron(expression) == expression


def test_cron_expression_is_returned_with_single_spaces() -> None:
    assert check_cron(" 0  6 * *   1-5 ") == "0 6 * * 1-5"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("0 6 * *", "expected 5 fields"),
        ("0 6 * * * *", "expected 5 fields"),
        ("61 6 * * *", "not a cron expression"),
        ("0 6 31 2 *", "not a cron expression"),
        ("0 6 1 * *", "day and month must be"),
        ("0 6 * 1 *", "day and month must be"),
        ("0 6 * * 5#1", "weekday 5#1: Azure ML takes 0 \\(Sunday\\) to 6, or SUN to SAT, with"),
        ("0 6 * * 1,5L", "weekday 1,5L: Azure ML takes"),
        ("0 6 * * 7", "weekday 7: Azure ML takes"),
        ("0 6 * * 1-7", "weekday 1-7: Azure ML takes"),
    ],
)
def test_cron_that_azure_ml_would_not_run_as_written_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_cron(expression)


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("Europe/Berlin", "W. Europe Standard Time"),
        ("W. Europe Standard Time", "W. Europe Standard Time"),
        ("UTC", "UTC"),
    ],
)
def test_time_zone_is_returned_by_its_windows_name(name: str, windows: str) -> None:
    assert windows_time_zone(name) == windows


def test_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="not a time zone"):
        windows_time_zone("Europe/Atlantis")


@pytest.mark.parametrize(
    ("after", "tick"),
    [
        (datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 1, 10, 5, tzinfo=UTC)),
        (datetime(2026, 7, 10, tzinfo=UTC), datetime(2026, 7, 10, 4, tzinfo=UTC)),
        (datetime(2026, 7, 10, 4, tzinfo=UTC), datetime(2026, 7, 11, 4, tzinfo=UTC)),
    ],
    ids=["winter", "summer", "strictly-after"],
)
def test_next_tick_follows_daylight_saving_of_its_zone(after: datetime, tick: datetime) -> None:
    assert next_tick("0 6 * * *", "W. Europe Standard Time", after) == tick


@pytest.mark.parametrize(
    "text",
    ["20261123T060000Z", "2026-11-23T06:00:00Z", "2026-11-23T07:00:00+01:00", "2026-11-23T06:00:00.0000000Z"],
)
def test_every_form_of_a_scheduled_time_gives_the_same_version(text: str) -> None:
    assert version_of(parse_tick(text)) == "20261123T060000Z"


def test_scheduled_times_are_newer_than_versions_that_something_else_made() -> None:
    versions = ["20261123T060000Z", "9", "20251123T060000Z", "10", "first"]
    assert sorted(versions, key=version_order) == ["first", "9", "10", "20251123T060000Z", "20261123T060000Z"]
    assert is_older("9", "20251123T060000Z")
    assert not is_older("9", "9")


def test_next_tick_of_a_wrong_cron_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a cron expression: "):
        next_tick("0 6 * * 9", "UTC", datetime(2026, 1, 10, tzinfo=UTC))


def test_text_other_than_a_time_is_refused_as_a_tick() -> None:
    with pytest.raises(ValueError, match="expected a time such as"):
        parse_tick("yesterday")


@pytest.mark.parametrize(
    ("until", "last"),
    [
        (datetime(2026, 11, 28, 12, tzinfo=UTC), datetime(2026, 11, 28, 12, tzinfo=UTC)),
        (datetime(2026, 11, 28, 11, 59, 59, 999, tzinfo=UTC), datetime(2026, 11, 27, 12, tzinfo=UTC)),
    ],
)
def test_last_tick_is_the_newest_time_that_has_come(until: datetime, last: datetime) -> None:
    assert last_tick("0 6 * * *", "America/Chicago", until) == last
