"""Wait for a time: a duration, then a wall-clock time, a day of the week, or a day that is said of the person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, model_validator

from campaigns.steps import Go, Place, Result, Stay, Step, Walker, steps
from campaigns.steps._pace import scaled
from campaigns.steps._words import day_names
from common.params import Duration, Params, format_duration
from common.periods import local_date, next_local, resolve, zone
from common.text import say
from segments.trait_dates import day_of, days_of, next_anniversary, shifted

YEAR = timedelta(days=366)


class WaitParams(Params):
    """`for` a duration (at the installation's pace), then `until` the next such wall time, in the zone of the
    `recipient` (the workspace's when unknown) or of the `workspace`.

    With `weekday` (1 is Monday) until that time of the next such day; with `date` until that time, `offset` days after
    (before, when negative) the day that the trait of this name says, each year anew with `yearly`. The time is then
    midnight unless said. A day that is unknown or has passed leads out by the port "missed".
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    duration: Duration = Field(default=timedelta(0), alias="for", ge=timedelta(0))
    until: time | None = None
    weekday: int | None = Field(default=None, ge=1, le=7)
    date: str = Field(default="", max_length=64)
    offset: int = Field(default=0, ge=-3650, le=3650)
    yearly: bool = False
    zone: Literal["recipient", "workspace"] = "recipient"

    @model_validator(mode="after")
    def _waits(self) -> Self:
        if not (self.duration or self.until is not None or self.weekday or self.date):
            raise ValueError("say how long ('for') or until what time ('until') to wait")
        if self.until is not None and self.until.tzinfo is not None:
            raise ValueError("'until' is a wall time without a zone, such as 09:00")
        if self.weekday and self.date:
            raise ValueError(say("say either 'weekday' or 'date'", "'weekday' 与 'date' 只能填一项"))
        if (self.offset or self.yearly) and not self.date:
            raise ValueError(say("'offset' and 'yearly' go with 'date'", "'offset' 与 'yearly' 须与 'date' 同用"))
        return self


@steps.register("wait")
class Wait(Step[WaitParams]):
    key: ClassVar[str] = "wait"
    waits: ClassVar[bool] = True
    Params = WaitParams

    def ports(self, params: WaitParams) -> Sequence[str]:
        return ("next", "missed") if params.date else ("next",)

    def decide(self, group: Sequence[Walker], params: WaitParams, place: Place, now: datetime) -> Mapping[int, Result]:
        if params.date:
            said = days_of({w.profile for w in group}, params.date)
            return {w.enrolment: _by_date(w, said.get(w.profile), params, _zone(w, params, place), now) for w in group}
        at = now + scaled(params.duration)
        return {w.enrolment: Stay(_due(params, _zone(w, params, place), at)) if w.arrived else Go() for w in group}

    def longest(self, params: WaitParams) -> timedelta:
        more = YEAR if params.date else timedelta(days=7 if params.weekday else 1 if params.until is not None else 0)
        return scaled(params.duration) + more

    def say(self, params: WaitParams, language: str) -> str:
        parts = []
        if params.duration:
            span = format_duration(params.duration)
            parts.append(say(f"for {span}", span, language))
        until = " ".join(filter(None, (_day_said(params, language), f"{params.until:%H:%M}" if params.until else "")))
        if until:
            parts.append(say(f"until {until}", f"至 {until}", language))
        return say("Wait " + ", then ".join(parts), "等待 " + "，再".join(parts), language)


def _day_said(params: WaitParams, language: str) -> str:
    if params.weekday:
        return day_names([params.weekday], language)
    if not params.date:
        return ""
    more = f" {params.offset:+d}d" if params.offset else ""
    yearly = say(" (each year)", "（每年）", language) if params.yearly else ""
    return f"“{params.date}”{more}{yearly}"


def _due(params: WaitParams, tz: ZoneInfo, at: datetime) -> datetime:
    if params.until is None and params.weekday is None:
        return at
    at += timedelta(microseconds=1)  # strictly later, so that a loop at this very minute cannot turn twice
    due = next_local(at, params.until or time.min, tz)
    while params.weekday and local_date(due, tz).isoweekday() != params.weekday:
        due = next_local(due + timedelta(microseconds=1), params.until or time.min, tz)
    return due


def _by_date(walker: Walker, said: Any, params: WaitParams, tz: ZoneInfo, now: datetime) -> Result:
    """Asked again on waking: a day that was moved meanwhile is waited for anew."""
    first = walker.arrived_at + scaled(params.duration)
    day = day_of(said, tz)
    due = None if day is None else _instant(day, params, tz, first)
    if due is not None and due > now:
        return Stay(due)
    if due is None or walker.arrived:
        return Go("missed", reason="no such date" if day is None else "the date has passed")
    return Go()


def _instant(day: date, params: WaitParams, tz: ZoneInfo, first: datetime) -> datetime | None:
    """When to go on; with `yearly` the first time that is not before `first`."""
    wall = params.until or time.min
    for after in (local_date(first, tz), local_date(first, tz) + timedelta(days=1)):
        start = shifted(after, -params.offset)
        if params.yearly and start is None:
            return None
        target = shifted(next_anniversary(day, start) if params.yearly and start else day, params.offset)
        if target is None or not 1900 <= target.year <= 9000:
            return None
        due = resolve(datetime.combine(target, wall), tz)
        if due >= first or not params.yearly:
            return due
    return None


def _zone(walker: Walker, params: WaitParams, place: Place) -> ZoneInfo:
    name = walker.timezone if params.zone == "recipient" else ""
    return zone(name or place.zone, fallback=place.zone)
