"""Go on only between certain hours of certain days where the person lives; whoever comes outside waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, model_validator

from campaigns.steps import Go, Place, Result, Stay, Step, Walker, steps
from campaigns.steps._words import DAYS, day_names
from common.params import Params
from common.periods import local_date, resolve, zone
from common.text import say


class TimeWindowParams(Params):
    """From `from` until before `to` (past midnight when that is no later), on `days` (1 is Monday; those on which the
    window opens), in the zone of the `recipient` (the workspace's when unknown) or of the `workspace`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    opens: time = Field(default=time(9), alias="from")
    closes: time = Field(default=time(21), alias="to")
    days: tuple[int, ...] = Field(default=DAYS, min_length=1, max_length=7)
    zone: Literal["recipient", "workspace"] = "recipient"

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if not set(self.days) <= set(DAYS):
            raise ValueError(say("days are numbers from 1, Monday, to 7", "星期须为 1（周一）至 7 的数字"))
        if self.opens.tzinfo or self.closes.tzinfo:
            raise ValueError(say("hours are wall times without a zone", "时间须为不含时区的当地时间"))
        return self


@steps.register("time_window")
class TimeWindow(Step[TimeWindowParams]):
    key: ClassVar[str] = "time_window"
    Params = TimeWindowParams

    def decide(
        self, group: Sequence[Walker], params: TimeWindowParams, place: Place, now: datetime
    ) -> Mapping[int, Result]:
        """Asked again on waking: whoever is woken late, after the window has closed, waits for the next one."""
        return {w.enrolment: _result(next_open(now, params, _zone(w, params, place)), now) for w in group}

    def longest(self, params: TimeWindowParams) -> timedelta:
        return timedelta(days=7)

    def say(self, params: TimeWindowParams, language: str) -> str:
        hours = f"{params.opens:%H:%M}–{params.closes:%H:%M}"
        days = day_names(params.days, language)
        return say(f"Only {days}, {hours}", f"仅在{days} {hours}", language)


def next_open(at: datetime, params: TimeWindowParams, tz: ZoneInfo) -> datetime:
    """`at` when the window is open then, else the moment at which it next opens."""
    today = local_date(at, tz)
    past_midnight = timedelta(days=params.closes <= params.opens)
    for n in range(-1, 9):
        day = today + timedelta(days=n)
        if day.isoweekday() not in params.days:
            continue
        opens = resolve(datetime.combine(day, params.opens), tz)
        if opens > at:
            return opens
        if at < resolve(datetime.combine(day + past_midnight, params.closes), tz):
            return at
    raise AssertionError("a window opens in every week")


def _result(opens: datetime, now: datetime) -> Result:
    return Go() if opens <= now else Stay(opens)


def _zone(walker: Walker, params: TimeWindowParams, place: Place) -> ZoneInfo:
    name = walker.timezone if params.zone == "recipient" else ""
    return zone(name or place.zone, fallback=place.zone)
