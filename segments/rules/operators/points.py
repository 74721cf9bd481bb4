"""How many points somebody has to spend."""

from __future__ import annotations

from django.db.models import Q
from pydantic import Field

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.facts.names import POINTS_CHANGED
from segments.models import Wallet
from segments.rules.operators import At, Operator, Reads, operators
from segments.rules.operators._counts import is_none, is_some, say_number
from segments.rules.operators._words import Compare, meets, opposite, zero_passes


class PointsParams(Params):
    """The balance compared with `points`."""

    op: Compare = "at_least"
    points: int = Field(ge=-(10**12), le=10**12)


@operators.register("points")
class Points(Operator[PointsParams]):
    """The wallet's balance; who has no wallet has 0 points."""

    key = "points"
    family = "growth"
    profiling = False
    Params = PointsParams

    def q(self, params: PointsParams, at: At) -> Q:
        if zero_passes(params.op, params.points):
            return ~has(Wallet.objects.filter(opposite("balance", params.op, params.points)), at.among)
        return has(Wallet.objects.filter(meets("balance", params.op, params.points)), at.among)

    def say(self, params: PointsParams, language: str) -> str:
        if is_none(params.op, params.points):
            return say("has no points", "没有积分", language)
        if is_some(params.op, params.points):
            return say("has points", "有积分", language)
        number = say_number(params.op, params.points, "point", "points", language)
        return say(f"has {number}", f"积分{number}", language)

    def blank(self, params: PointsParams) -> bool | None:
        return zero_passes(params.op, params.points)

    def reads(self, params: PointsParams) -> Reads:
        return Reads(facts=frozenset({POINTS_CHANGED}))
