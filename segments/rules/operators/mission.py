"""How far somebody has come with a mission."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from django.db.models import F, Max, Q
from pydantic import Field, model_validator

from common import jsonsql
from common.params import Params
from common.semijoin import by_key, has, has_grouped
from common.text import say
from segments.facts.names import MISSION_COMPLETED
from segments.models import Event, MissionProgress
from segments.models import Mission as Missions
from segments.rules.operators import At, Drift, Edge, Operator, Reads, operators
from segments.rules.operators._words import (
    Compare,
    Days,
    Text,
    meets,
    opposite,
    say_compare,
    say_window,
    within,
    zero_passes,
)


class MissionParams(Params):
    """`completed`, ever or in the last `days`; or the `progress`: how often it was done, compared with `count`."""

    mission: Text
    how: Literal["completed", "progress"] = "completed"
    days: Days | None = None
    op: Compare = "at_least"
    count: int = Field(default=1, ge=0, le=1_000_000)

    @model_validator(mode="after")
    def _fits(self) -> MissionParams:
        if self.how == "progress" and self.days is not None:
            raise ValueError("'progress' has no days")
        return self


@operators.register("mission")
class Mission(Operator[MissionParams]):
    """Completed at least once, by the facts that say so. Progress is the best of any period by the mission's present
    rule; it is no fact, so a segment that asks it is looked through once a day."""

    key = "mission"
    family = "growth"
    profiling = False
    Params = MissionParams

    def q(self, params: MissionParams, at: At) -> Q:
        if params.how == "completed":
            done = Event.objects.filter(name=MISSION_COMPLETED)
            done = done.filter(jsonsql.equals("properties", "mission", params.mission))
            return has(within(done, "occurred_at", params.days, at), at.among)
        rows = MissionProgress.objects.filter(mission=by_key(Missions, params.mission), version=F("mission__version"))
        if zero_passes(params.op, params.count):
            return ~has_grouped(rows, at.among, test=opposite("best", params.op, params.count), best=Max("count"))
        return has_grouped(rows, at.among, test=meets("best", params.op, params.count), best=Max("count"))

    def say(self, params: MissionParams, language: str) -> str:
        if params.how == "completed":
            window = say_window(params.days, language)
            return say(f"completed the mission “{params.mission}” {window}",
                       f"{window}完成过任务“{params.mission}”", language)  # fmt: skip
        number = say_compare(params.op, params.count, language)
        return say(f"has done {number} of the mission “{params.mission}”",
                   f"任务“{params.mission}”进度{number}", language)  # fmt: skip

    def blank(self, params: MissionParams) -> bool | None:
        return params.how == "progress" and zero_passes(params.op, params.count)

    def reads(self, params: MissionParams) -> Reads:
        facts = frozenset({MISSION_COMPLETED})
        edges = () if params.days is None else (Edge(timedelta(days=params.days), facts),)
        return Reads(facts=facts, windows=edges, drift=Drift.DAILY if params.how == "progress" else Drift.NEVER)

    def check(self, params: MissionParams) -> list[str]:
        known = Missions.objects.filter(key=params.mission).exists()
        return [] if known else [f"no mission has the key '{params.mission}'"]
