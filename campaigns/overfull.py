"""Leaving a journey because of a limit: where a rule says so, a message too many ends the walk that sent it.

A gate skips the message with the reason "leaves:…" and cannot end a walk, which lies above it; its word is read here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from campaigns.endings import UNDER_WAY, Ending, end_walks
from campaigns.models import Enrolment
from messaging.models import Delivery

BACK = timedelta(days=2)  # what was missed while nobody looked
PAGE = 500


def end_overfull(now: datetime) -> int:
    """End the walks under way of which a message was skipped so; returns how many. Asked again, it does nothing."""
    total = 0
    while True:
        ended = _end_page(now)
        total += ended
        if ended < PAGE:
            return total


def _end_page(now: datetime) -> int:
    said = Delivery.objects.filter(
        state="skipped", reason__startswith="leaves:", settled_at__gt=now - BACK, settled_at__lte=now
    )
    walks = Enrolment.objects.filter(pk=OuterRef("enrolment"), state__in=UNDER_WAY)
    rows = said.filter(Exists(walks)).order_by("settled_at", "pk").values_list("enrolment", "reason")
    with transaction.atomic():
        reasons = {walk: reason.removeprefix("leaves:") for walk, reason in reversed(list(rows[:PAGE]))}
        return end_walks([Ending(walk, why) for walk, why in reasons.items() if walk is not None], now=now)
