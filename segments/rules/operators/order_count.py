"""How many orders somebody placed; cancelled and wholly refunded ones do not count."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Q
from pydantic import Field

from common.params import Params
from common.semijoin import has, has_grouped
from segments.facts.names import ORDER_FACTS
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._counts import Counted, is_none, is_some, say_number
from segments.rules.operators._orders import standing
from segments.rules.operators._words import (
    Compare,
    Days,
    meets,
    opposite,
    within,
    zero_passes,
)

SAID = Counted(
    never=("never placed an order", "从未下单"),
    none=("placed no order {window}", "{window}未下单"),
    ever=("ever placed an order", "下过单"),
    some=("placed an order {window}", "{window}下过单"),
    compared=("placed {number} {window}", "{window}下单{number} 次"),
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
        if is_some(op, count):
            return has(rows, at.among)
        if is_none(op, count):
            return ~has(rows, at.among)
        if zero_passes(op, count):
            return ~has_grouped(rows, at.among, test=opposite("n", op, count), n=Count("*"))
        return has_grouped(rows, at.among, test=meets("n", op, count), n=Count("*"))

    def say(self, params: OrderCountParams, language: str) -> str:
        number = say_number(params.op, params.count, "order", "orders", language)
        return SAID.say(params.op, params.count, params.days, number, language)

    def blank(self, params: OrderCountParams) -> bool | None:
        return zero_passes(params.op, params.count)

    def reads(self, params: OrderCountParams) -> Reads:
        edges = () if params.days is None else (Edge(timedelta(days=params.days), ORDER_FACTS),)
        return Reads(facts=ORDER_FACTS, windows=edges)
