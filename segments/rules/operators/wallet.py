"""What somebody's wallet says beside the balance: points earned in the term, and points about to expire."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from pydantic import Field, model_validator

from common.params import Params
from common.periods import local_date, start_of_day
from common.semijoin import has, has_grouped
from common.text import say
from segments.facts.names import LEVEL_LOST, LEVEL_REACHED, POINTS_CHANGED
from segments.models import PointDraw, PointEntry
from segments.models import Wallet as Wallets
from segments.rules.operators import At, Drift, Operator, Reads, operators
from segments.rules.operators._words import Compare, meets, opposite, say_compare, zero_passes


class WalletParams(Params):
    """`earned` in the qualification term, or `expiring` within `days` (0: today), compared with `points`."""

    what: Literal["earned", "expiring"] = "earned"
    op: Compare = "at_least"
    points: int = Field(ge=0, le=10**12)
    days: Annotated[int, Field(ge=0, le=3660)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> WalletParams:
        if (self.what == "expiring") != (self.days is not None):
            raise ValueError("'expiring' needs days, 'earned' has none")
        return self


@operators.register("wallet")
class Wallet(Operator[WalletParams]):
    """Who has no wallet stands at 0. Days are those of the workspace; points past their time count until they are
    written off."""

    key = "wallet"
    family = "growth"
    profiling = False
    Params = WalletParams

    def q(self, params: WalletParams, at: At) -> Q:
        op, points = params.op, params.points
        passed = zero_passes(op, points)
        test = opposite("stands", op, points) if passed else meets("stands", op, points)
        if params.what == "earned":
            found = has(Wallets.objects.alias(stands=F("earned")).filter(test), at.among)
        else:
            found = has_grouped(self._expiring(params, at), at.among, test=test, by="wallet_id", stands=Sum("left"))
        return ~found if passed else found

    def _expiring(self, params: WalletParams, at: At) -> QuerySet[PointEntry]:
        """Lots that end by then, with what is left of each."""
        end = start_of_day(local_date(at.now, at.zone) + timedelta(days=(params.days or 0) + 1), at.zone)
        lots = PointEntry.objects.filter(kind=PointEntry.Kind.EARN, expires_at__lt=end)
        drawn = PointDraw.objects.filter(lot=OuterRef("pk")).order_by().values("lot").annotate(sum=Sum("amount"))
        return lots.alias(left=F("amount") - Coalesce(Subquery(drawn.values("sum")), 0))

    def say(self, params: WalletParams, language: str) -> str:
        number = say_compare(params.op, params.points, language)
        if params.what == "earned":
            return say(f"earned {number} points in the term", f"本期获得积分{number}", language)
        return say(f"has {number} points that expire within {params.days} days",
                   f"{params.days} 天内到期的积分{number}", language)  # fmt: skip

    def blank(self, params: WalletParams) -> bool | None:
        return zero_passes(params.op, params.points)

    def reads(self, params: WalletParams) -> Reads:
        return Reads(facts=frozenset({POINTS_CHANGED, LEVEL_REACHED, LEVEL_LOST}), drift=Drift.DAILY)
