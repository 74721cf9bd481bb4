"""Orders that are undone: what was given for them goes back, in the share that was refunded.

Points earned for an order are undone in proportion to the refund, whatever they were spent on since; all of them once
the order is refunded whole or cancelled. Then its code may be used again while it is in time, and coupons that were
given for it and not used yet are void. What an order has lost is read from the order, so a fact read twice takes
nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q

from segments.facts.fact import Fact
from segments.facts.names import ORDER_CANCELLED, ORDER_REFUNDED
from segments.facts.read import process_shard
from segments.growth.coupons import give_back, order_of
from segments.growth.ledger import take_back
from segments.models import Order, PointEntry

READER = "clawback"
UNDONE = frozenset({Order.State.CANCELLED.value, Order.State.REFUNDED.value})


def claw_back_shard(shard: int, now: datetime) -> int:
    """Undo what was given for the orders of one page of one shard's refunds; returns how many facts it read."""

    def handle(facts: Sequence[Fact]) -> None:
        ids = {str(fact.properties.get("order_id", "")): fact for fact in facts}
        orders = Order.objects.filter(order_id__in=ids, source__in={fact.source for fact in facts})
        lost = [order for order in orders.order_by("pk") if order.profile_id == ids[order.order_id].profile]
        for order in lost:
            _undo_points(order, now=now)
        give_back({order.order_id: order.profile_id for order in lost if order.state in UNDONE}, now=now)

    return process_shard(READER, shard, handle, now=now, names={ORDER_REFUNDED, ORDER_CANCELLED})


def undo_early(facts: Sequence[Fact], *, now: datetime) -> None:
    """The same for orders whose refund came before what they earned was booked."""
    ids = {str(fact.properties.get("order_id", "")) for fact in facts} - {""}
    rows = Order.objects.filter(order_id__in=ids, profile__in={fact.profile for fact in facts})
    for order in rows.filter(Q(refunded__gt=0) | Q(state__in=UNDONE)).order_by("pk") if ids else ():
        _undo_points(order, now=now)


def _undo_points(order: Order, *, now: datetime) -> None:
    """Undo the refunded share of each earn that was given for the order, rounded in the person's favour."""
    lots = PointEntry.objects.filter(wallet_id=order.profile_id, ref=order_of(order.order_id), kind="earn")
    for lot in lots.order_by("pk"):
        total = lot.amount if order.state in UNDONE else lot.amount * order.refunded // max(1, order.total)
        take_back(lot.key, total, key=f"refund:{lot.pk}:{total}", reason=f"refund of {order.order_id}"[:120], now=now)
