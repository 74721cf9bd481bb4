"""A sum, mean, extreme or number of different values of a property over somebody's facts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import F, Q
from pydantic import Field, model_validator

from common.params import Params
from common.text import say
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._facts import facts_of
from segments.rules.operators._json import Kept, Number
from segments.rules.operators._measure import Measure, has_measured, nothing_passes, say_measure
from segments.rules.operators._properties import Key, Where, say_where
from segments.rules.operators._words import Compare, Days, Text, say_compare, say_window, within


class EventMeasureParams(Params):
    """`measure` of a `property` of `event` over the last `days` or ever, compared with `number`.

    Without a property the fact's own value counts: money in minor units of the reporting currency.
    """

    event: Text
    measure: Measure = "sum"
    property: Key | None = None
    op: Compare = "at_least"
    number: float = Field(allow_inf_nan=False, ge=-1e15, le=1e15)
    days: Days | None = None
    where: Where = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> EventMeasureParams:
        if self.measure == "distinct" and self.property is None:
            raise ValueError("'distinct' needs a property")
        return self


@operators.register("event_measure")
class EventMeasure(Operator[EventMeasureParams]):
    """Values that are no numbers are left out. A sum and a number of different values are 0 for those without any;
    a mean, minimum or maximum of nothing passes no comparison."""

    key = "event_measure"
    family = "behaviour"
    Params = EventMeasureParams

    def q(self, params: EventMeasureParams, at: At) -> Q:
        rows = within(facts_of(params.event, params.where), "occurred_at", params.days, at)
        if params.property is None:
            value: Any = F("value")
        else:
            value = (Kept if params.measure == "distinct" else Number)("properties", params.property)
        return has_measured(rows, value, params.measure, params.op, params.number, at)

    def say(self, params: EventMeasureParams, language: str) -> str:
        what = params.property or say("value", "金额", language)
        number, where = say_compare(params.op, f"{params.number:g}", language), say_where(params.where, language)
        measure, window = say_measure(params.measure, language), say_window(params.days, language)
        return say(f"{measure} “{what}” of “{params.event}”{where} {window} is {number}",
                   f"{window}“{params.event}”{where} 的“{what}”{measure}{number}", language)  # fmt: skip

    def blank(self, params: EventMeasureParams) -> bool | None:
        return nothing_passes(params.measure, params.op, params.number)

    def reads(self, params: EventMeasureParams) -> Reads:
        facts = frozenset({params.event})
        edges = () if params.days is None else (Edge(timedelta(days=params.days), facts),)
        return Reads(facts=facts, windows=edges)
