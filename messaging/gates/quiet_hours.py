"""Nobody is woken: messages wait until the recipient's own morning."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import F

from common.periods import resolve, zone
from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.gates import _policy as policy


@gates.register("quiet_hours")
class QuietHoursGate(Gate):
    """Holds marketing and lifecycle messages during the quiet hours of their channel, read on the wall clock
    of the recipient's zone (the workspace's when none is known)."""

    key: ClassVar[str] = "quiet_hours"
    order: ClassVar[int] = 90
    classes: ClassVar[frozenset[str]] = frozenset({"lifecycle", "marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        return {"quiet_hours_zone": F("profile__timezone")}

    def prepare(self, now: datetime) -> tuple[Mapping[str, tuple[time, time]], str]:
        return policy.current().quiet, settings.WORKSPACE_ZONE

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        windows, fallback = prepared
        window = windows.get(row["channel"])
        if window is None:
            return None
        until = end_of_quiet(now, window, zone(row["quiet_hours_zone"] or fallback))
        return Verdict(Ruling.HOLD, "quiet_hours", until) if until else None


def end_of_quiet(now: datetime, window: tuple[time, time], tz: ZoneInfo) -> datetime | None:
    """The first instant after `now` outside the quiet window, or None when `now` is outside it.

    A window may span midnight. An end inside a gap moves to the gap's end; of an end that occurs twice the
    first one still ahead counts.
    """
    if not _is_quiet(now.astimezone(tz).time(), window):
        return None
    today = now.astimezone(tz).date()
    ends: set[datetime] = set()
    for day in (today, today + timedelta(days=1), today + timedelta(days=2)):
        wall = datetime.combine(day, window[1])
        ends |= {resolve(wall, tz), wall.replace(tzinfo=tz, fold=1).astimezone(UTC)}
    ahead = sorted(end for end in ends if end > now)
    return next((end for end in ahead if not _is_quiet(end.astimezone(tz).time(), window)), ahead[-1])


def _is_quiet(wall: time, window: tuple[time, time]) -> bool:
    start, end = window
    if start <= end:
        return start <= wall < end
    return wall >= start or wall < end
