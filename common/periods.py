"""Calendar days, local wall times and windows, in the zone that owns them and never by adding 24 hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FALLBACK = "UTC"


def zone(name: str | None, *, fallback: str = FALLBACK) -> ZoneInfo:
    """The IANA zone of that name; an unknown or empty one falls back (one bad zone must not stop a send)."""
    try:
        return ZoneInfo(name or fallback)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(fallback)


def is_zone(name: str) -> bool:
    """Whether `name` is an IANA zone this machine knows."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def resolve(wall: datetime, tz: ZoneInfo) -> datetime:
    """The UTC instant of a naive wall time: a gap moves to its first valid minute, a fold takes the first."""
    first = wall.replace(tzinfo=tz, fold=0)
    instant = first.astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) == wall:
        return instant
    before, after = first.utcoffset(), wall.replace(tzinfo=tz, fold=1).utcoffset()
    assert before is not None
    assert after is not None
    probe = (wall - abs(after - before)).replace(tzinfo=tz)
    low, high = probe.astimezone(UTC), instant
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(tz).utcoffset() == low.astimezone(tz).utcoffset():
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def next_local(at: datetime, wall: time, tz: ZoneInfo) -> datetime:
    """The first instant at or after `at` whose local wall clock shows `wall`."""
    today = at.astimezone(tz).date()
    for day in (today, today + timedelta(days=1), today + timedelta(days=2)):
        instant = resolve(datetime.combine(day, wall), tz)
        if instant >= at:
            return instant
    raise AssertionError("a wall time occurs every day")


@lru_cache(maxsize=4096)  # everybody's next change falls on one of few days
def start_of_day(day: date, tz: ZoneInfo) -> datetime:
    """The UTC instant at which the local day begins."""
    return resolve(datetime.combine(day, time.min), tz)


def local_date(at: datetime, tz: ZoneInfo) -> date:
    return at.astimezone(tz).date()


@dataclass(frozen=True)
class Span:
    """A half-open stretch of time (start, end]; the facts of a rule's window lie in one."""

    start: datetime
    end: datetime

    @classmethod
    def last(cls, width: timedelta, now: datetime) -> Span:
        return cls(now - width, now)


def days_between(first: date, last: date) -> int:
    return (last - first).days
