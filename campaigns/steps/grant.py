"""Grant a coupon from a pool; its code is then a variable of the walk. An empty pool has its own way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from django.utils.translation import gettext as _
from pydantic import Field

from campaigns.steps import Go, Intent, Place, Result, Step, Walker, steps
from campaigns.steps._keys import intent_key
from common.params import Params
from common.text import say
from segments.models import CouponPool


class GrantParams(Params):
    """`pool` is the key of a coupon pool. Templates then read coupon.code and coupon.expires_at."""

    pool: str = Field(min_length=1, max_length=80)


@steps.register("grant")
class Grant(Step[GrantParams]):
    key: ClassVar[str] = "grant"
    Params = GrantParams

    def ports(self, params: GrantParams) -> Sequence[str]:
        return ("next", "empty")

    def decide(self, group: Sequence[Walker], params: GrantParams, place: Place, now: datetime) -> Mapping[int, Result]:
        detail = {"pool": params.pool}
        return {w.enrolment: Go(intents=(Intent("grant", intent_key(w, "grant"), detail),)) for w in group}

    def say(self, params: GrantParams, language: str) -> str:
        return say(f"Grant a coupon of “{params.pool}”", f"发放“{params.pool}”优惠券", language)

    def check(self, params: GrantParams) -> list[str]:
        if not CouponPool.objects.filter(key=params.pool).exists():
            return [_("there is no coupon pool '%(key)s'") % {"key": params.pool}]
        return []
