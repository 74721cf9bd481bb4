"""The tick: claim a batch, walk it as far as it goes, write it back, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from campaigns.engine.claim import BATCH, claim_due, due_journeys, fits, listen
from campaigns.engine.hop import walk_on
from campaigns.engine.walk import Stop, Walk
from campaigns.models import Enrolment, Visit
from campaigns.plans import load_plans
from campaigns.rows import insert_rows, update_rows
from common.models import Parked

log = logging.getLogger(__name__)
READER = "engine"
PLACE = {
    "id": "bigint", "state": "text", "reason": "text", "node": "text", "visit": "integer", "due_at": "timestamptz",
    "awaiting": "text", "awaiting_since": "timestamptz", "tries": "smallint", "moved_at": "timestamptz",
    "ended_at": "timestamptz",
}  # fmt: skip
CONTEXT = {"id": "bigint", "context": "jsonb"}
NEW_VISIT = {
    "enrolment_id": "bigint", "n": "integer", "journey_id": "bigint", "node": "text", "entered_at": "timestamptz",
    "left_at": "timestamptz", "port": "text", "reason": "text",
}  # fmt: skip
LEFT_VISIT = {"enrolment_id": "bigint", "n": "integer", "left_at": "timestamptz", "port": "text", "reason": "text"}


@dataclass(frozen=True)
class Advance:
    """How many enrolments were claimed, and of them how many ended, were parked, or are to be tried again."""

    claimed: int = 0
    ended: int = 0
    parked: int = 0
    failed: int = 0

    def __add__(self, other: Advance) -> Advance:
        return Advance(
            self.claimed + other.claimed,
            self.ended + other.ended,
            self.parked + other.parked,
            self.failed + other.failed,
        )


def advance(now: datetime, *, batch: int = BATCH, go_on: Callable[[], bool] = lambda: True) -> Advance:
    """Move everybody who is due at `now`, batch by batch, until nobody is left or `go_on` says no.

    What fits into one batch is moved together. When more is due the journeys take turns, a batch each, so that one
    with very many due holds up no other for longer than a round.
    """
    total = Advance()
    while True:
        before = total.claimed
        for journey in [None] if fits(now, batch) else due_journeys(now):
            total += tick(now, batch=batch, journey=journey)
            if not go_on():
                return total
        if total.claimed == before:
            return total


def tick(now: datetime, *, batch: int = BATCH, journey: int | None = None) -> Advance:
    """Move one batch (of one journey, when given), in one transaction: the statements do not depend on its size, only
    on how many different nodes people stand at. Several may run at once; each enrolment is moved by one of them."""
    with transaction.atomic():
        walks = claim_due(now, batch, journey=journey)
        if not walks:
            return Advance()
        plans = load_plans(walk.version for walk in walks)
        listen(walks, plans)
        walk_on(walks, plans, now)
        _write(walks, now)
    done = Advance(
        claimed=len(walks),
        ended=sum(walk.ended_at is not None for walk in walks),
        parked=sum(walk.state == Enrolment.State.PARKED for walk in walks),
        failed=sum(walk.state == Enrolment.State.ACTIVE and walk.tries > 0 for walk in walks),
    )
    log.info("advanced claimed=%s ended=%s parked=%s failed=%s", done.claimed, done.ended, done.parked, done.failed)
    return done


def _write(walks: Sequence[Walk], now: datetime) -> None:
    update_rows(Enrolment, PLACE, [_place(walk) for walk in walks])
    changed = [(walk.id, walk.context) for walk in walks if walk.context_changed]
    if changed:
        update_rows(Enrolment, CONTEXT, changed)
    began = [_new(walk, stop) for walk in walks for stop in walk.stops if not stop.stored]
    if began:
        insert_rows(Visit, NEW_VISIT, began)
    left = [
        (walk.id, stop.n, stop.left_at, stop.port, stop.reason)
        for walk in walks for stop in walk.stops if stop.stored
    ]  # fmt: skip
    if left:
        update_rows(Visit, LEFT_VISIT, left, keys=2)
    _write_parked([walk for walk in walks if walk.state == Enrolment.State.PARKED], now)


def _place(walk: Walk) -> tuple[object, ...]:
    return (
        walk.id, walk.state, walk.reason, walk.node, walk.visit, walk.due_at, walk.awaiting, walk.awaiting_since,
        walk.tries, walk.moved_at, walk.ended_at,
    )  # fmt: skip


def _new(walk: Walk, stop: Stop) -> tuple[object, ...]:
    return (
        walk.id, stop.n, walk.journey, stop.node, stop.entered_at, stop.left_at, stop.port, stop.reason,
    )  # fmt: skip


def _write_parked(walks: Sequence[Walk], now: datetime) -> None:
    """One row each for the list of parked work; a row that was resolved before is opened again."""
    if not walks:
        return
    Parked.objects.bulk_create(
        [
            Parked(at=now, reader=READER, subject=f"enrolment:{walk.id}", reason=walk.reason, tries=walk.tries)
            for walk in walks
        ],
        update_conflicts=True,
        unique_fields=["reader", "subject"],
        update_fields=["at", "reason", "tries", "resolved_at"],
    )
    for walk in walks:
        log.warning("parked enrolment=%s node=%s reason=%s", walk.id, walk.node, walk.reason)
