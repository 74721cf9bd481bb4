"""How well somebody does: the band, or the score from 0 to 100."""

from __future__ import annotations

from typing import Annotated, Literal

from django.db.models import Q
from pydantic import Field, model_validator

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.facts.names import HEALTH_CHANGED, HEALTH_SCORED
from segments.models import Health as Rows
from segments.rules.operators import At, Operator, Reads, operators

NAMES = {
    "healthy": ("healthy", "健康"), "watch": ("to watch", "需关注"), "at_risk": ("at risk", "有风险"),
    "unknown": ("unknown", "数据不足"),
}  # fmt: skip
Band = Literal["healthy", "watch", "at_risk", "unknown"]
Score = Annotated[int, Field(ge=0, le=100, multiple_of=5)]  # a fact tells of every multiple of five that is passed


class HealthParams(Params):
    """Any of `bands`, and inclusive bounds of the score; what is left out is not asked."""

    bands: Annotated[list[Band], Field(max_length=4)] = Field(default_factory=list)
    at_least: Score | None = None
    at_most: Score | None = None

    @model_validator(mode="after")
    def _some(self) -> HealthParams:
        if not self.bands and self.at_least is None and self.at_most is None:
            raise ValueError("name a band, or give at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least is above at_most")
        return self


@operators.register("health")
class Health(Operator[HealthParams]):
    """What was last judged. Who was never judged, or is too little known, is unknown and has no score."""

    key = "health"
    family = "value"
    Params = HealthParams

    def q(self, params: HealthParams, at: At) -> Q:
        asked = Q()
        if params.bands:
            named = has(Rows.objects.filter(band__in=[band for band in params.bands if band != "unknown"]), at.among)
            some = has(Rows.objects.exclude(band=""), at.among)
            asked &= (named | ~some) if "unknown" in params.bands else named
        bounds = {"score__gte": params.at_least, "score__lte": params.at_most}
        given = {lookup: score for lookup, score in bounds.items() if score is not None}
        return asked & has(Rows.objects.filter(**given), at.among) if given else asked

    def say(self, params: HealthParams, language: str) -> str:
        english, chinese = [], []
        if params.bands:
            english.append("is " + " or ".join(NAMES[band][0] for band in params.bands))
            chinese.append("为" + "或".join(NAMES[band][1] for band in params.bands))
        if params.at_least is not None:
            english.append(f"is at least {params.at_least}")
            chinese.append(f"至少 {params.at_least} 分")
        if params.at_most is not None:
            english.append(f"is at most {params.at_most}")
            chinese.append(f"至多 {params.at_most} 分")
        return say("health " + " and ".join(english), "健康度" + "且".join(chinese), language)

    def blank(self, params: HealthParams) -> bool | None:
        return "unknown" in params.bands and params.at_least is None and params.at_most is None

    def reads(self, params: HealthParams) -> Reads:
        return Reads(facts=frozenset({HEALTH_CHANGED, HEALTH_SCORED}))
