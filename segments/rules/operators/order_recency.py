"""How long ago somebody last ordered, or that they never did."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from django.db.models import Q
from pydantic import Field, model_validator

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.facts.names import ORDER_FACTS
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._orders import standing
from segments.rules.operators._words import Days, say_days


class OrderRecencyParams(Params):
    """The last order lies within `days`, longer ago than `days`, between `days` and `to_days` ago, or nowhere."""

    op: Literal["within", "longer_ago", "between", "never"]
    days: Days | None = None
    to_days: Days | None = Field(default=None)

    @model_validator(mode="after")
    def _complete(self) -> OrderRecencyParams:
        if self.op != "never" and self.days is None:
            raise ValueError(f"'{self.op}' needs days")
        if self.op == "between" and (self.to_days is None or self.days is None or self.to_days <= self.days):
            raise ValueError("'between' needs days and a larger to_days")
        return self


@operators.register("order_recency")
class OrderRecency(Operator[OrderRecencyParams]):
    """Days since the last order that stands, counted in hours, not in calendar days."""

    key = "order_recency"
    family = "value"
    Params = OrderRecencyParams

    def q(self, params: OrderRecencyParams, at: At) -> Q:
        rows = standing()
        if params.op == "never" or params.days is None:
            return ~has(rows, at.among)
        edge = at.now - timedelta(days=params.days)
        lately = has(rows.filter(placed_at__gt=edge, placed_at__lte=at.now), at.among)
        if params.op == "within":
            return lately
        before = rows.filter(placed_at__lte=edge)
        if params.op == "between":
            before = before.filter(placed_at__gt=self._start(params, at.now))
        return has(before, at.among) & ~lately

    def _start(self, params: OrderRecencyParams, now: datetime) -> datetime:
        return now - timedelta(days=params.to_days or 0)

    def say(self, params: OrderRecencyParams, language: str) -> str:
        if params.op == "never":
            return say("never ordered", "从未下单", language)
        if params.op == "within":
            span = say_days(params.days or 0, language)
            return say(f"last ordered within {span}", f"最近 {span}内下过单", language)
        if params.op == "longer_ago":
            span = say_days(params.days or 0, language)
            return say(f"last ordered more than {span} ago", f"上次下单距今超过 {span}", language)
        return say(f"last ordered {params.days:g} to {params.to_days:g} days ago",
                   f"上次下单距今 {params.days:g} 至 {params.to_days:g} 天", language)  # fmt: skip

    def blank(self, params: OrderRecencyParams) -> bool | None:
        return params.op == "never"

    def reads(self, params: OrderRecencyParams) -> Reads:
        widths = [width for width in (params.days, params.to_days) if width is not None and params.op != "never"]
        return Reads(facts=ORDER_FACTS, windows=tuple(Edge(timedelta(days=width), ORDER_FACTS) for width in widths))
