"""Let the person into another journey, whose own entry rules, caps and holdout decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from pydantic import Field

from campaigns.models import Journey
from campaigns.steps import Go, Intent, Place, Result, Step, Walker, steps
from campaigns.steps._keys import intent_key
from common.params import Params
from common.text import say


class EnterParams(Params):
    """`journey` by key; with `variables` the walk's variables go along."""

    journey: str = Field(min_length=1, max_length=80)
    variables: bool = True


@steps.register("enter_journey")
class EnterJourney(Step[EnterParams]):
    key: ClassVar[str] = "enter_journey"
    Params = EnterParams

    def decide(self, group: Sequence[Walker], params: EnterParams, place: Place, now: datetime) -> Mapping[int, Result]:
        detail = {"journey": params.journey, "variables": params.variables}
        return {w.enrolment: Go(intents=(Intent("enter", intent_key(w, "enter"), detail),)) for w in group}

    def say(self, params: EnterParams, language: str) -> str:
        return say(f"Enter the journey “{params.journey}”", f"进入旅程“{params.journey}”", language)

    def check(self, params: EnterParams) -> list[str]:
        if Journey.objects.filter(key=params.journey).exclude(state=Journey.State.ARCHIVED).exists():
            return []
        return [say(f"there is no journey '{params.journey}'", f"没有旅程 '{params.journey}'")]
