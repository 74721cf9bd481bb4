"""Coupons used on orders: the reader that marks codes redeemed when order facts name them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from segments.facts.fact import Fact
from segments.facts.names import ORDER_COMPLETED, ORDER_UPDATED
from segments.facts.read import process_shard
from segments.growth.coupons import Use, redeem_many

READER = "coupons"


def redeem_shard(shard: int, now: datetime) -> int:
    """Redeem the codes named by one page of one shard's orders; returns how many facts it read."""

    def handle(facts: Sequence[Fact]) -> None:
        redeem_many([use for fact in facts if (use := _use(fact))], now=now)

    return process_shard(READER, shard, handle, now=now, names={ORDER_COMPLETED, ORDER_UPDATED})


def _use(fact: Fact) -> Use | None:
    code = fact.properties.get("coupon")
    if not isinstance(code, str) or not code.strip():
        return None
    return Use(code, str(fact.properties.get("order_id", "")), fact.occurred_at, fact.live)
