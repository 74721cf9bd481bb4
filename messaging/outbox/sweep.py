"""The sweeper: what a dead, slow or unlucky worker left behind finds its way, by the database's clock."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from messaging.models import Delivery
from messaging.outbox.judge import MOST_CLAIMS
from messaging.outbox.ledger import Change, DatabaseNow
from messaging.outbox.settle import tell_failures
from messaging.retry import retrying

SLICE = 2000  # rows a statement moves at most, so that no sweep holds locks for long
UNKNOWN_AFTER = timedelta(hours=72)
RESEND_AFTER = timedelta(minutes=15)
CLEARED = {"lease_token": None, "lease_until": None}


@dataclass(frozen=True)
class Swept:
    """How many rows each rule moved."""

    doubted: int = 0
    concluded: int = 0
    returned: int = 0
    poisoned: int = 0
    released: int = 0
    expired: int = 0
    resent: int = 0
    unknown: int = 0
    pruned: int = 0

    @property
    def moved(self) -> dict[str, int]:
        return {name: count for name, count in asdict(self).items() if count}


def sweep(now: datetime) -> Swept:
    """Apply every rule once, each in short transactions of its own. Any number of sweepers may run."""
    return Swept(
        doubted=_doubt(now),
        concluded=_conclude(now),
        poisoned=_poison(now),
        returned=_return(),
        expired=_expire(now),
        released=_release(now),
        resent=_resend(now),
        unknown=_give_up(now),
        pruned=_prune(now),
    )


def _move(rows: QuerySet[Delivery], **to: Any) -> int:
    """Update up to SLICE of the rows, skipping what others hold; repeats until none is left."""
    total = 0
    while True:

        def work() -> int:
            with transaction.atomic():
                locked = rows.select_for_update(skip_locked=True, no_key=True).order_by("pk")
                ids = list(locked.values_list("pk", flat=True)[:SLICE])
                return rows.filter(pk__in=ids).update(**to) if ids else 0

        moved = retrying(work)
        total += moved
        if moved < SLICE:
            return total


def _doubt(now: datetime) -> int:
    """attempting, lease over: a marker without an answer. In doubt, and never planned again from here."""
    lost = Delivery.objects.filter(state="attempting", lease_until__lt=DatabaseNow())
    return _move(lost, state="in_doubt", reason="no answer", settled_at=now, **CLEARED)


def _conclude(now: datetime) -> int:
    """in doubt, but its worker did write the last attempt's answer, late: that is proof."""
    late: dict[str, Any] = {"reason": "late answer", "settled_at": now}
    total = _move_by_ids(_answered("sent"), state="accepted", **late)
    total += _move_by_ids(_answered("permanent"), state="rejected", **late)
    again = late | {"not_before": now, "sent_at": None, "settled_at": None}
    return total + _move_by_ids(_answered("transient", "not_begun"), state="planned", **again)


def _answered(*outcomes: str) -> QuerySet[Delivery]:
    """Those in doubt whose last attempt ended so. Both words about the attempt stand in one filter: in two they may
    speak of two attempts, and the refusal of the first would send the second again."""
    return Delivery.objects.filter(state="in_doubt", tries__n=F("attempts"), tries__outcome__in=outcomes)


def _move_by_ids(rows: QuerySet[Delivery], **to: Any) -> int:
    ids = list(rows.values_list("pk", flat=True)[:SLICE])
    return _move(Delivery.objects.filter(pk__in=ids, state="in_doubt"), **to) if ids else 0


def _return() -> int:
    """claimed, lease over, surely not begun: planned again, and one claim more on its account."""
    over = Delivery.objects.filter(state="claimed", lease_until__lt=DatabaseNow(), claims__lt=MOST_CLAIMS)
    return _move(over, state="planned", claims=F("claims") + 1, **CLEARED)


def _poison(now: datetime) -> int:
    """Claimed more than five times and never attempted: it kills whoever takes it."""

    def work() -> int:
        with transaction.atomic():
            over = Delivery.objects.filter(state="claimed", lease_until__lt=DatabaseNow(), claims__gte=MOST_CLAIMS)
            locked = over.select_for_update(skip_locked=True, no_key=True).order_by("pk")
            ids = list(locked.values_list("pk", flat=True)[:SLICE])
            over.filter(pk__in=ids).update(
                state="poisoned", reason="claims", settled_at=now, claims=F("claims") + 1, **CLEARED
            )
            tell_failures([Change(pk, "poisoned", "claims") for pk in ids], now=now)
            return len(ids)

    return retrying(work)


def _expire(now: datetime) -> int:
    late = Delivery.objects.filter(state__in=["planned", "held"], expires_at__lte=now)
    return _move(late, state="expired", reason="expired", settled_at=now)


def _release(now: datetime) -> int:
    """held, and its time has come: back to the queue, where the gates look again."""
    return _move(Delivery.objects.filter(state="held", not_before__lte=now), state="planned", reason="")


def _resend(now: datetime) -> int:
    """Transactional, in doubt for 15 minutes, account allows it: one re-send, before it expires."""
    alive = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    doubtful = Delivery.objects.filter(
        alive, state="in_doubt", klass="transactional", attempts=1, settled_at__lte=now - RESEND_AFTER,
        tries__account__resend_transactional=True,
    )  # fmt: skip
    return _move_by_ids(
        doubtful.exclude(channel="sms"), state="planned", reason="re-send", not_before=now, sent_at=None
    )


def _give_up(now: datetime) -> int:
    """In doubt for 72 hours without any proof: unknown, a number of its own in every report."""
    old = Delivery.objects.filter(state="in_doubt", settled_at__lte=now - UNKNOWN_AFTER)
    return _move(old, state="unknown", settled_at=now)


def _prune(now: datetime) -> int:
    """Delete messages that never left (skipped, expired, cancelled) after OUTBOX_KEEP_DAYS; blank keeps all."""
    if not settings.OUTBOX_KEEP_DAYS:
        return 0
    before = now - timedelta(days=int(settings.OUTBOX_KEEP_DAYS))
    old = Delivery.objects.filter(state__in=["skipped", "expired", "cancelled"], ghost=False, planned_at__lt=before)
    ids = list(old.values_list("pk", flat=True)[:SLICE])
    return Delivery.objects.filter(pk__in=ids).delete()[1].get("messaging.Delivery", 0) if ids else 0
