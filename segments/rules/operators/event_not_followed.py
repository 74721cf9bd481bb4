"""Somebody did one thing, and what should have followed did not."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from pydantic import Field, model_validator

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._facts import facts_of
from segments.rules.operators._properties import Where, say_where
from segments.rules.operators._words import Days, Text, say_days, say_window


class EventNotFollowedParams(Params):
    """`event` without `then` in the `within_days` after it, once these are over; without them, until now.

    `days`: the event lies in the last days.
    """

    event: Text
    then: Text
    within_days: Days | None = None
    days: Days | None = None
    event_where: Where = Field(default_factory=dict)
    then_where: Where = Field(default_factory=dict)

    @model_validator(mode="after")
    def _leaves_time(self) -> EventNotFollowedParams:
        if self.days is not None and self.within_days is not None and self.days <= self.within_days:
            raise ValueError("days must be more than within_days, or nobody has had the time")
        return self


@operators.register("event_not_followed")
class EventNotFollowed(Operator[EventNotFollowedParams]):
    """At least one such event stands without its sequel: a basket left, a trial not begun."""

    key = "event_not_followed"
    family = "behaviour"
    Params = EventNotFollowedParams

    def q(self, params: EventNotFollowedParams, at: At) -> Q:
        last = at.now - timedelta(days=params.within_days or 0)
        rows = facts_of(params.event, params.event_where).filter(occurred_at__lte=last)
        if params.days is not None:
            rows = rows.filter(occurred_at__gt=at.now - timedelta(days=params.days))
        sequel = facts_of(params.then, params.then_where).filter(
            profile=OuterRef("profile"), occurred_at__gt=OuterRef("occurred_at"), occurred_at__lte=at.now
        )
        if params.within_days is not None:
            width = timedelta(days=params.within_days)
            sequel = sequel.filter(occurred_at__lte=OuterRef("occurred_at") + width)
        return has(rows.filter(~Exists(sequel)), at.among)

    def say(self, params: EventNotFollowedParams, language: str) -> str:
        one = f"“{params.event}”{say_where(params.event_where, language)}"
        two = f"“{params.then}”{say_where(params.then_where, language)}"
        window = "" if params.days is None else say_window(params.days, language)
        near = say("since", "至今", language)
        if params.within_days is not None:
            days = say_days(params.within_days, language)
            near = say(f"within {days}", f" {days}内", language)
        english = " ".join(filter(None, [f"did {one}", window, f"and did not do {two} {near}"]))
        return say(english, f"{window}做过{one}，之后{near}未做{two}", language)

    def blank(self, params: EventNotFollowedParams) -> bool | None:
        return False

    def reads(self, params: EventNotFollowedParams) -> Reads:
        one, both = frozenset({params.event}), frozenset({params.event, params.then})
        edges = [Edge(timedelta(days=width), one) for width in (params.within_days, params.days) if width is not None]
        if params.within_days is None:
            edges.append(Edge(timedelta(0), both))  # either counts when it comes due
        return Reads(facts=both, windows=tuple(edges))
