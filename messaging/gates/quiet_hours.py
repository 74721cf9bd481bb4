"""Nobody is woken: messages wait until the recipient's own morning, and past days off."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import F

from common.periods import local_date, resolve, start_of_day, zone
from messaging.gates import Gate, Row, Ruling, Verdict, gates
from messaging.gates import _policy as policy
from messaging.gates._policy import ALL, SILENT, Quiet

MOST_DAYS = 60  # no calendar has more days off in a row
SATURDAY = 5


@gates.register("quiet_hours")
class QuietHoursGate(Gate):
    """Holds marketing and lifecycle messages during the quiet hours of their channel, read on the wall clock
    of the recipient's zone (the workspace's when none is known), and on days off where a rule says so."""

    key: ClassVar[str] = "quiet_hours"
    order: ClassVar[int] = 90
    classes: ClassVar[frozenset[str]] = frozenset({"lifecycle", "marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        return {"quiet_hours_zone": F("profile__timezone"), "quiet_hours_country": F("profile__country")}

    def prepare(self, now: datetime) -> tuple[Mapping[str, Quiet], str]:
        return policy.current().quiet, settings.WORKSPACE_ZONE

    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        rules, fallback = prepared
        channel = row["channel"]
        rule = rules.get(channel) or (rules.get(ALL) if channel not in SILENT else None)
        if rule is None:
            return None
        tz, country = zone(row["quiet_hours_zone"] or fallback), row["quiet_hours_country"]
        until = next_open(now, rule, tz, country)
        if until is None:
            return None
        day_off = is_day_off(local_date(now, tz), rule, country)
        return Verdict(Ruling.HOLD, "day_off" if day_off else "quiet_hours", until)


def next_open(now: datetime, rule: Quiet, tz: ZoneInfo, country: str = "") -> datetime | None:
    """The first instant after `now` outside the quiet window and on no day off, or None when `now` is one."""
    at = now
    for _ in range(MOST_DAYS):
        day = local_date(at, tz)
        if is_day_off(day, rule, country):
            at = start_of_day(day + timedelta(days=1), tz)
            continue
        until = end_of_quiet(at, rule.window, tz) if rule.window else None
        if until is None:
            break
        at = until
    return at if at > now else None


def is_day_off(day: date, rule: Quiet, country: str) -> bool:
    """Whether a rule keeps a local day free for people of a country.

    Working days are the country's, those on which China makes up for holidays too; a country whose calendar is not
    known has no holidays, and weekends of Saturday and Sunday.
    """
    if rule.days == "every":
        return False
    calendar = _calendar((rule.country or country).upper(), day.year)
    if rule.days == "no_holidays":
        return calendar is not None and day in calendar
    return day.weekday() >= SATURDAY if calendar is None else not calendar.is_working_day(day)


@lru_cache(maxsize=512)
def _calendar(country: str, year: int) -> Any:
    """The public holidays of a country's year, or None."""
    import holidays  # costs a tenth of a second: only who has such a rule pays

    try:
        return holidays.country_holidays(country, years=year) if country else None
    except NotImplementedError:
        return None


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
