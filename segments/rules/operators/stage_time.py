"""How many days somebody has been in the present stage."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from django.db.models import Q
from pydantic import Field

from common.params import Params
from common.periods import local_date, start_of_day
from common.semijoin import has
from common.text import say
from segments.facts.names import STAGE_CHANGED
from segments.models import Scores
from segments.models.known import Stage as Stages
from segments.rules.operators import At, Drift, Operator, Reads, operators
from segments.rules.operators._stages import NAMES


class StageTimeParams(Params):
    """In one of the `stages` (any without) for `at_least` or `less_than` a number of `days`."""

    stages: Annotated[list[Stages], Field(max_length=6)] = Field(default_factory=list)
    op: Literal["at_least", "less_than"] = "at_least"
    days: Annotated[int, Field(ge=1, le=3660)]


@operators.register("stage_time")
class StageTime(Operator[StageTimeParams]):
    """Calendar days of the workspace since the stage began. Somebody not scored yet is in no stage for any time."""

    key = "stage_time"
    family = "value"
    Params = StageTimeParams

    def q(self, params: StageTimeParams, at: At) -> Q:
        rows = Scores.objects.filter(stage_since__isnull=False)
        if params.stages:
            rows = rows.filter(stage__in=[stage.value for stage in params.stages])
        edge = start_of_day(local_date(at.now, at.zone) - timedelta(days=params.days - 1), at.zone)
        long_ago = Q(stage_since__lt=edge)
        return has(rows.filter(long_ago if params.op == "at_least" else ~long_ago), at.among)

    def say(self, params: StageTimeParams, language: str) -> str:
        english = " or ".join(NAMES[stage][0] for stage in params.stages) or "at the present stage"
        chinese = "或".join(NAMES[stage][1] for stage in params.stages) or "当前"
        days, least = params.days, params.op == "at_least"
        unit = "day" if days == 1 else "days"
        return say(f"has been {english} for {'at least' if least else 'less than'} {days} {unit}",
                   f"处于{chinese}阶段{'至少' if least else '不足'} {days} 天", language)  # fmt: skip

    def blank(self, params: StageTimeParams) -> bool | None:
        return False

    def reads(self, params: StageTimeParams) -> Reads:
        return Reads(facts=frozenset({STAGE_CHANGED}), drift=Drift.DAILY)
