"""What happens to a population between two looks, and waiting until it may be read."""

from __future__ import annotations

import time
from datetime import datetime
from itertools import count
from typing import Any

_keys = count()


def new_facts(people: int, of: int, now: datetime, *, name: str = "Product Viewed") -> list[int]:
    """One new fact each for `people` people spread over the population `of`; returns who they are."""
    from django.db import transaction

    from segments.facts.append import append_facts

    ids = _spread(people, of)
    for start in range(0, len(ids), 10_000):
        with transaction.atomic():
            append_facts([_fact(one, name, now) for one in ids[start : start + 10_000]], now=now)
    return ids


def new_orders(people: int, of: int, now: datetime, *, turn: int = 0) -> list[int]:
    """One new order each, with its fact; at another `turn` by others, if there are enough people."""
    from django.db import transaction

    from segments.facts.append import append_facts
    from segments.models import Order

    ids = _spread(people, of, turn)
    facts = [_fact(one, "Order Completed", now) for one in ids]
    with transaction.atomic():
        Order.objects.bulk_create(
            Order(source_id=fact.source, order_id=fact.key, profile_id=fact.profile, placed_at=now, currency="USD",
                  total=5, net_reporting=5)
            for fact in facts
        )  # fmt: skip
        append_facts(facts, now=now)
    return ids


def settle(patience: float = 300) -> None:
    """Wait until every fact may be read: on PostgreSQL any open transaction of the cluster holds readers back."""
    from django.db import connection

    from segments.facts.position import horizon
    from segments.models import Event

    end = time.monotonic() + patience
    while connection.vendor == "postgresql" and _last_tx(Event) > horizon().tx:
        if time.monotonic() > end:
            raise TimeoutError("another transaction of this cluster has been open for too long")
        time.sleep(0.02)


def _last_tx(log: Any) -> int:
    return int(log.objects.order_by("-id").values_list("tx", flat=True).first() or 0)


def _spread(people: int, of: int, turn: int = 0) -> list[int]:
    step = max(1, of // people)
    return list(range(1 + turn % step, of + 1, step))[:people]


def _fact(person: int, name: str, now: datetime) -> Any:
    from segments.facts.fact import NewFact
    from segments.models import Source

    if not _source:
        _source.append(Source.objects.get(key="bench").pk)
    return NewFact(person, person % 16, name, now, f"c{next(_keys)}", _source[0])


_source: list[int] = []  # the same in every copy of a population
