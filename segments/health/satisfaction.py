"""Satisfaction: what somebody last answered when asked, by NPS or CSAT, in the last 180 days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from common.params import Params
from common.text import say
from segments.health import About, Mark, Metric, metrics
from segments.health._marks import CSAT_ANSWERED, NPS_ANSWERED, told

SCALES = {NPS_ANSWERED: (0.0, 10.0), CSAT_ANSWERED: (1.0, 5.0)}


class SatisfactionParams(Params):
    """Nothing to choose."""


@metrics.register("satisfaction")
class Satisfaction(Metric[SatisfactionParams]):
    """The newest answer to each kind of question, as a share of its scale ("NPS Answered" 0 to 10, "CSAT Answered"
    1 to 5, both in `score`); the mean where both were asked. What lies off the scale is no answer."""

    key = "satisfaction"
    place = 4
    weight = 0.10
    bounds = (0.0, 100.0)
    width = 180
    Params = SatisfactionParams

    def facts(self, params: SatisfactionParams) -> frozenset[str]:
        return frozenset(SCALES)

    def marks(self, params: SatisfactionParams, about: About) -> Iterator[tuple[int, Mark]]:
        for pk, name, mark, said in told(about, SCALES):
            low, high = SCALES[name]
            score = said.get("score")
            if isinstance(score, int | float) and not isinstance(score, bool) and low <= score <= high:
                yield pk, mark._replace(what=name, number=100 * (score - low) / (high - low))

    def value(self, params: SatisfactionParams, marks: Sequence[Mark], today: date) -> float | None:
        newest = {mark.what: mark.number for mark in sorted(marks, key=lambda mark: mark.day)}
        return sum(newest.values()) / len(newest) if newest else None

    def title(self, language: str) -> str:
        return say("Satisfaction", "满意度", language)

    def say(self, params: SatisfactionParams, value: float, language: str) -> str:
        return say(f"answered {value:.0f} of 100", f"评价 {value:.0f}（满分 100）", language)
