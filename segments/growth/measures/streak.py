"""For how many days in a row somebody did it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from pydantic import Field

from common.params import Params
from common.text import say
from segments.growth.measures import Deed, Measure, measures
from segments.growth.measures._days import EMPTY, days_of, used_up_to, with_day

MOST = 3700  # days; as far as a streak can be told


class StreakParams(Params):
    """`grace`: how many days may be missed within the streak; they break it no more than they count."""

    grace: Annotated[int, Field(ge=0, le=7)] = 0


@measures.register("streak")
class Streak(Measure[StreakParams]):
    """n days done within n + grace days of the calendar. A day that is told late mends the streak that it was missing
    from."""

    key = "streak"
    place = 4
    Params = StreakParams

    def begin(self, count: int) -> Any:
        return EMPTY

    def add(self, params: StreakParams, kept: Any, deed: Deed, target: int) -> Any:
        return with_day(kept, deed, most=min(MOST, target + params.grace + 3))

    def count(self, params: StreakParams, kept: Any, target: int) -> int:
        """The streak that still goes on, or the target once any has reached it."""
        runs = _runs(days_of(kept), params.grace)
        return target if any(len(run) >= target for run in runs) else len(runs[-1]) if runs else 0

    def rest(self, params: StreakParams, kept: Any, target: int) -> Any:
        reached = next(run for run in _runs(days_of(kept), params.grace) if len(run) >= target)
        return used_up_to(kept, reached[target - 1])

    def lapses(self, params: StreakParams, kept: Any) -> date | None:
        days = days_of(kept)
        if not days:
            return None
        run = _runs(days, params.grace)[-1]
        missed = run[-1] - run[0] + 1 - len(run)
        return date.fromordinal(run[-1] + params.grace - missed + 2)

    def title(self, language: str) -> str:
        return say("days in a row", "连续天数", language)

    def say(self, params: StreakParams, fact: str, target: int, language: str) -> str:
        missed = "one day" if params.grace == 1 else f"{params.grace} days"
        spare = f" (missing {missed} is forgiven)" if params.grace else ""
        forgiven = f"（允许漏 {params.grace} 天）" if params.grace else ""
        return say(f"Do “{fact}” {target} days in a row{spare}", f"连续 {target} 天完成“{fact}”{forgiven}", language)


def _runs(days: list[int], grace: int) -> list[list[int]]:
    """For each day the longest streak that ends on it: its span is at most `grace` days longer than its days."""
    runs, first = [], 0
    for last, day in enumerate(days):
        while day - days[first] + 1 - (last - first + 1) > grace:
            first += 1
        runs.append(days[first : last + 1])
    return runs
