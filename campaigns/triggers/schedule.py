"""Enter by the clock: once, or every day, week or month at a wall time, over the members of a segment."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext as _
from pydantic import Field, field_validator, model_validator

from campaigns.triggers import Trigger, triggers
from common.params import Params
from common.periods import is_zone, local_date, resolve, zone
from common.text import say
from segments.models import Segment

LOOK_BACK = {"day": 3, "week": 9, "month": 63}  # days that surely hold the latest slot
EVERY = {"day": ("every day", "每天"), "week": ("every week", "每周"), "month": ("every month", "每月")}


class ScheduleParams(Params):
    """`on` a date (once), or `every` day, week (on `weekday`, 1 is Monday) or month (on `day`; the last day of a
    shorter month), `at` a wall time in `zone` (the workspace's when empty)."""

    segment: str = Field(min_length=1, max_length=80)
    at: time
    on: date | None = None
    every: Literal["day", "week", "month"] | None = None
    weekday: int = Field(default=1, ge=1, le=7)
    day: int = Field(default=1, ge=1, le=31)
    zone: str = ""

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
        if value and not is_zone(value):
            raise ValueError(f"'{value}' is not a time zone")
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.on is None) == (self.every is None):
            raise ValueError("say either 'on' which day, or 'every' what")
        if self.at.tzinfo is not None:
            raise ValueError("'at' is a wall time without a zone, such as 10:00")
        return self


@triggers.register("schedule")
class Schedule(Trigger[ScheduleParams]):
    key: ClassVar[str] = "schedule"
    Params = ScheduleParams

    def slot(self, params: ScheduleParams, after: datetime | None, now: datetime) -> datetime | None:
        """The latest occurrence in (after, now]: a gap of the clock moves it, a fold takes the first."""
        tz = _zone(params)
        for day in _days(params, now, tz):
            instant = resolve(datetime.combine(day, params.at), tz)
            if instant <= now:
                return instant if after is None or instant > after else None
        return None

    def audience(self, params: ScheduleParams) -> str:
        return params.segment

    def say(self, params: ScheduleParams, language: str) -> str:
        clock = f"{params.at:%H:%M}"
        when = (f"on {params.on}", f"{params.on}") if params.on else EVERY[params.every or "day"]
        return say(
            f"For “{params.segment}”, {when[0]} at {clock}", f"{when[1]} {clock}，面向“{params.segment}”", language
        )

    def check(self, params: ScheduleParams) -> list[str]:
        if not Segment.objects.filter(key=params.segment).exclude(state="archived").exists():
            return [_("there is no segment '%(key)s'") % {"key": params.segment}]
        return []


def _zone(params: ScheduleParams) -> ZoneInfo:
    return zone(params.zone or settings.WORKSPACE_ZONE)


def _days(params: ScheduleParams, now: datetime, tz: ZoneInfo) -> list[date]:
    """Local days on which it may occur, latest first."""
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
