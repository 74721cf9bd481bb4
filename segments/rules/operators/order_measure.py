"""A sum, mean, extreme or number of different values over somebody's orders."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from django.conf import settings
from django.db.models import F, Q, Value
from django.db.models.functions import NullIf
from pydantic import Field, model_validator

from common.money import format_money
from common.params import Params
from common.text import say
from segments.facts.names import ORDER_FACTS
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._measure import Measure, has_measured, nothing_passes, say_measure
from segments.rules.operators._orders import standing
from segments.rules.operators._words import Compare, Days, say_compare, say_window, within

COLUMNS = {"net": "net_reporting", "currency": "currency"}
SAID = {
    "net": ("net amount", "净额"),
    "coupon": ("coupon code", "优惠码"),
    "currency": ("currency", "币种"),
}


class OrderMeasureParams(Params):
    """`measure` of a `field` over the orders of the last `days` or ever, compared with `number`.

    `net` is in minor units of the reporting currency; coupons and currencies can only be counted.
    """

    measure: Measure = "avg"
    field: Literal["net", "coupon", "currency"] = "net"
    op: Compare = "at_least"
    number: float = Field(allow_inf_nan=False, ge=-1e15, le=1e15)
    days: Days | None = None

    @model_validator(mode="after")
    def _fits(self) -> OrderMeasureParams:
        if (self.measure == "distinct") == (self.field == "net"):
            raise ValueError("'distinct' is for coupon and currency, the other measures are for net")
        return self


@operators.register("order_measure")
class OrderMeasure(Operator[OrderMeasureParams]):
    """Orders that stand; one in a currency without a rate has no net amount, one without a coupon has no code."""

    key = "order_measure"
    family = "value"
    Params = OrderMeasureParams

    def q(self, params: OrderMeasureParams, at: At) -> Q:
        rows = within(standing(), "placed_at", params.days, at)
        value: Any = NullIf(F("coupon_code"), Value("")) if params.field == "coupon" else F(COLUMNS[params.field])
        return has_measured(rows, value, params.measure, params.op, params.number, at)

    def say(self, params: OrderMeasureParams, language: str) -> str:
        net = params.field == "net"
        shown = format_money(round(params.number), settings.CURRENCY) if net else f"{params.number:g}"
        number, window = say_compare(params.op, shown, language), say_window(params.days, language)
        measure, field = say_measure(params.measure, language), say(*SAID[params.field], language)
        return say(f"{measure} {field} of orders {window} is {number}",
                   f"{window}订单{field}{measure}{number}", language)  # fmt: skip

    def blank(self, params: OrderMeasureParams) -> bool | None:
        return nothing_passes(params.measure, params.op, params.number)

    def reads(self, params: OrderMeasureParams) -> Reads:
        edges = () if params.days is None else (Edge(timedelta(days=params.days), ORDER_FACTS),)
        return Reads(facts=ORDER_FACTS, windows=edges)
