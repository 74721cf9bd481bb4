"""Claiming what is due: a batch of enrolments that nobody else holds, and the facts that some of them wait for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from campaigns.engine.walk import Walk
from campaigns.models import SINCE, Enrolment, Journey
from campaigns.plans import Plan
from segments.facts.fact import Fact
from segments.models import Event

BATCH = 500
DUE = Q(state=Enrolment.State.ACTIVE)
OLDEST = timedelta(days=31)  # a fact that is older on arrival starts and wakes nothing
FIELDS = (
    "id", "journey_id", "version_id", "profile_id", "profile__public_id", "profile__timezone", "profile__locale",
    "profile__erased_at", "ghost", "arm", "node", "visit", "due_at", "awaiting", "awaiting_since", SINCE, "tries",
    "context", "depth", "entered_at", "moved_at",
)  # fmt: skip
FACT = (
    "id", "profile_id", "shard", "source_id", "kind", "name", "occurred_at", "received_at", "value", "properties",
    "context", "live", "depth",
)  # fmt: skip


def claim_due(now: datetime, limit: int = BATCH, *, journey: int | None = None) -> list[Walk]:
    """Lock up to `limit` enrolments of live journeys (or of this one) that are due, oldest first; rows held by others
    are skipped."""
    rows = _due(now) if journey is None else Enrolment.objects.filter(DUE, journey=journey, due_at__lte=now)
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True, of=("self",), no_key=True)
    return [_walk(row) for row in rows.order_by("due_at", "id").values_list(*FIELDS)[:limit]]


def fits(now: datetime, limit: int) -> bool:
    """Whether all that is due fits into one batch: then nobody has to take turns."""
    return _due(now).order_by("due_at", "id")[: limit + 1].count() <= limit


def due_journeys(now: datetime) -> list[int]:
    """Live journeys with somebody due. Whose turn is first moves on with the clock, so that a round that is cut short
    does not always leave out the same ones."""
    waiting = Enrolment.objects.filter(DUE, journey=OuterRef("pk"), due_at__lte=now)
    rows = Journey.objects.filter(Exists(waiting), state=Journey.State.LIVE).order_by("pk")
    found = list(rows.values_list("pk", flat=True))
    first = int(now.timestamp()) % len(found) if found else 0
    return found[first:] + found[:first]


def _due(now: datetime) -> QuerySet[Enrolment]:
    resting = list(Journey.objects.exclude(state=Journey.State.LIVE).values_list("pk", flat=True))
    rows = Enrolment.objects.filter(DUE, due_at__lte=now)
    return rows.exclude(journey__in=resting) if resting else rows


def claim_one(pk: int) -> list[Walk]:
    """Lock this enrolment if it is under way."""
    rows = Enrolment.objects.filter(pk=pk, state=Enrolment.State.ACTIVE, due_at__isnull=False)
    return [_walk(row) for row in rows.select_for_update(of=("self",), no_key=True).values_list(*FIELDS)]


def _walk(row: tuple[Any, ...]) -> Walk:
    (pk, journey, version, profile, public_id, timezone, locale, erased, ghost, arm, node, visit, due, awaiting,
     waiting, since, tries, context, depth, entered, moved) = row  # fmt: skip
    return Walk(
        id=pk, journey=journey, version=version, profile=profile, public_id=public_id, timezone=timezone,
        locale=locale, erased=erased is not None, ghost=ghost, arm=arm, node=node, visit=visit, moment=due,
        awaiting=awaiting, awaiting_since=waiting, since=since, tries=tries, context=context, depth=depth,
        entered_at=entered, moved_at=moved,
    )  # fmt: skip


def listen(walks: Sequence[Walk], plans: Mapping[int, Plan]) -> None:
    """Look in the log for those who wait for a fact, and tell each the first one that it wants.

    Done whenever a waiting walk is claimed: right after it began to wait (in a transaction of its own, so that
    a fact committed while the first was open is seen), when the reader of facts woke it, and at its time-out.
    One query for the whole batch.
    """
    waiting = [walk for walk in walks if walk.awaiting and walk.awaiting_since is not None]
    if not waiting:
        return
    since = min(walk.awaiting_since for walk in waiting if walk.awaiting_since)
    names = {walk.id: _awaited(walk, plans) for walk in waiting}
    rows = Event.objects.filter(
        profile__in={walk.profile for walk in waiting},
        name__in=frozenset().union(*names.values()),
        occurred_at__gte=since - OLDEST,
        received_at__gte=since,
        live=True,
    )
    heard: dict[int, list[Fact]] = {}
    for row in rows.order_by("tx", "id").values_list(*FACT):
        fact = Fact(*row)
        heard.setdefault(fact.profile, []).append(fact)
    for walk in waiting:
        mine = (fact for fact in heard.get(walk.profile, ()) if fact.name in names[walk.id])
        _hear(walk, next((fact for fact in mine if _is_it(fact, walk, plans)), None))


def _awaited(walk: Walk, plans: Mapping[int, Plan]) -> frozenset[str]:
    """Names of the facts that the walk's step waits for."""
    graph = plans[walk.version].graph
    node = graph.nodes.get(walk.node) if graph else None
    return node.awaits() if node else frozenset()


def _is_it(fact: Fact, walk: Walk, plans: Mapping[int, Plan]) -> bool:
    """Whether the fact came after the walk began to wait (not the one that moved it there), occurred after the walk's
    cause, and is wanted."""
    assert walk.awaiting_since is not None
    last = int(walk.context.get("_fact", 0))
    later = fact.received_at > walk.awaiting_since or (fact.received_at == walk.awaiting_since and fact.id > last)
    graph = plans[walk.version].graph
    node = graph.nodes.get(walk.node) if graph else None
    later = later and fact.occurred_at >= walk.since
    return later and fact.id != last and node is not None and node.step.wants(node.params, fact)


def _hear(walk: Walk, fact: Fact | None) -> None:
    if fact is None:
        return
    walk.heard, walk.moment = fact, fact.received_at
    walk.learn({"_fact": fact.id, "happened": {"name": fact.name, "value": fact.value, "properties": fact.properties}})
