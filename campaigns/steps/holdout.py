"""Hold some people out of what follows: drawn once and for all by a stable hash with a frozen salt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from pydantic import Field

from campaigns.steps import Go, Place, Result, Step, Walker, steps
from common.buckets import unit
from common.params import Params
from common.text import say


class HoldoutParams(Params):
    """`share` from 0 to 1 leaves by the port "held_out"; a larger share keeps everybody of the smaller one. `salt` is
    fixed at publish ("{journey}:{node}:holdout" unless given)."""

    share: float = Field(gt=0, lt=1, allow_inf_nan=False)
    salt: str = Field(default="", max_length=200)


@steps.register("holdout")
class Holdout(Step[HoldoutParams]):
    key: ClassVar[str] = "holdout"
    Params = HoldoutParams

    def ports(self, params: HoldoutParams) -> Sequence[str]:
        return ("next", "held_out")

    def decide(
        self, group: Sequence[Walker], params: HoldoutParams, place: Place, now: datetime
    ) -> Mapping[int, Result]:
        salt = params.salt or _salt(place)
        return {w.enrolment: Go("held_out" if unit(salt, w.public_id) < params.share else "next") for w in group}

    def say(self, params: HoldoutParams, language: str) -> str:
        share = f"{params.share * 100:g}%"
        return say(f"Hold out {share}", f"留出 {share} 作对照", language)

    def pin(self, params: HoldoutParams, place: Place) -> HoldoutParams:
        return params.model_copy(update={"salt": params.salt or _salt(place)})


def _salt(place: Place) -> str:
    return f"{place.journey}:{place.node}:holdout"
