"""Conversions: goal facts counted once across all campaigns, and the refunds that take them back."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction

from campaigns.credit import BATCH, REVERSALS, GoalRule, best_sale, read_goals, recredit
from campaigns.models import Conversion
from segments.facts.names import ORDER_REFUNDED
from segments.models import Event

Owners = Mapping[int, int]


class Said(Protocol):
    """What a conversion needs of a fact; both the log's Fact and an Event row have it."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def value(self) -> int | None: ...
    @property
    def properties(self) -> Any: ...


def order_of(properties: Mapping[str, Any]) -> str:
    """The order id that a fact names, as text of at most 120 characters; "" without one."""
    value = properties.get("order_id", properties.get("orderId"))
    return str(value).strip()[:120] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def key_of(name: str, order: str, fact: int) -> str:
    """What makes a conversion once: the order of that event, else the fact."""
    if not order:
        return f"fact:{fact}"
    key = f"order:{name}:{order}"
    return key if len(key) <= 200 else "order#" + hashlib.sha256(key.encode()).hexdigest()


def store_conversions(facts: Sequence[tuple[Said, int]], goals: Sequence[GoalRule]) -> list[int]:
    """Make the conversions of these facts, given with their person's id; returns ids of new and changed ones.

    A second fact of the same order changes nothing, unless the first carried no value and this one does. Refunds
    and cancellations become conversions of their own with a negative value, whichever came first.
    """
    sales = [(fact, who) for fact, who in facts if fact.name not in REVERSALS]
    touched = _store_sales([(f, who) for f, who in sales if any(g.matches(f.name, f.properties) for g in goals)])
    people = set(Conversion.objects.filter(pk__in=touched).exclude(order_ref="").values_list("profile_id", flat=True))
    earlier = Event.objects.filter(profile__in=people, name__in=REVERSALS)
    backs: dict[int, tuple[Said, int]] = {event.pk: (event, event.profile_id) for event in earlier}
    backs |= {fact.id: (fact, who) for fact, who in facts if fact.name in REVERSALS}
    return touched + _store_reversals([backs[pk] for pk in sorted(backs)])


def _store_sales(facts: Sequence[tuple[Said, int]]) -> list[int]:
    rows: dict[str, Conversion] = {}
    for fact, who in facts:
        order = order_of(fact.properties)
        row = Conversion(
            key=key_of(fact.name, order, fact.id),
            profile_id=who,
            fact=fact.id,
            name=fact.name,
            at=fact.occurred_at,
            value=fact.value or 0,
            currency=settings.CURRENCY,
            order_ref=order,
        )
        if row.key not in rows or (not rows[row.key].value and row.value):
            rows[row.key] = row
    known = {row.key: row for row in Conversion.objects.filter(key__in=rows)}
    Conversion.objects.bulk_create([row for key, row in rows.items() if key not in known], ignore_conflicts=True)
    priced = [row for key, row in known.items() if not row.value and rows[key].value]
    for row in priced:
        row.value = rows[row.key].value
    Conversion.objects.bulk_update(priced, ["value"], batch_size=BATCH)
    new = Conversion.objects.filter(key__in=rows.keys() - known.keys()).values_list("pk", flat=True)
    return [*new, *(row.pk for row in priced)]


def _store_reversals(facts: Sequence[tuple[Said, int]]) -> list[int]:
    """Refunds and cancellations of orders that are conversions; others wait until their order is one."""
    refs = {order_of(fact.properties) for fact, _ in facts} - {""}
    people = {who for _, who in facts}
    orders: dict[tuple[int, str], list[Conversion]] = defaultdict(list)
    for row in Conversion.objects.filter(profile__in=people, order_ref__in=refs):
        orders[row.profile_id, row.order_ref].append(row)
    taken = {row.fact for rows in orders.values() for row in rows}
    made = []
    for fact, who in facts:
        rows = orders.get((who, order_of(fact.properties)), [])
        back = _reversal(fact, rows) if fact.id not in taken else None
        if back is not None:
            rows.append(back)
            made.append(back)
    Conversion.objects.bulk_create(made, ignore_conflicts=True)
    return list(Conversion.objects.filter(key__in=[row.key for row in made]).values_list("pk", flat=True))


def _reversal(fact: Said, order: Iterable[Conversion]) -> Conversion | None:
    """The negative conversion of a refund (what it says) or a cancellation (what is left of the sale)."""
    sale = best_sale(row for row in order if row.name not in REVERSALS)
    if sale is None:
        return None
    left = sale.value + sum(row.value for row in order if row.name in REVERSALS)
    value = -abs(fact.value or 0) if fact.name == ORDER_REFUNDED else -max(left, 0)
    if not value:
        return None
    return Conversion(
        key=f"refund:{fact.id}",
        profile_id=sale.profile_id,
        fact=fact.id,
        name=fact.name,
        at=fact.occurred_at,
        value=value,
        currency=sale.currency,
        order_ref=sale.order_ref,
    )


def backfill(since: datetime, *, now: datetime) -> int:
    """Make the conversions of goal facts that lie in the log since then, for goals younger than their facts.

    Returns how many conversions were made or changed. Works in batches, each its own transaction.
    """
    goals, last, made = read_goals(), 0, 0
    names = {goal.fact for goal in goals} | set(REVERSALS)
    while True:
        with transaction.atomic():
            page = list(
                Event.objects.filter(pk__gt=last, name__in=names, occurred_at__gte=since).order_by("pk")[:BATCH]
            )
            found = store_conversions([(event, event.profile_id) for event in page], goals)
            recredit(found, now=now)
        if not page:
            return made
        made, last = made + len(found), page[-1].pk
