"""How many times somebody did it."""

from __future__ import annotations

from typing import Any

from common.params import Params
from common.text import say
from segments.growth.measures import Deed, Measure, measures


class CountParams(Params):
    """Nothing to choose."""


@measures.register("count")
class Count(Measure[CountParams]):
    key = "count"
    place = 1
    Params = CountParams

    def begin(self, count: int) -> Any:
        return count

    def add(self, params: CountParams, kept: Any, deed: Deed, target: int) -> Any:
        return kept + 1

    def count(self, params: CountParams, kept: Any, target: int) -> int:
        return int(kept)

    def rest(self, params: CountParams, kept: Any, target: int) -> Any:
        return kept - target

    def title(self, language: str) -> str:
        return say("times", "次数", language)

    def say(self, params: CountParams, fact: str, target: int, language: str) -> str:
        often = "once" if target == 1 else f"{target} times"
        return say(f"Do “{fact}” {often}", f"完成“{fact}” {target} 次", language)
