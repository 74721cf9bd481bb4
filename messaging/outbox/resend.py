"""Sending again what is in doubt: a person's decision, never the engine's, and written down with who and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from common.audit import record
from common.states import move
from messaging.models import Attempt, Delivery

PROVEN = (Attempt.Outcome.SENT, Attempt.Outcome.PERMANENT)


def resend(pk: int, *, now: datetime, by: Any, why: str) -> bool:
    """Plan a message in doubt once more: the same row under the same key, its attempts kept, through every gate
    again. False when it is not (or no longer) in doubt, when its answer has come, or when it has expired.

    The person may get it twice: nobody knows whether the provider took it the first time.
    """
    with transaction.atomic():
        row = resendable(now).filter(pk=pk)
        fields: dict[str, Any] = {
            "reason": "by_hand_again",
            "not_before": now,
            "sent_at": None,
            "settled_at": None,
            "claims": 0,
        }
        if not move(row, Delivery.MOVES, Delivery.State.PLANNED, **fields):
            return False
        public_id = Delivery.objects.values_list("public_id", flat=True).get(pk=pk)
        record("delivery.resend", f"delivery:{public_id}", now=now, actor=by, reason=why)
    return True


def resendable(now: datetime) -> QuerySet[Delivery]:
    """Messages in doubt that could go out again: without a written answer to the last attempt, and in time."""
    answered = Attempt.objects.filter(delivery=OuterRef("pk"), n=OuterRef("attempts"), outcome__in=PROVEN)
    alive = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    return Delivery.objects.filter(alive, ~Exists(answered), state__in=Delivery.DOUBTFUL)
