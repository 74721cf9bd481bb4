"""Time where the recipient is, over every IANA zone and both sides of every change of its clocks.

Quiet hours, days off, sends at a local time and calendar limits are asked about instants near the changes of each
zone (found from the zone itself) and about any other instant. The oracle looks at single instants only: what does the
wall clock show there?
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.periods import local_date, next_local, resolve, start_of_day
from messaging.gates._policy import Quiet
from messaging.gates.best_hour import goal
from messaging.gates.cap import _period as period_of
from messaging.gates.quiet_hours import end_of_quiet, is_day_off, next_open
from tests.conftest import PROVE

ZONES = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EXAMPLES = 20_000 if PROVE else 400
STEP = 1 if PROVE else 29  # every zone in the full run, about twenty in the quick one
often = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@lru_cache(maxsize=1024)
def changes(name: str) -> tuple[datetime, ...]:
    """The instants of five years at which the zone's clock jumps, to the minute."""
    tz, found = ZoneInfo(name), []
    at, offset = FIRST, FIRST.astimezone(tz).utcoffset()
    while at < LAST:
        later = at + 7 * DAY
        if later.astimezone(tz).utcoffset() != offset:
            low, high = at, later
            while high - low > MINUTE:
                middle = (low + (high - low) / 2).replace(second=0, microsecond=0)
                if middle.astimezone(tz).utcoffset() == offset:
                    low = middle
                else:
                    high = middle
            found.append(high)
            offset = later.astimezone(tz).utcoffset()
        at = later
    return tuple(found)


