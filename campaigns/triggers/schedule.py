"""Enter by the clock over the members of a segment: once, every day, week or month, or by a calendar's rule (RRULE)."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, rrule, rrulestr  # type: ignore[import-untyped]
from django.conf import settings
from django.utils.translation import gettext as _
from pydantic import Field, field_validator, model_validator

from campaigns.triggers import Trigger, triggers
from campaigns.triggers._local import FIRST, RECIPIENT, closes, moment_of, opens
from campaigns.triggers._segment import missing
from common.params import Params
from common.periods import is_zone, local_date, resolve, zone
from common.text import say

LOOK_BACK = {"day": 3, "week": 9, "month": 63}  # days that surely hold the latest slot
EVERY = {"day": ("every day", "每天"), "week": ("every week", "每周"), "month": ("every month", "每月")}


class ScheduleParams(Params):
    """`on` a date (once), or `every` day, week (on `weekday`, 1 is Monday) or month (on `day`; the last day of a
    shorter month), `at` a wall time in `zone` (the workspace's when empty; "recipient": where each person lives).

    With `rrule` (RFC 5545: "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH") `on` is the day from which it counts.
    """

    segment: str = Field(min_length=1, max_length=80)
    at: time
    on: date | None = None
    every: Literal["day", "week", "month"] | None = None
    weekday: int = Field(default=1, ge=1, le=7)
    day: int = Field(default=1, ge=1, le=31)
    zone: str = ""
    rrule: str = Field(default="", max_length=200)

    @field_validator("on")
    @classmethod
    def _plausible(cls, value: date | None) -> date | None:
        """A day at the very edge of the calendar has no instant in some zones."""
        if value is not None and not 2000 <= value.year <= 2100:
            raise ValueError(_("a day between 2000 and 2100, please"))
        return value

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        if value and value != RECIPIENT and not is_zone(value):
            raise ValueError(f"'{value}' is not a time zone")
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.on is None) == (self.every is None):
            raise ValueError("say either 'on' which day, or 'every' what")
        if self.at.tzinfo is not None:
            raise ValueError("'at' is a wall time without a zone, such as 10:00")
        if self.rrule and self.on is None:
            raise ValueError(say("'rrule' needs 'on', the day from which it counts", "'rrule' 须配 'on'，即起算日"))
        if self.rrule and _rule(self.rrule, self.on, self.at) is None:
            raise ValueError(
                say(
                    "'rrule' is no rule of days such as FREQ=WEEKLY;BYDAY=TU, or never comes true",
                    "'rrule' 不是按日的规则（如 FREQ=WEEKLY;BYDAY=TU），或永不成立",
                )
            )
        return self


@triggers.register("schedule")
class Schedule(Trigger[ScheduleParams]):
    key: ClassVar[str] = "schedule"
    broadcast: ClassVar[bool] = True
    Params = ScheduleParams

    def slot(self, params: ScheduleParams, after: datetime | None, now: datetime) -> datetime | None:
        """The latest occurrence in (after, now]: a gap of the clock moves it, a fold takes the first.

        One that comes to everybody where they live is open until it has come to the last; asking for it again is the
        same slot.
        """
        local = params.zone == RECIPIENT
        tz = FIRST if local else _zone(params)
        for day in _days(params, now, tz):
            instant = opens(day, params.at) if local else resolve(datetime.combine(day, params.at), tz)
            if instant <= now:
                over = closes(day, params.at) if local else instant
                return instant if after is None or over > after else None
        return None

    def moment(self, params: ScheduleParams, slot: datetime, timezone: str) -> datetime | None:
        return moment_of(slot, timezone) if params.zone == RECIPIENT else None

    def audience(self, params: ScheduleParams) -> str:
        return params.segment

    def say(self, params: ScheduleParams, language: str) -> str:
        clock = f"{params.at:%H:%M}"
        when = (f"on {params.on}", f"{params.on}") if params.on else EVERY[params.every or "day"]
        if params.rrule:
            when = (f"from {params.on} by {params.rrule}", f"自 {params.on} 起按 {params.rrule}")
        if params.zone == RECIPIENT:
            clock += say(" local time", "（当地时间）", language)
        return say(
            f"For “{params.segment}”, {when[0]} at {clock}", f"{when[1]} {clock}，面向“{params.segment}”", language
        )

    def check(self, params: ScheduleParams) -> list[str]:
        return missing(params.segment)


@lru_cache(maxsize=256)
def _rule(text: str, on: date | None, at: time) -> Any:
    """The rule read; None when it is none, asks for more than one time a day, or never comes true."""
    try:
        rule = rrulestr(text, dtstart=datetime.combine(on or date(2000, 1, 1), at.replace(tzinfo=None)))
        plain = isinstance(rule, rrule) and rule._freq <= DAILY and len(rule._timeset or ()) == 1
        return rule if plain and next(iter(rule), None) is not None else None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None


def _zone(params: ScheduleParams) -> ZoneInfo:
    return zone(params.zone or settings.WORKSPACE_ZONE)


def _days(params: ScheduleParams, now: datetime, tz: ZoneInfo) -> list[date]:
    """Local days on which it may occur, latest first."""
    if params.rrule:
        rule = _rule(params.rrule, params.on, params.at)
        last = rule.before(now.astimezone(tz).replace(tzinfo=None), inc=True) if rule else None
        return [last.date()] if last else []
    if params.on is not None:
        return [params.on]
    today = local_date(now, tz)
    near = [today - timedelta(days=n) for n in range(LOOK_BACK[params.every or "day"])]
    return [day for day in near if _falls_on(params, day)]


def _falls_on(params: ScheduleParams, day: date) -> bool:
    if params.every == "week":
        return day.isoweekday() == params.weekday
    if params.every == "month":
        last = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        return day.day == min(params.day, last.day)
    return True
