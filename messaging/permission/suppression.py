"""Addresses that get nothing more: by bounce, complaint, hand, erasure or silence, kept as keyed hashes."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

from django.conf import settings
from django.db import transaction

from messaging.models import Address, Suppression
from messaging.permission.owner import lock, tell
from messaging.retry import retrying
from segments.facts import names

SOFT_LIMIT = 5


def digest(channel: str, value: str) -> str:
    """The keyed hash under which a suppressed address is remembered; the key is never rotated."""
    return hmac.new(settings.SUPPRESSION_KEY.encode(), f"{channel}:{value}".encode(), hashlib.sha256).hexdigest()


def is_suppressed(channel: str, value: str) -> bool:
    return Suppression.objects.filter(channel=channel, digest=digest(channel, value)).exists()


def suppress(address: Address | int, reason: str, now: datetime, *, note: str = "") -> bool:
    """Never write to this address again (reasons: Suppression.Reason). Returns whether that is new."""

    def work() -> bool:
        with transaction.atomic():
            row = lock(address)
            return _suppress(row, reason, now, note)

    return retrying(work)


def _suppress(row: Address, reason: str, now: datetime, note: str) -> bool:
    return suppress_value(row.channel, row.value, reason, now, note=note)


def suppress_value(channel: str, value: str, reason: str, now: datetime, *, note: str = "") -> bool:
    """The same for an address that may have no row yet. Call inside a transaction, with the row locked if any."""
    hashed = digest(channel, value)
    kept, made = Suppression.objects.get_or_create(
        channel=channel, digest=hashed, defaults={"reason": reason, "at": now, "note": note}
    )
    if not made and gravity(reason) > gravity(kept.reason):
        Suppression.objects.filter(pk=kept.pk).update(reason=reason, at=now, note=note)
        kept.reason, made = reason, True
    Address.objects.filter(channel=channel, value=value).exclude(suppressed=kept.reason).update(suppressed=kept.reason)
    return made


def gravity(reason: str) -> int:
    """Reasons that stop transactional mail too outweigh those that do not."""
    return 1 if reason in (Suppression.Reason.HARD, Suppression.Reason.ERASED) else 0


def lift_suppression(address: Address | int) -> None:
    """Write to this address again: a person decided so (the caller audits it)."""

    def work() -> None:
        with transaction.atomic():
            row = lock(address)
            Suppression.objects.filter(channel=row.channel, digest=digest(row.channel, row.value)).delete()
            Address.objects.filter(pk=row.pk).update(suppressed="", soft_bounces=0)

    retrying(work)


def note_bounce(address: Address | int, kind: str, now: datetime, *, delivery: str) -> None:
    """A message bounced: "hard" suppresses at once, "soft" after five in a row without success (RFC 3463:
    5.1.x hard, 4.x and 5.2.2 soft; 5.7.x is policy and says nothing about the address)."""

    def work() -> None:
        with transaction.atomic():
            row = lock(address)
            if not tell(
                row, names.BOUNCED, f"bounced:{delivery}:{kind}", {"kind": kind, "delivery": delivery}, now=now
            ):
                return
            if kind == "hard":
                _suppress(row, Suppression.Reason.HARD, now, "")
                return
            row.soft_bounces += 1
            row.save(update_fields=["soft_bounces"])
            if row.soft_bounces >= SOFT_LIMIT:
                _suppress(row, Suppression.Reason.SOFT, now, f"{row.soft_bounces} in a row")

    retrying(work)


def note_success(address_id: int) -> None:
    """A message surely arrived (delivered, opened, clicked): the row of soft bounces is broken."""
    Address.objects.filter(pk=address_id, soft_bounces__gt=0).update(soft_bounces=0)
