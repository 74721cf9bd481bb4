"""Where somebody stands in the life cycle, and whether they were lately won back."""

from __future__ import annotations

from typing import Annotated

from django.db.models import Q
from pydantic import Field

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.facts.names import STAGE_CHANGED
from segments.models import Scores
from segments.models.known import Stage as Stages
from segments.rules.operators import At, Operator, Reads, operators
from segments.rules.operators._stages import NAMES


class StageParams(Params):
    """Any of `stages`; `won_back` asks also whether the person returned within the last 14 days."""

    stages: Annotated[list[Stages], Field(max_length=6)] = Field(default_factory=list)
    won_back: bool | None = None


@operators.register("stage")
class Stage(Operator[StageParams]):
    """The stage that scoring last wrote. Somebody not scored yet is a prospect."""

    key = "stage"
    family = "value"
    Params = StageParams

    def q(self, params: StageParams, at: At) -> Q:
        asked = Q()
        if params.stages:
            wanted = [stage.value for stage in params.stages]
            asked &= self._among(wanted, at)
        if params.won_back is not None:
            returned = has(Scores.objects.filter(won_back_until__isnull=False), at.among)
            asked &= returned if params.won_back else ~returned
        return asked or Q(pk__isnull=False)

    def _among(self, wanted: list[str], at: At) -> Q:
        if Stages.PROSPECT not in wanted:
            return has(Scores.objects.filter(stage__in=wanted), at.among)
        others = [stage for stage in Stages.values if stage not in wanted]
        return ~has(Scores.objects.filter(stage__in=others), at.among)

    def say(self, params: StageParams, language: str) -> str:
        parts = []
        if params.stages:
            english = " or ".join(NAMES[stage][0] for stage in params.stages)
            chinese = "或".join(NAMES[stage][1] for stage in params.stages)
            parts.append(say(f"is {english}", f"处于{chinese}阶段", language))
        if params.won_back is not None:
            yes = say("was won back lately", "近期被召回", language)
            parts.append(yes if params.won_back else say("was not won back lately", "近期未被召回", language))
        return say(" and ", "且", language).join(parts) or say("is at any stage", "处于任意阶段", language)

    def blank(self, params: StageParams) -> bool | None:
        return (not params.stages or Stages.PROSPECT in params.stages) and not params.won_back

    def reads(self, params: StageParams) -> Reads:
        return Reads(facts=frozenset({STAGE_CHANGED}))
