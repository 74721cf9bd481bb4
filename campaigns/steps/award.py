"""Award points, a badge, or both; once for each visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Self

from django.utils.translation import gettext as _
from pydantic import Field, model_validator

from campaigns.steps import Go, Intent, Place, Result, Step, Walker, steps
from campaigns.steps._keys import intent_key
from common.params import Params
from common.text import say
from segments.models import Badge


class AwardParams(Params):
    """`points` to earn, and the key of a `badge`."""

    points: int = Field(default=0, ge=0, le=1_000_000_000)
    badge: str = ""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.points and not self.badge:
            raise ValueError("say how many points, or which badge")
        return self


@steps.register("award")
class Award(Step[AwardParams]):
    key: ClassVar[str] = "award"
    Params = AwardParams

    def decide(self, group: Sequence[Walker], params: AwardParams, place: Place, now: datetime) -> Mapping[int, Result]:
        return {w.enrolment: Go(intents=_intents(w, params)) for w in group}

    def say(self, params: AwardParams, language: str) -> str:
        parts = []
        if params.points:
            parts.append(say(f"{params.points} points", f"{params.points} 积分", language))
        if params.badge:
            parts.append(say(f"badge “{params.badge}”", f"徽章“{params.badge}”", language))
        return say("Award " + " and ".join(parts), "奖励 " + "、".join(parts), language)

    def check(self, params: AwardParams) -> list[str]:
        if params.badge and not Badge.objects.filter(key=params.badge).exists():
            return [_("there is no badge '%(key)s'") % {"key": params.badge}]
        return []


def _intents(walker: Walker, params: AwardParams) -> tuple[Intent, ...]:
    intents = []
    if params.points:
        intents.append(Intent("points", intent_key(walker, "points"), {"points": params.points}))
    if params.badge:
        intents.append(Intent("badge", intent_key(walker, "badge"), {"badge": params.badge}))
    return tuple(intents)
