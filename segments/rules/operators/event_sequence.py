"""Somebody did one thing and then another, in this order."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from pydantic import Field

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._facts import facts_of
from segments.rules.operators._properties import Where, say_where
from segments.rules.operators._words import Days, Text, say_days, say_window, within


class EventSequenceParams(Params):
    """`first` and later `then`, at most `within_days` apart (any time without); `days`: then `then` lies in the
    last days."""

    first: Text
    then: Text
    within_days: Days | None = None
    days: Days | None = None
    first_where: Where = Field(default_factory=dict)
    then_where: Where = Field(default_factory=dict)


@operators.register("event_sequence")
class EventSequence(Operator[EventSequenceParams]):
    """By the time at which things occurred, not at which we heard of them; at the same instant is not later."""

    key = "event_sequence"
    family = "behaviour"
    Params = EventSequenceParams

    def q(self, params: EventSequenceParams, at: At) -> Q:
        rows = within(facts_of(params.then, params.then_where), "occurred_at", params.days, at)
        before = facts_of(params.first, params.first_where).filter(
            profile=OuterRef("profile"), occurred_at__lt=OuterRef("occurred_at")
        )
        if params.within_days is not None:
            width = timedelta(days=params.within_days)
            before = before.filter(occurred_at__gte=OuterRef("occurred_at") - width)
        return has(rows.filter(Exists(before)), at.among)

    def say(self, params: EventSequenceParams, language: str) -> str:
        one = f"“{params.first}”{say_where(params.first_where, language)}"
        two = f"“{params.then}”{say_where(params.then_where, language)}"
        window = "" if params.days is None else say_window(params.days, language)
        near = ""
        if params.within_days is not None:
            days = say_days(params.within_days, language)
            near = say(f" at most {days} later", f"的 {days}内", language)
        english = " ".join(filter(None, [f"did {one} and then {two}{near}", window]))
        return say(english, f"{window}在{one}之后{near}做了{two}", language)

    def blank(self, params: EventSequenceParams) -> bool | None:
        return False

    def reads(self, params: EventSequenceParams) -> Reads:
        facts = frozenset({params.first, params.then})
        edges = () if params.days is None else (Edge(timedelta(days=params.days), frozenset({params.then})),)
        return Reads(facts=facts, windows=edges)
