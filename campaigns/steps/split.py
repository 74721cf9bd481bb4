"""Split by chance: each person is drawn once and for all by a stable hash with a frozen salt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Self

from pydantic import Field, model_validator

from campaigns.steps import Go, Place, Result, Step, Walker, steps
from common.buckets import pick
from common.params import Params
from common.text import say


class Share(Params):
    """One arm: its key (a port) and its weight; weights need not sum to 1."""

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    weight: float = Field(gt=0, allow_inf_nan=False)


class SplitParams(Params):
    """`salt` is fixed at publish ("{journey}:{node}" unless given), so that a new version draws the same."""

    arms: tuple[Share, ...] = Field(min_length=2, max_length=20)
    salt: str = Field(default="", max_length=200)

    @model_validator(mode="after")
    def _keys(self) -> Self:
        if len({arm.key for arm in self.arms}) < len(self.arms):
            raise ValueError("the keys of arms must differ")
        return self


@steps.register("split")
class Split(Step[SplitParams]):
    key: ClassVar[str] = "split"
    Params = SplitParams

    def ports(self, params: SplitParams) -> Sequence[str]:
        return tuple(arm.key for arm in params.arms)

    def decide(self, group: Sequence[Walker], params: SplitParams, place: Place, now: datetime) -> Mapping[int, Result]:
        salt = params.salt or f"{place.journey}:{place.node}"
        weights = [arm.weight for arm in params.arms]
        drawn = {w.enrolment: params.arms[pick(salt, w.public_id, weights)].key for w in group}
        return {one: Go(arm, context={"variant": arm}) for one, arm in drawn.items()}

    def say(self, params: SplitParams, language: str) -> str:
        total = sum(arm.weight for arm in params.arms)
        arms = ", ".join(f"{arm.key} {arm.weight / total:.0%}" for arm in params.arms)
        return say(f"Split: {arms}", f"分流：{arms}", language)

    def pin(self, params: SplitParams, place: Place) -> SplitParams:
        return params.model_copy(update={"salt": params.salt or f"{place.journey}:{place.node}"})
