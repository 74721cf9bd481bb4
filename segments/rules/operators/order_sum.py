"""How much somebody spent, refunds taken off, in the reporting currency."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce
from pydantic import Field

from common.money import format_money
from common.params import Params
from common.semijoin import has_grouped
from common.text import say
from segments.facts.names import ORDER_FACTS
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._counts import is_none, say_total
from segments.rules.operators._orders import standing
from segments.rules.operators._words import (
    Compare,
    Days,
    meets,
    opposite,
    say_compare,
    within,
    zero_passes,
)


class OrderSumParams(Params):
    """The net amount, in minor units of the reporting currency, of the last `days` or of all time."""

    op: Compare = "at_least"
    amount: int = Field(ge=-(10**15), le=10**15)
    days: Days | None = None


@operators.register("order_sum")
class OrderSum(Operator[OrderSumParams]):
    """An amount of money; who never ordered spent 0, and an order in a currency without a rate adds nothing."""

    key = "order_sum"
    family = "value"
    Params = OrderSumParams

    def q(self, params: OrderSumParams, at: At) -> Q:
        rows = within(standing(), "placed_at", params.days, at)
        spent = Coalesce(Sum("net_reporting"), 0)
        if zero_passes(params.op, params.amount):
            return ~has_grouped(rows, at.among, test=opposite("spent", params.op, params.amount), spent=spent)
        return has_grouped(rows, at.among, test=meets("spent", params.op, params.amount), spent=spent)

    def say(self, params: OrderSumParams, language: str) -> str:
        amount = say_compare(params.op, format_money(params.amount, settings.CURRENCY), language)
        window = say_total(params.days, language)
        if is_none(params.op, params.amount):
            return say(f"spent nothing {window}", f"{window}未消费", language)
        return say(f"spent {amount} {window}", f"{window}消费{amount}", language)

    def blank(self, params: OrderSumParams) -> bool | None:
        return zero_passes(params.op, params.amount)

    def reads(self, params: OrderSumParams) -> Reads:
        edges = () if params.days is None else (Edge(timedelta(days=params.days), ORDER_FACTS),)
        return Reads(facts=ORDER_FACTS, windows=edges)
