"""On how many different days somebody did it."""

from __future__ import annotations

from typing import Any

from common.params import Params
from common.text import say
from segments.growth.measures import Deed, Measure, measures
from segments.growth.measures._days import EMPTY, days_of, used_up_to, with_day


class DaysParams(Params):
    """Nothing to choose."""


@measures.register("days")
class Days(Measure[DaysParams]):
    """Any number of times on one day is one day."""

    key = "days"
    place = 2
    Params = DaysParams

    def begin(self, count: int) -> Any:
        return EMPTY

    def add(self, params: DaysParams, kept: Any, deed: Deed, target: int) -> Any:
        return with_day(kept, deed, most=target + 3)

    def count(self, params: DaysParams, kept: Any, target: int) -> int:
        return len(days_of(kept))

    def rest(self, params: DaysParams, kept: Any, target: int) -> Any:
        return used_up_to(kept, days_of(kept)[target - 1])

    def title(self, language: str) -> str:
        return say("different days", "不同天数", language)

    def say(self, params: DaysParams, fact: str, target: int, language: str) -> str:
        days = "one day" if target == 1 else f"{target} different days"
        return say(f"Do “{fact}” on {days}", f"在 {target} 个不同的日子完成“{fact}”", language)
