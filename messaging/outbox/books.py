"""Reconciliation: once a day the ledger is counted against itself, and what does not fit raises an alarm.

The sum of a day's messages by state must be their number; and, since states alone always add up, each state must
agree with the attempts beneath it: what was accepted has an attempt that says so (or a proof that came later), what
an attempt says was sent stands nowhere else, nothing was sent twice, nothing hangs. Days are those of `planned_at`
in UTC; a day is counted again for a week, because its messages still move.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from messaging.models import Attempt, Delivery, Reconciliation
from messaging.outbox.reads import Balance, balance
from segments.models import Profile

log = logging.getLogger(__name__)
DAYS = 7  # that are counted again
SAMPLES = 5
STUCK = timedelta(minutes=10)  # after the lease
OVERDUE = timedelta(hours=1)
ALARMS = frozenset({"sum", "twice", "unbooked", "unproven", "unmarked", "stuck", "vanished"})
ALIVE = ("planned", "held", "claimed", "skipped", "expired", "cancelled", "render_failed", "poisoned", "undeliverable")


@dataclass(frozen=True)
class Finding:
    """What does not fit: how many messages, and the public ids of some. An overdue message is worth a look, all the
    others are an alarm."""

    code: str
    count: int
    samples: tuple[str, ...] = ()

    @property
    def is_alarm(self) -> bool:
        return self.code in ALARMS


def reconcile(now: datetime) -> list[Reconciliation]:
    """Count the last days that have not been counted today; returns those that were."""
    today = now.astimezone(UTC).date()
    days = [today - timedelta(days=back) for back in range(1, DAYS + 1)]
    midnight = datetime.combine(today, time(), UTC)
    done = set(Reconciliation.objects.filter(day__in=days, made_at__gte=midnight).values_list("day", flat=True))
    return [count_day(day, now=now) for day in sorted(days) if day not in done]


def count_day(day: date, *, now: datetime) -> Reconciliation:
    """Count one day's messages and keep the result; an alarm is logged."""
    start = datetime.combine(day, time(), UTC)
    window = {"planned_at__gte": start, "planned_at__lt": start + timedelta(days=1)}
    books = balance(**window)
    before = Reconciliation.objects.filter(day=day).first()
    found = [one for one in findings(Delivery.objects.filter(**window), books, before, now) if one.count]
    alarms = sum(one.count for one in found if one.is_alarm)
    if alarms:
        log.error("the books of %s do not fit: %s", day, ", ".join(f"{one.code} {one.count}" for one in found))
    row, _ = Reconciliation.objects.update_or_create(
        day=day,
        defaults={
            **{name: getattr(books, name) for name in ("planned", "sent", "skipped", "failed", "waiting", "in_doubt")},
            "made_at": now,
            "findings": [{"code": one.code, "count": one.count, "samples": list(one.samples)} for one in found],
            "alarms": alarms,
        },
    )
    return row


def findings(
    rows: QuerySet[Delivery], books: Balance, before: Reconciliation | None, now: datetime
) -> Iterator[Finding]:
    """Everything that may not fit, also what does (with a count of nought)."""
    counted = rows.order_by().count()
    yield Finding("sum", abs(counted - (books.sent + books.skipped + books.failed + books.waiting + books.in_doubt)))
    sent = Attempt.objects.filter(delivery=OuterRef("pk"), outcome="sent")
    last = Attempt.objects.filter(delivery=OuterRef("pk"), n=OuterRef("attempts"))
    yield _finding("twice", rows.filter(pk__in=_sent_twice(rows)))
    yield _finding("unbooked", rows.filter(Exists(last.filter(outcome="sent")), state__in=ALIVE))
    yield _finding("unproven", rows.filter(~Exists(sent), state="accepted", reason=""))
    marked = ("attempting", "in_doubt", "unknown", "accepted", "rejected")
    yield _finding("unmarked", rows.filter(~Exists(last), state__in=marked))
    yield _finding("stuck", rows.filter(state__in=["claimed", "attempting"], lease_until__lt=now - STUCK))
    yield _finding("overdue", rows.filter(Q(state="planned") | Q(state="held"), not_before__lt=now - OVERDUE))
    yield Finding("vanished", _vanished(counted, before))


def _finding(code: str, rows: QuerySet[Delivery]) -> Finding:
    count = rows.order_by().count()
    samples = rows.order_by("pk").values_list("public_id", flat=True)[:SAMPLES] if count else ()
    return Finding(code, count, tuple(map(str, samples)))


def _sent_twice(rows: QuerySet[Delivery]) -> list[int]:
    """Messages that two attempts say were accepted; a person who sent one in doubt again was told that this may be."""
    tried = rows.filter(attempts__gt=1).values("pk")
    again = Attempt.objects.filter(delivery__in=tried, outcome="sent").values_list("delivery")
    return [pk for (pk,) in again.annotate(n=Count("pk")).filter(n__gt=1).values_list("delivery")[:1000]]


def _vanished(counted: int, before: Reconciliation | None) -> int:
    """How many fewer there are than when they were last counted. Erasing a person makes fewer, and so does pruning
    what never left within the week: then nobody can tell."""
    pruned = settings.OUTBOX_KEEP_DAYS and int(settings.OUTBOX_KEEP_DAYS) <= DAYS + 1
    if before is None or counted >= before.planned or pruned:
        return 0
    erased = Profile.objects.filter(erased_at__gte=before.made_at).exists()
    return 0 if erased else before.planned - counted


def standing(now: datetime) -> tuple[list[Reconciliation], date | None]:
    """Counted days with an alarm, newest first, and the last counted day; for doctor and the outbox page."""
    week = now.astimezone(UTC).date() - timedelta(days=DAYS)
    rows = list(Reconciliation.objects.filter(day__gte=week).order_by("-day"))
    return [row for row in rows if row.alarms], rows[0].day if rows else None


def is_due(last: date | None, now: datetime) -> bool:
    """Whether the counting itself is late: more than two days, although there was something to count."""
    oldest: Any = now - timedelta(days=2)
    if last is not None and last >= (oldest - timedelta(days=1)).astimezone(UTC).date():
        return False
    return Delivery.objects.filter(planned_at__lt=oldest, planned_at__gte=oldest - timedelta(days=DAYS)).exists()
