"""Coupons used on orders: the reader that marks a code redeemed when an order fact names it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from segments.facts.fact import Fact
from segments.facts.names import ORDER_COMPLETED
from segments.facts.read import process_shard
from segments.growth.coupons import redeem

READER = "coupons"


def redeem_shard(shard: int, now: datetime) -> int:
    """Redeem the codes named by one page of one shard's orders; returns how many facts it read."""

    def handle(facts: Sequence[Fact]) -> None:
        for fact in facts:
            code = fact.properties.get("coupon")
            if isinstance(code, str) and code:
                redeem(code, order_ref=str(fact.properties.get("order_id", "")), now=now)

    return process_shard(READER, shard, handle, now=now, names={ORDER_COMPLETED})
