"""How often somebody did something, ever or lately: from lifetime rows, or from facts in a window."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, F, Q
from pydantic import Field

from common.params import Params
from common.semijoin import has, has_grouped
from segments.facts.names import RESERVED
from segments.models import EventStats
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._counts import Counted, is_none, is_some, say_times
from segments.rules.operators._facts import facts_of
from segments.rules.operators._properties import Where, say_where
from segments.rules.operators._words import (
    Compare,
    Days,
    Text,
    meets,
    opposite,
    within,
    zero_passes,
)

SAID = Counted(
    never=("never did {what}", "从未做过{what}"),
    none=("did not do {what} {window}", "{window}未做过{what}"),
    ever=("ever did {what}", "做过{what}"),
    some=("did {what} {window}", "{window}做过{what}"),
    compared=("did {what} {number} {window}", "{window}做过{what}{number} 次"),
)


class EventCountParams(Params):
    """`event` counted over the last `days` (all time without), only those whose properties pass `where`."""

    event: Text
    op: Compare = "at_least"
    count: int = Field(default=1, ge=0, le=1_000_000)
    days: Days | None = None
    where: Where = Field(default_factory=dict)


@operators.register("event_count")
class EventCount(Operator[EventCountParams]):
    """A number of facts, zero included."""

    key = "event_count"
    family = "behaviour"
    Params = EventCountParams

    def q(self, params: EventCountParams, at: At) -> Q:
        op, count = params.op, params.count
        if zero_passes(op, count):
            return ~self._counted(params, at, opposite("times", op, count), one=is_none(op, count))
        return self._counted(params, at, meets("times", op, count), one=is_some(op, count))

    def _counted(self, params: EventCountParams, at: At, test: Q, *, one: bool) -> Q:
        """People with a number of facts that passes `test`; `one`: a single fact is all it takes."""
        lifetime = params.days is None and not params.where and not params.event.startswith(RESERVED)
        if lifetime:
            lifetimes = EventStats.objects.filter(name=params.event).alias(times=F("count"))
            return has(lifetimes.filter(test), at.among)
        rows = within(facts_of(params.event, params.where), "occurred_at", params.days, at)
        if one:
            return has(rows, at.among)
        return has_grouped(rows, at.among, test=test, times=Count("*"))

    def say(self, params: EventCountParams, language: str) -> str:
        what = f"“{params.event}”{say_where(params.where, language)}"
        times = say_times(params.op, params.count, language)
        return SAID.say(params.op, params.count, params.days, times, language, what=what)

    def blank(self, params: EventCountParams) -> bool | None:
        return zero_passes(params.op, params.count)

    def reads(self, params: EventCountParams) -> Reads:
        facts = frozenset({params.event})
        edges = () if params.days is None else (Edge(timedelta(days=params.days), facts),)
        return Reads(facts=facts, windows=edges)
