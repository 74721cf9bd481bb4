"""When a fact happened, as far as its sender can be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from segments.ingest.limits import Refused

AHEAD = timedelta(minutes=5)
OLD = timedelta(days=30)
LATENCY = timedelta(seconds=5)  # a shorter difference is the way here, not the clock
FLOOR = datetime(1990, 1, 1, tzinfo=UTC)
FUTURE, ANCIENT, ABSURD, ZONELESS = "future", "old", "absurd", "zoneless"
NOT_LIVE = frozenset({FUTURE, ANCIENT, ABSURD})


def parse_time(value: Any, path: str) -> tuple[datetime | None, bool]:
    """An ISO 8601 time in UTC (a bare one is taken as UTC) and whether it was bare; None lies outside the calendar.

    Raises Refused when the value is no time at all.
    """
    if not isinstance(value, str):
        raise Refused("bad_timestamp", path, "a time is ISO 8601 text")
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        raise Refused("bad_timestamp", path, f"'{value[:40]}' is not an ISO 8601 time") from None
    try:
        if at.tzinfo is UTC:
            return at, False
        return (at.replace(tzinfo=UTC), True) if at.tzinfo is None else (at.astimezone(UTC), False)
    except OverflowError:
        return None, False


def skew_of(sent_at: Any, now: datetime) -> timedelta:
    """How much the sender's clock is behind ours: received minus sent. A missing or unreadable one says nothing."""
    try:
        sent, _ = parse_time(sent_at, "sentAt")
    except Refused:
        return timedelta(0)
    skew = timedelta(0) if sent is None or sent < FLOOR else now - sent
    return skew if abs(skew) > LATENCY else timedelta(0)


def place(at: datetime | None, *, now: datetime, skew: timedelta = timedelta(0)) -> tuple[datetime, str]:
    """The time to store and its flag ("", "future", "old", "absurd").

    After the correction by skew: more than 5 minutes ahead becomes the received time; more than 30 days back is
    kept; before 1990 or outside the calendar becomes the received time. Flagged facts start nothing.
    """
    if at is None:
        return now, ABSURD
    try:
        at = at + skew
    except OverflowError:
        return now, ABSURD
    if at > now + AHEAD:
        return now, FUTURE
    if at < FLOOR:
        return now, ABSURD
    return (at, ANCIENT) if at < now - OLD else (at, "")
