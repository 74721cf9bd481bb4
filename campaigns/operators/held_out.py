"""Whether somebody is held out: of a journey, of any, or of everything."""

from __future__ import annotations

from typing import Annotated, Literal

from django.db.models import Q
from django.utils.translation import gettext as _
from pydantic import Field, model_validator

from campaigns.models import Assignment, Experiment, Journey
from common.params import Params
from common.semijoin import has
from common.text import say
from segments.rules.operators import At, Drift, Operator, Reads, operators

Key = Annotated[str, Field(min_length=1, max_length=80)]


class HeldOutParams(Params):
    """`of` a journey by its key, of any journey (without a key), or of everything: the universal holdout."""

    of: Literal["journey", "everything"] = "journey"
    journey: Key | None = None

    @model_validator(mode="after")
    def _fits(self) -> HeldOutParams:
        if self.of == "everything" and self.journey is not None:
            raise ValueError("'everything' names no journey")
        return self


@operators.register("held_out")
class HeldOut(Operator[HeldOutParams]):
    """Drawn as control in the running holdout. Draws are no facts, so a segment that asks this is looked through once
    a day; somebody who has not been drawn yet is not held out."""

    key = "held_out"
    family = "engagement"
    profiling = False
    Params = HeldOutParams

    def q(self, params: HeldOutParams, at: At) -> Q:
        drawn = Assignment.objects.filter(arm__control=True)
        if params.of == "everything":
            running = drawn.filter(experiment__kind=Experiment.Kind.UNIVERSAL)
            return has(running.filter(experiment__ended_at__isnull=True), at.among)
        current = Journey.objects.filter(experiment__isnull=False)
        if params.journey is not None:
            current = current.filter(key=params.journey)
        return has(drawn.filter(experiment__in=current.values("experiment")), at.among)

    def say(self, params: HeldOutParams, language: str) -> str:
        if params.of == "everything":
            return say("is in the universal holdout", "属于全局对照组", language)
        if params.journey is None:
            return say("is held out of any journey", "属于任一旅程的对照组", language)
        return say(f"is held out of the journey “{params.journey}”", f"属于旅程“{params.journey}”的对照组", language)

    def blank(self, params: HeldOutParams) -> bool | None:
        return False

    def reads(self, params: HeldOutParams) -> Reads:
        return Reads(drift=Drift.DAILY)

    def check(self, params: HeldOutParams) -> list[str]:
        if params.journey is None or Journey.objects.filter(key=params.journey).exists():
            return []
        return [_("there is no journey '%(key)s'") % {"key": params.journey}]
