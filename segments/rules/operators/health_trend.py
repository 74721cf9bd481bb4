"""How the health score has moved over the weeks that the rules of health compare."""

from __future__ import annotations

from typing import Annotated, Literal

from django.db.models import Q
from pydantic import Field

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.facts.names import HEALTH_CHANGED, HEALTH_SCORED
from segments.models import Health as Rows
from segments.rules.operators import At, Operator, Reads, operators


class HealthTrendParams(Params):
    """Fallen or risen by at least so many points, a multiple of five."""

    way: Literal["fallen", "risen"] = "fallen"
    points: Annotated[int, Field(ge=5, le=100, multiple_of=5)] = 15


@operators.register("health_trend")
class HealthTrend(Operator[HealthTrendParams]):
    """What was last judged: today's score less the score of some weeks ago. Without either there is no trend."""

    key = "health_trend"
    family = "value"
    Params = HealthTrendParams

    def q(self, params: HealthTrendParams, at: At) -> Q:
        if params.way == "fallen":
            return has(Rows.objects.filter(trend__lte=-params.points), at.among)
        return has(Rows.objects.filter(trend__gte=params.points), at.among)

    def say(self, params: HealthTrendParams, language: str) -> str:
        chinese = "下降" if params.way == "fallen" else "上升"
        return say(
            f"health has {params.way} by at least {params.points} points", f"健康度{chinese}至少 {params.points} 分",
            language,
        )  # fmt: skip

    def blank(self, params: HealthTrendParams) -> bool | None:
        return False

    def reads(self, params: HealthTrendParams) -> Reads:
        return Reads(facts=frozenset({HEALTH_CHANGED, HEALTH_SCORED}))
