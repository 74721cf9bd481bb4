"""When somebody did something for the first or the last time."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from django.db.models import Q
from pydantic import Field, model_validator

from common.params import Params
from common.periods import start_of_day
from common.text import say
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._facts import had_between, had_by
from segments.rules.operators._properties import Where, say_where
from segments.rules.operators._words import Days, Text, say_days

TICK = timedelta(microseconds=1)


class EventFirstLastParams(Params):
    """The first or last `event` lies within `days`, longer ago than `days`, or before or after a `day`."""

    event: Text
    which: Literal["first", "last"] = "last"
    op: Literal["within", "longer_ago", "before", "after"] = "within"
    days: Days | None = None
    day: Annotated[date, Field(ge=date(1900, 1, 1), le=date(2999, 12, 31))] | None = None
    where: Where = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> EventFirstLastParams:
        needed = "days" if self.op in ("within", "longer_ago") else "day"
        if getattr(self, needed) is None:
            raise ValueError(f"'{self.op}' needs {'days' if needed == 'days' else 'a date such as 2026-01-31'}")
        return self


@operators.register("event_first_last")
class EventFirstLast(Operator[EventFirstLastParams]):
    """Facts dated ahead do not count until they come due. Days roll to the second; a day is the workspace's day."""

    key = "event_first_last"
    family = "behaviour"
    Params = EventFirstLastParams

    def q(self, params: EventFirstLastParams, at: At) -> Q:
        old, recent = self._edges(params, at)
        had = had_by(params.event, params.where, old, at)
        lately = had_between(params.event, params.where, recent, at.now, at)
        late = params.op in ("within", "after")
        if params.which == "first":
            return lately & ~had if late else had
        return lately if late else had & ~lately

    def _edges(self, params: EventFirstLastParams, at: At) -> tuple[datetime, datetime]:
        """Until when a fact is old, and after when it is recent."""
        if params.days is not None and params.op in ("within", "longer_ago"):
            edge = at.now - timedelta(days=params.days)
            return edge, edge
        assert params.day is not None
        day = params.day + timedelta(days=1) if params.op == "after" else params.day
        edge = start_of_day(day, at.zone) - TICK
        return min(edge, at.now), edge

    def say(self, params: EventFirstLastParams, language: str) -> str:
        first, where = params.which == "first", say_where(params.where, language)
        days, day = say_days(params.days or 0, language), params.day
        english = {
            "within": f"within {days}",
            "longer_ago": f"{days} ago or longer",
            "before": f"before {day}",
            "after": f"after {day}",
        }[params.op]
        chinese = {
            "within": f"在最近 {days}内",
            "longer_ago": f"在至少 {days}前",
            "before": f"早于 {day}",
            "after": f"晚于 {day}",
        }[params.op]
        return say(f"{'first' if first else 'last'} did “{params.event}”{where} {english}",
                   f"{'首次' if first else '最近一次'}“{params.event}”{where} {chinese}", language)  # fmt: skip

    def blank(self, params: EventFirstLastParams) -> bool | None:
        return False

    def reads(self, params: EventFirstLastParams) -> Reads:
        facts = frozenset({params.event})
        width = params.days if params.days is not None and params.op in ("within", "longer_ago") else 0
        return Reads(facts=facts, windows=(Edge(timedelta(days=width), facts),))
