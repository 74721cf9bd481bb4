"""Activity: on how many of the last 28 days somebody did anything at all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated

from pydantic import Field

from common.params import Params
from common.text import say
from segments.health import About, Mark, Metric, metrics
from segments.health._marks import days


class ActivityParams(Params):
    """Names of the facts that count; left empty, every one that is an act of the person."""

    events: Annotated[list[str], Field(max_length=50)] = Field(default_factory=list)


@metrics.register("activity")
class Activity(Metric[ActivityParams]):
    """Active days in 28; none is worth 0, twenty are worth 100 until the population tells better."""

    key = "activity"
    place = 1
    weight = 0.40
    bounds = (0.0, 20.0)
    width = 28
    silent = True
    Params = ActivityParams

    def facts(self, params: ActivityParams) -> frozenset[str]:
        return frozenset(params.events) or frozenset({"*"})

    def marks(self, params: ActivityParams, about: About) -> Iterable[tuple[int, Mark]]:
        return days(about, params.events)

    def value(self, params: ActivityParams, marks: Sequence[Mark], today: date) -> float | None:
        return float(len({mark.day for mark in marks}))

    def title(self, language: str) -> str:
        return say("Activity", "活跃度", language)

    def say(self, params: ActivityParams, value: float, language: str) -> str:
        days = "1 active day" if value == 1 else f"{value:g} active days"
        return say(f"{days} in the last 28", f"最近 28 天活跃 {value:g} 天", language)
