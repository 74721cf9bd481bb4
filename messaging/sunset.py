"""Sunset: who does not read us is written to less, then no more, until they say otherwise.

Looked at once a day where an operator made a rule. What counts are marketing messages to an address after its last open
or click by a person; ghosts' messages do not. The rows are found by sets; addresses are changed under their own lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, Min, Q
from django.db.models.functions import Coalesce

from messaging.gates._policy import ALL, SILENT
from messaging.models import Address, Delivery, SendingRule, Suppression
from messaging.permission import lock, suppress_value, tell
from messaging.retry import retrying
from segments.facts import names

PAGE = 2000


@dataclass(frozen=True)
class Sunk:
    """How many addresses were slowed down, and stopped."""

    slowed: int = 0
    stopped: int = 0


def run_sunset(now: datetime) -> Sunk:
    """Apply every active rule once. Asked again, it does nothing more."""
    slowed = stopped = 0
    for rule in SendingRule.objects.filter(kind=SendingRule.Kind.SUNSET, active=True).order_by("pk"):
        for address, ignored in _silent(rule, now):
            if rule.stop_count and ignored >= rule.stop_count:
                stopped += _stop(address, ignored, now)
            elif rule.slow_days:
                slowed += _slow(address, ignored, now)
    return Sunk(slowed, stopped)


def _silent(rule: SendingRule, now: datetime) -> Iterator[tuple[int, int]]:
    """Addresses that ignored so many messages for so long, with how many, a page of addresses at a time."""
    owners = Address.objects.filter(suppressed="").order_by("pk")
    owners = owners.exclude(channel__in=SILENT) if rule.channel == ALL else owners.filter(channel=rule.channel)
    last = 0
    while ids := list(owners.filter(pk__gt=last).values_list("pk", flat=True)[:PAGE]):
        last = ids[-1]
        since = Q(address__last_engaged_at__isnull=True) | Q(sent_at__gt=F("address__last_engaged_at"))
        sent = Delivery.objects.filter(since, address__in=ids, klass="marketing", ghost=False, sent_at__lte=now)
        if rule.tag:
            sent = sent.filter(Q(topic=rule.tag) | Q(campaign=rule.tag))
        silent = (
            sent.values("address")
            .annotate(ignored=Count("pk"), quiet_since=Coalesce(F("address__last_engaged_at"), Min("sent_at")))
            .filter(ignored__gte=rule.count or 1, quiet_since__lte=now - timedelta(days=rule.after_days or 0))
            .order_by("address")
        )
        yield from silent.values_list("address", "ignored")


def _slow(pk: int, ignored: int, now: datetime) -> int:
    def work() -> int:
        with transaction.atomic():
            row = lock(pk)
            engaged = row.last_engaged_at
            if row.suppressed or (row.slowed_at is not None and (engaged is None or engaged <= row.slowed_at)):
                return 0
            Address.objects.filter(pk=pk).update(slowed_at=now)
            said = {"what": "slowed", "ignored": ignored}
            tell(row, names.SUNSET, f"sunset:slowed:{pk}:{now.timestamp():.0f}", said, now=now)
            return 1

    return retrying(work)


def _stop(pk: int, ignored: int, now: datetime) -> int:
    def work() -> int:
        with transaction.atomic():
            row = lock(pk)
            if row.suppressed or not suppress_value(
                row.channel, row.value, Suppression.Reason.SUNSET, now, note=f"{ignored} in a row"
            ):
                return 0
            said = {"what": "stopped", "ignored": ignored}
            tell(row, names.SUNSET, f"sunset:stopped:{pk}:{now.timestamp():.0f}", said, now=now)
            return 1

    return retrying(work)
