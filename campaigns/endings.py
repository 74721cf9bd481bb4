"""Ending walks from outside: a fact, an archive or an erasure closes the enrolment and the visit it stands in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from campaigns.models import Enrolment, Visit

UNDER_WAY = (Enrolment.State.ACTIVE, Enrolment.State.PARKED)
PAGE = 2000


@dataclass(frozen=True)
class Ending:
    """One enrolment that is to end now, and why."""

    enrolment: int
    reason: str


def end_walks(endings: Sequence[Ending], *, now: datetime) -> int:
    """End those still under way as "exited"; returns how many. Two statements per reason."""
    by_reason: dict[str, list[int]] = {}
    for ending in endings:
        by_reason.setdefault(ending.reason[:200], []).append(ending.enrolment)
    return sum(_end(ids, reason, now=now) for reason, ids in by_reason.items())


def end_all(journey: int, *, reason: str, now: datetime) -> int:
    """End everybody under way in a journey, in short transactions; returns how many."""
    total = 0
    while True:
        with transaction.atomic():
            rows = Enrolment.objects.filter(journey=journey, state__in=UNDER_WAY).order_by("pk")
            ids = list(rows.select_for_update(no_key=True).values_list("pk", flat=True)[:PAGE])
            total += _end(ids, reason, now=now)
        if len(ids) < PAGE:
            return total


def _end(ids: list[int], reason: str, *, now: datetime) -> int:
    open_rows = Enrolment.objects.filter(pk__in=ids, state__in=UNDER_WAY)
    ended = open_rows.update(
        state=Enrolment.State.EXITED, reason=reason, ended_at=now, due_at=None, awaiting="", awaiting_since=None
    )
    Visit.objects.filter(enrolment__in=ids, left_at__isnull=True).update(left_at=now, reason=reason)
    return ended
