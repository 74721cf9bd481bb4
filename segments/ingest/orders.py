"""Order rows from commerce events, each once by its id, whatever the order of arrival."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from segments.bulk import insert, update
from segments.facts.names import ORDER_CANCELLED, ORDER_COMPLETED, ORDER_REFUNDED
from segments.ingest.call import Call, OrderSaid
from segments.ingest.money import ORDER_UPDATED, read_order, to_reporting
from segments.models import Event, EventStats, Order

NEW = (
    ("source_id", "bigint"), ("order_id", "varchar"), ("profile_id", "bigint"), ("placed_at", "timestamptz"),
    ("state", "varchar"), ("currency", "varchar"), ("total", "bigint"), ("refunded", "bigint"),
    ("net_reporting", "bigint"), ("coupon_code", "varchar"), ("items", "jsonb"),
)  # fmt: skip
CHANGED = (("id", "bigint"), ("state", "varchar"), ("total", "bigint"), ("refunded", "bigint"),
           ("net_reporting", "bigint"), ("coupon_code", "varchar"), ("items", "jsonb"))  # fmt: skip
LATER = (ORDER_REFUNDED, ORDER_CANCELLED)


@dataclass(slots=True)
class OrderState:
    """One order while a batch is worked on; `id` is 0 for a new one. Amounts in minor units of `currency`."""

    id: int
    profile: int
    placed_at: datetime
    state: str
    currency: str
    total: int
    refunded: int
    coupon: str
    items: str

    @property
    def net_reporting(self) -> int | None:
        """Total minus refunds in the reporting currency, 0 once cancelled, None without a rate."""
        if self.state == Order.State.CANCELLED:
            return 0
        return to_reporting(self.total - self.refunded, self.currency)

    def hear(self, said: OrderSaid) -> None:
        """Take in an update, refund or cancellation; money of another currency than the order's is not added."""
        if said.event == ORDER_CANCELLED:
            if "cancelled" in Order.MOVES[self.state]:
                self.state = Order.State.CANCELLED
        elif said.currency != self.currency:
            return
        elif said.event == ORDER_REFUNDED:
            back = self.total - self.refunded if said.refund is None else said.refund
            self.refunded = min(self.total, self.refunded + back)
            if self.refunded >= self.total and "refunded" in Order.MOVES[self.state]:
                self.state = Order.State.REFUNDED
        elif said.event == ORDER_UPDATED:
            self._amend(said)

    def _amend(self, said: OrderSaid) -> None:
        if said.total is not None:
            self.total = said.total
            self.refunded = min(self.refunded, self.total)
        self.coupon = said.coupon or self.coupon
        self.items = to_items(said.items) if said.items else self.items


def to_items(items: Sequence[Mapping[str, object]]) -> str:
    return json.dumps(items, ensure_ascii=False) if items else "[]"


def write_orders(calls: Sequence[tuple[Call, int]], *, source: int) -> None:
    """Bring the orders of new calls, given with their person's id, up to date. Constant number of statements.

    A refund or cancellation that came before its order is found in the log when the order comes.
    """
    said = [(call, call.order, person) for call, person in calls if call.order is not None]
    if not said:
        return
    amended = {order.order_id for _, order, _ in said if order.event != ORDER_COMPLETED}
    known = read_states(source, amended) if amended else {}
    fresh: dict[str, OrderState] = {}
    touched: dict[str, OrderState] = {}
    for call, order, person in said:
        if order.order_id in known:
            continue
        if order.event in (ORDER_COMPLETED, ORDER_UPDATED) and order.total is not None:
            fresh.setdefault(order.order_id, _new(call, order, person))
    _hear_earlier(fresh, source=source, besides={call.key for call, _, _ in said})
    for _, order, _ in said:
        state = known.get(order.order_id) or fresh.get(order.order_id)
        if state is not None and order.event != ORDER_COMPLETED:
            state.hear(order)
            touched[order.order_id] = state
    _store(fresh, [state for state in touched.values() if state.id], source=source)


def read_states(source: int, order_ids: Iterable[str]) -> dict[str, OrderState]:
    """The orders of that source, locked."""
    rows = Order.objects.filter(source=source, order_id__in=sorted(order_ids)).order_by("pk")
    return {
        row.order_id: OrderState(
            row.pk, row.profile_id, row.placed_at, row.state, row.currency, row.total, row.refunded,
            row.coupon_code, json.dumps(row.items, ensure_ascii=False),
        )
        for row in rows.select_for_update(no_key=True)
    }  # fmt: skip


def _new(call: Call, order: OrderSaid, person: int) -> OrderState:
    return OrderState(
        0, person, call.occurred_at, order.state or Order.State.PAID, order.currency, order.total or 0, 0,
        order.coupon, to_items(order.items),
    )  # fmt: skip


def _hear_earlier(fresh: dict[str, OrderState], *, source: int, besides: set[str]) -> None:
    """Apply refunds and cancellations that arrived before their order; those of this very batch come later."""
    people = {state.profile for state in fresh.values()}
    if not people or not EventStats.objects.filter(profile__in=people, name__in=LATER).exists():
        return
    events = Event.objects.filter(profile__in=people, name__in=LATER, source=source).exclude(key__in=besides)
    for name, properties in events.order_by("id").values_list("name", "properties"):
        state = fresh.get(str(properties.get("order_id", "")))
        if state is not None:
            state.hear(read_order(name, properties))


def _store(fresh: dict[str, OrderState], changed: list[OrderState], *, source: int) -> None:
    if fresh:
        rows = [
            (source, order_id, s.profile, s.placed_at, s.state, s.currency, s.total, s.refunded, s.net_reporting,
             s.coupon, s.items)
            for order_id, s in sorted(fresh.items())
        ]  # fmt: skip
        insert("segments_order", NEW, rows, conflict="(source_id, order_id) DO NOTHING")
    if changed:
        changed.sort(key=lambda state: state.id)
        update(
            "segments_order",
            CHANGED,
            [(s.id, s.state, s.total, s.refunded, s.net_reporting, s.coupon, s.items) for s in changed],
        )
