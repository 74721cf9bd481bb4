"""Receipts: what providers say later about a message, kept raw, applied once, matched when the message is known.

A provider repeats itself, changes ids on the way and sends things out of order. So a receipt is one by its natural
key (message, kind, second), what a message has reached only rises, a word that comes before our own settlement waits
until it can be matched, and a flood of harm is held for a person's decision (docs/receipts.md).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import OperationalError, transaction

from common import parking
from messaging import flood, permission
from messaging.answers import Reached, conclude, prove_arrival, raise_reached, record_click, record_open
from messaging.machines import Visit
from messaging.models import Delivery, Receipt, Suppression
from messaging.receipts import Word
from messaging.retry import retrying
from messaging.statements import EVERYTHING
from messaging.tokens import Named
from segments.facts import names

log = logging.getLogger(__name__)
Kind = Receipt.Kind
MATCHING = timedelta(days=7)  # how long a word may wait for its message
BATCH = 500
READER = "receipts"  # under which what fails for good is parked
TRIES = 5
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Taken:
    """How many words were new, and how many of all waiting ones were applied."""

    new: int = 0
    applied: int = 0


def take_words(words: Iterable[Word], *, provider: str, now: datetime) -> Taken:
    """Keep the words, then apply those whose message is known. The same words again change nothing."""
    rows = {
        word.natural_key: Receipt(
            provider=provider[:40],
            natural_key=word.natural_key[:255],
            kind=word.kind if word.kind in Kind.values else Kind.OTHER,
            at=word.at,
            received_at=now,
            raw={"ref": word.ref, "said": dict(word.raw)},
        )
        for word in words
    }
    known = Receipt.objects.filter(provider=provider[:40], natural_key__in=[key[:255] for key in rows])
    there = set(known.values_list("natural_key", flat=True))
    new = [row for row in rows.values() if row.natural_key not in there]
    flood.keep(new, provider=provider, now=now)
    ids = known.filter(matched_at__isnull=True, held=False).order_by("at", "pk").values_list("pk", flat=True)
    return Taken(len(new), apply_all(list(ids), now))


def match_receipts(now: datetime) -> int:
    """Apply words that came before their message was known (or failed to apply); returns how many."""
    waiting = Receipt.objects.filter(matched_at__isnull=True, held=False, received_at__gt=now - MATCHING)
    rows = waiting.exclude(kind=Kind.HEARD)  # those are obeyed, not matched (messaging.hearing)
    return apply_all(list(rows.order_by("received_at", "pk").values_list("pk", flat=True)[:BATCH]), now)


def apply_all(ids: Iterable[int], now: datetime) -> int:
    """Apply kept words, one by one; returns how many were applied. One that fails does not stop the others."""
    done = 0
    for pk in ids:
        try:
            done += apply_receipt(pk, now=now)
        except OperationalError:  # the database's fault, not the word's: it waits
            log.exception("receipt %s could not be applied", pk)
        except Exception as error:  # noqa: BLE001 - one word must not stop the others; parked with its reason
            _fails(pk, error, now)
    return done


def _fails(pk: int, error: Exception, now: datetime) -> None:
    """Count a failed try; what has failed too often is set aside until a person tries it again."""
    tries = parking.park(READER, f"receipt:{pk}", error, now=now)
    log.error("receipt %s could not be applied, try %s", pk, tries, exc_info=error)
    if tries >= TRIES:
        Receipt.objects.filter(pk=pk, matched_at__isnull=True).update(matched_at=now)


@parking.can_retry(READER)
def retry_receipt(subject: str, now: datetime) -> None:
    """Apply a word that was set aside. Raises what it fails with."""
    pk = int(subject.removeprefix("receipt:"))
    with transaction.atomic():
        Receipt.objects.filter(pk=pk, delivery__isnull=True).update(matched_at=None)
        apply_receipt(pk, now=now)


def apply_receipt(pk: int, *, now: datetime) -> bool:
    """Apply one kept word to its message, in one transaction; False when it is applied already, or too early."""

    def work() -> bool:
        with transaction.atomic():
            receipt = Receipt.objects.select_for_update().filter(pk=pk, matched_at__isnull=True).first()
            row = delivery_of(str(receipt.raw.get("ref", ""))) if receipt is not None else None
            if receipt is None or row is None or row.state in ("planned", "held", "claimed", "attempting"):
                return False
            _apply(receipt, row, now)
            Receipt.objects.filter(pk=pk).update(delivery=row, matched_at=now, held=False)
            return True

    return retrying(work)


def delivery_of(ref: str) -> Delivery | None:
    """The message of a reference that holds its public id, as our Message-ID does."""
    found = _UUID.search(ref)
    rows = Delivery.objects.filter(ghost=False).defer("context", "utm")
    return rows.filter(public_id=UUID(found[0])).first() if found else None


def _apply(receipt: Receipt, row: Delivery, now: datetime) -> None:
    """Locks in their order: the address (by the verbs of permission) before the message."""
    kind, address, ref = receipt.kind, row.address_id, str(row.public_id)
    if kind in (Kind.OPENED, Kind.CLICKED):
        agent = receipt.raw.get("said", {}).get("user_agent")
        note = record_click if kind == Kind.CLICKED else record_open
        note(Named(row.pk), Visit(user_agent=agent if isinstance(agent, str) else ""), now=receipt.at)
    elif kind == Kind.DELIVERED:
        prove_arrival(row.pk, address, now=receipt.at)
    elif kind in (Kind.SOFT, Kind.HARD):
        if address is not None:
            permission.note_bounce(address, kind, now, delivery=ref)
        conclude(row.pk, "accepted", "bounced later", now=now)
        raise_reached(row.pk, Reached.HARD if kind == Kind.HARD else Reached.SOFT)
    elif kind == Kind.COMPLAINED:
        _complained(row, now)
    elif kind == Kind.UNSUBSCRIBED:
        if address is not None:
            said = {"receipt": receipt.natural_key}
            permission.withdraw(
                address,
                row.topic or EVERYTHING,
                now=now,
                source=receipt.provider,
                evidence=said,
                delivery=ref,
            )
        raise_reached(row.pk, Reached.UNSUBSCRIBED)
    elif kind == Kind.REJECTED:
        conclude(row.pk, "rejected", "refused by the provider", now=now)


def _complained(row: Delivery, now: datetime) -> None:
    """A complaint stops everything but transactional messages to that address, at once."""
    if row.address_id is not None:
        permission.suppress(row.address_id, Suppression.Reason.COMPLAINT, now)
        address = permission.lock(row.address_id)
        said = {"delivery": str(row.public_id)}
        permission.tell(address, names.COMPLAINED, f"complained:{row.public_id}", said, now=now)
    conclude(row.pk, "accepted", "complained about", now=now)
    raise_reached(row.pk, Reached.COMPLAINED)
