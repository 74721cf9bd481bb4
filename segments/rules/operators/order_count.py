"""How many orders somebody placed; cancelled and wholly refunded ones do not count."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Q
from pydantic import Field

from common.params import Params
from common.semijoin import has, has_grouped
from common.text import say
from segments.facts.names import ORDER_FACTS
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._orders import standing
from segments.rules.operators._words import (
    Compare,
    Days,
    meets,
    opposite,
    say_compare,
    say_window,
    within,
    zero_passes,
)


class OrderCountParams(Params):
    """Orders of the last `days`, or of all time."""

    op: Compare = "at_least"
    count: int = Field(default=1, ge=0, le=1_000_000)
    days: Days | None = None


@operators.register("order_count")
class OrderCount(Operator[OrderCountParams]):
    """A number of orders, zero included."""

    key = "order_count"
    family = "value"
    Params = OrderCountParams

    def q(self, params: OrderCountParams, at: At) -> Q:
        rows = within(standing(), "placed_at", params.days, at)
        op, count = params.op, params.count
        if (op == "at_least" and count == 1) or (op == "more_than" and count == 0):
            return has(rows, at.among)
        if (op in ("at_most", "exactly") and count == 0) or (op == "less_than" and count == 1):
            return ~has(rows, at.among)
        if zero_passes(op, count):
            return ~has_grouped(rows, at.among, test=opposite("n", op, count), n=Count("pk"))
        return has_grouped(rows, at.among, test=meets("n", op, count), n=Count("pk"))

    def say(self, params: OrderCountParams, language: str) -> str:
        times, window = say_compare(params.op, params.count, language), say_window(params.days, language)
        return say(f"placed {times} orders {window}", f"{window}下单{times} 次", language)

    def blank(self, params: OrderCountParams) -> bool | None:
        return zero_passes(params.op, params.count)

    def reads(self, params: OrderCountParams) -> Reads:
        edges = () if params.days is None else (Edge(timedelta(days=params.days), ORDER_FACTS),)
        return Reads(facts=ORDER_FACTS, windows=edges)