@st.composite
def moments(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone and an instant: near one of its changes where it has any, or anywhere."""
    name = draw(st.sampled_from(ZONES))
    near, close = changes(name), draw(st.integers(0, 1))
    if near and close:
        at = draw(st.sampled_from(near)) + timedelta(seconds=draw(st.integers(-2 * 86400, 2 * 86400)))
    else:
        at = FIRST + timedelta(seconds=draw(st.integers(0, int((LAST - FIRST).total_seconds()))))
    return ZoneInfo(name), at


walls = st.times().map(lambda one: one.replace(second=0, microsecond=0))
windows = st.tuples(walls, walls).filter(lambda pair: pair[0] != pair[1])


def quiet(at: datetime, window: tuple[time, time], tz: ZoneInfo) -> bool:
    """The oracle: whether a wall clock, looked at once, stands in the window."""
    wall, (start, end) = at.astimezone(tz).time(), window
    return start <= wall < end if start < end else wall >= start or wall < end


def longest(window: tuple[time, time]) -> timedelta:
    start, end = (timedelta(hours=one.hour, minutes=one.minute) for one in window)
    return (end - start) % DAY


# --- quiet hours ---


@often
@given(moments(), windows)
def test_a_message_is_held_if_and_only_if_it_is_quiet_and_until_it_no_longer_is(
    moment: tuple[ZoneInfo, datetime], window: tuple[time, time]
) -> None:
    tz, at = moment
    until = end_of_quiet(at, window, tz)
    assert (until is not None) == quiet(at, window, tz)
    if until is not None:
        assert at < until <= at + longest(window) + 26 * HOUR
        assert not quiet(until, window, tz)
        assert all(quiet(probe, window, tz) for probe in probes(at, until, tz)), "and not a minute too long"


def probes(at: datetime, until: datetime, tz: ZoneInfo) -> list[datetime]:
    """Instants of a hold at which an open minute might hide: its last second, and both sides of a leap forward in it.
    (A clock that goes back over the start of the window shows open minutes again; the night that has begun goes on.)"""
    edges = [change for change in changes(tz.key) if at < change < until and change.astimezone(tz).fold == 0]
    found = [until - timedelta(seconds=1), *edges, *(edge - timedelta(seconds=1) for edge in edges)]
    return [probe for probe in found if at <= probe and probe.astimezone(tz).fold == 0]


@often
@given(moments(), windows, st.sampled_from(["no_holidays", "working"]), st.sampled_from(["", "CN", "US", "SA"]))
def test_days_off_and_nights_together_end_on_an_open_minute(
    moment: tuple[ZoneInfo, datetime], window: tuple[time, time], days: str, country: str
) -> None:
    tz, at = moment
    rule = Quiet(window, days, country)
    until = next_open(at, rule, tz, country)
    shut = quiet(at, window, tz) or is_day_off(local_date(at, tz), rule, country)
    assert (until is not None) == shut
    if until is not None:
        assert at < until <= at + 15 * DAY
        assert not quiet(until, window, tz)
        assert not is_day_off(local_date(until, tz), rule, country)


@pytest.mark.parametrize("name", ZONES[::STEP])
def test_every_change_of_every_zone_minute_by_minute(name: str) -> None:
    """Around each change the night of 21 to 8, and windows that begin or end in the gap or the fold itself, are asked
    every quarter of an hour."""
    tz = ZoneInfo(name)
    for change in changes(name):
        jump = datetime.combine(date(2026, 1, 2), change.astimezone(tz).time().replace(second=0, microsecond=0))
        gap, fold, far = ((jump + offset).time() for offset in (-15 * MINUTE, 15 * MINUTE, -2 * HOUR))
        for window in ((time(21), time(8)), (far, gap), (gap, far), (far, fold), (fold, far), (jump.time(), far)):
            for quarter in range(-60, 60):
                at = change + quarter * 15 * MINUTE
                until = end_of_quiet(at, window, tz)
                assert (until is not None) == quiet(at, window, tz), (at, window)
                if until is not None:
                    assert until > at
                    assert not quiet(until, window, tz), (at, window, until)
                    assert all(quiet(probe, window, tz) for probe in probes(at, until, tz)), (at, window, until)


# --- sends at a local time ---


@often
@given(moments(), walls)
def test_a_local_time_comes_once_a_day_at_its_first_valid_minute(moment: tuple[ZoneInfo, datetime], wall: time) -> None:
    tz, at = moment
    first = next_local(at, wall, tz)
    assert at <= first <= at + 2 * DAY
    shown = first.astimezone(tz)
    if shown.time() == wall:
        assert shown.fold == 0 or shown.replace(fold=0).astimezone(UTC) < at, "of two the first"
        return
    before = (first - timedelta(seconds=1)).astimezone(tz)
    assert before.replace(tzinfo=None) < datetime.combine(before.date(), wall) or before.date() < shown.date()
    assert before.utcoffset() != shown.utcoffset(), "only a jump of the clock passes over a time of day"


@often
@given(moments(), st.integers(0, 23))
def test_the_best_hour_lies_within_a_day(moment: tuple[ZoneInfo, datetime], hour: int) -> None:
    tz, planned = moment
    target = goal(planned, time(hour), tz)
    assert planned <= target <= planned + DAY


# --- calendar limits ---


@often
@given(moments(), st.sampled_from(["day", "week", "month"]))
def test_periods_tile_time_without_gap_or_overlap(moment: tuple[ZoneInfo, datetime], period: str) -> None:
    """The instant lies in its period; the period is one everywhere inside; the next begins where it ends."""
    tz, at = moment
    start, end = period_of(period, tz.key, at)
    assert start <= at < end
    for inside in (start, start + (end - start) / 3, end - timedelta(microseconds=1)):
        assert period_of(period, tz.key, inside) == (start, end)
    assert period_of(period, tz.key, end)[0] == end
    assert period_of(period, tz.key, start - timedelta(microseconds=1))[1] == start


@often
@given(moments(), moments(), st.sampled_from(["day", "week", "month"]))
def test_two_sends_count_together_exactly_when_the_recipients_calendar_says_so(
    one: tuple[ZoneInfo, datetime], other: tuple[ZoneInfo, datetime], period: str
) -> None:
    tz, first = one
    second = first + (other[1] - FIRST) % (40 * DAY)

    def page(at: datetime) -> tuple[int, ...]:
        day = local_date(at, tz)
        return {"day": (day.toordinal(),), "week": day.isocalendar()[:2], "month": (day.year, day.month)}[period]

    together = period_of(period, tz.key, first) == period_of(period, tz.key, second)
    assert together == (page(first) == page(second))


@pytest.mark.parametrize("name", ZONES[::STEP])
def test_each_local_day_is_one_period_over_every_change(name: str) -> None:
    tz = ZoneInfo(name)
    for change in changes(name):
        day = local_date(change, tz)
        for near in (day - DAY, day, day + DAY):
            start = start_of_day(near, tz)
            if local_date(start, tz) != near:
                continue  # the date line moved: this day did not occur
            assert local_date(start - timedelta(seconds=1), tz) < near
            assert period_of("day", name, start)[0] == start == resolve(datetime.combine(near, time.min), tz)
