"""Days of a zone: every instant lies in exactly one of them, however long it is and whatever its midnight does."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.periods import is_zone, local_date, next_local, resolve, start_of_day, zone

ZONES = [
    "UTC", "Asia/Shanghai", "America/New_York", "Europe/Lisbon", "Australia/Lord_Howe", "America/Santiago",
    "Africa/Cairo", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Apia",
]  # fmt: skip
INSTANTS = st.integers(1_104_537_600, 2_051_222_400).map(lambda second: datetime.fromtimestamp(second, UTC))
DAY = timedelta(days=1)


@given(INSTANTS, st.sampled_from(ZONES))
def test_an_instant_lies_in_its_day_and_in_no_other(at: datetime, name: str) -> None:
    tz = ZoneInfo(name)
    day = local_date(at, tz)
    assert start_of_day(day, tz) <= at < start_of_day(day + DAY, tz)
    start = start_of_day(day, tz)
    assert local_date(start, tz) == day or name == "Pacific/Apia"  # which left out 30 December 2011
    assert local_date(start - timedelta(microseconds=1), tz) < day


@given(INSTANTS, st.sampled_from(ZONES), st.times().map(lambda wall: wall.replace(second=0, microsecond=0)))
def test_the_next_wall_time_is_ahead_and_within_two_days(at: datetime, name: str, wall: time) -> None:
    tz = ZoneInfo(name)
    found = next_local(at, wall, tz)
    assert at <= found <= at + 2 * DAY
    shown = found.astimezone(tz)
    missing = resolve(datetime.combine(shown.date(), wall), tz).astimezone(tz).time() != wall
    assert shown.time() == wall or missing


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23), ("America/New_York", date(2026, 11, 1), 25),
        ("Europe/Lisbon", date(2026, 3, 29), 23), ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("America/Santiago", date(2026, 9, 6), 23), ("America/Santiago", date(2026, 4, 4), 25),
        ("Asia/Shanghai", date(2026, 3, 8), 24), ("Pacific/Apia", date(2011, 12, 29), 24),
    ],
)  # fmt: skip
def test_days_are_as_long_as_they_are(name: str, day: date, hours: float) -> None:
    tz = ZoneInfo(name)
    after = day + DAY if name != "Pacific/Apia" else day + 2 * DAY
    assert start_of_day(after, tz) - start_of_day(day, tz) == timedelta(hours=hours)


def test_a_midnight_that_does_not_exist_is_the_first_minute_that_does() -> None:
    start = start_of_day(date(2026, 9, 6), ZoneInfo("America/Santiago"))
    assert start == datetime(2026, 9, 6, 4, tzinfo=UTC)
    assert start.astimezone(ZoneInfo("America/Santiago")).time() == time(1)


def test_an_unknown_zone_falls_back() -> None:
    assert [zone(name).key for name in ("Nowhere/Land", "", "../etc", "Asia/Shanghai")] == [
        "UTC", "UTC", "UTC", "Asia/Shanghai",
    ]  # fmt: skip
    assert not is_zone("Nowhere/Land")
