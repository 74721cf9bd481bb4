"""The switch in hand: pause what is named, lift it again, and let what it held go at once."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from messaging.gates.pause import reason_of
from messaging.models import Delivery, Pause


def pause(scope: str, value: str = "", *, reason: str, by: str, now: datetime, until: datetime | None = None) -> Pause:
    """Stop sending for a scope (Pause.Scope; `value` its key). An open pause of the same is kept as it is."""
    try:
        with transaction.atomic():
            return Pause.objects.create(
                scope=scope, value=value, reason=reason, started_at=now, started_by=by, until=until
            )
    except IntegrityError:
        return Pause.objects.get(scope=scope, value=value, ended_at__isnull=True)


def lift(scope: str, value: str = "", *, by: str, now: datetime) -> int:
    """End the open pause and plan what it holds for now; returns how many messages that frees."""
    with transaction.atomic():
        Pause.objects.filter(scope=scope, value=value, ended_at__isnull=True).update(ended_at=now, ended_by=by)
        held = Delivery.objects.filter(state="held", reason=reason_of(scope, value))
        return held.update(state="planned", reason="", not_before=now)


def cancel(*, reason: str, now: datetime, **selection: object) -> int:
    """Cancel what has not been claimed yet; what is claimed meets its gates. Returns how many."""
    waiting = Delivery.objects.filter(state__in=["planned", "held"], **selection)
    return waiting.update(state="cancelled", reason=reason, settled_at=now)
