"""Claiming: what an account will send in about five seconds, under one lease, taken by nobody else."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from common.faults import faultpoint
from messaging.models import Account, Delivery
from messaging.outbox import accounts
from messaging.outbox.ledger import DatabaseNow, lease_length
from messaging.retry import retrying

FEWEST, MOST, SECONDS = 10, 500, 5.0
Band = tuple[int, QuerySet[Delivery]]  # a priority, and the rows that are due with it
SUSPECT = 2  # rows claimed this often without an attempt are claimed alone: one of them may kill its worker


@dataclass(frozen=True)
class Claim:
    """Rows (ids in the order to be sent) that this worker may send until the lease ends."""

    account: Account
    token: UUID
    ids: list[int] = field(default_factory=list)


def claim_due(account: Account, *, speed: float, now: datetime) -> Claim | None:
    """Claim what is due for an account in one short transaction; None when nothing is. `speed` is the
    messages a second this worker managed lately; never more than fits a third of the lease."""
    span = min(SECONDS, lease_length().total_seconds() / 3)
    want = max(FEWEST, min(MOST, int((account.rate or speed) * span)))
    claim = retrying(lambda: _claim(account, want, now))
    if claim is not None:
        faultpoint("after_claim")
    return claim


def _claim(account: Account, want: int, now: datetime) -> Claim | None:
    with transaction.atomic():
        reserved = accounts.reserve(account.pk, want, now)
        if reserved is None or reserved.count < 1:
            return None
        ids = _due(account, reserved.count, now)
        if not ids:
            return None
        token = uuid.uuid4()
        Delivery.objects.filter(pk__in=ids, state="planned").update(
            state="claimed", lease_token=token, lease_until=DatabaseNow(lease_length())
        )
        accounts.consume(reserved, len(ids), now)
    return Claim(reserved.account, token, ids)


def _due(account: Account, count: int, now: datetime) -> list[int]:
    mine = Q(account=account.pk)
    if account.is_default:
        mine |= Q(account__isnull=True)
    due = Delivery.objects.filter(mine, state="planned", channel=account.channel, not_before__lte=now)
    rows = due.order_by("not_before", "id").select_for_update(skip_locked=True, no_key=True)
    bands = [(priority, rows.filter(priority=priority)) for priority in _priorities(account.channel)]
    ids = _fairly([(priority, band.filter(claims__lt=SUSPECT)) for priority, band in bands], count, now)
    return ids or _suspect([band for _, band in bands])


def _priorities(channel: str) -> list[int]:
    """The priorities that messages wait with, the highest first, each found by one look into the index: asked for in
    one go, what is planned for later would be walked through again by every claim."""
    waiting = Delivery.objects.filter(state="planned", channel=channel).order_by("-priority")
    found: list[int] = []
    while True:
        lower = waiting.filter(priority__lt=found[-1]) if found else waiting
        priority = lower.values_list("priority", flat=True).first()
        if priority is None:
            return found
        found.append(priority)


def _fairly(bands: list[Band], count: int, now: datetime) -> list[int]:
    """Up to `count` ids, the highest priority first and the longest due first in each; but a tenth goes to whoever has
    waited longest, whatever the priority, so that nobody waits for ever."""
    heads = _take(bands, _spare(count, now)) if len(bands) > 1 else []
    chosen = set(sorted(heads, key=lambda row: row[1:])[: _spare(count, now)])
    for band in bands:
        left = count - len(chosen)
        if not left:
            break
        chosen.update([row for row in _take([band], left + len(chosen)) if row not in chosen][:left])
    return [pk for _, _, pk in sorted(chosen, key=lambda row: (-row[0], *row[1:]))]


def _take(bands: list[Band], count: int) -> list[tuple[int, datetime, int]]:
    """The first so many rows of each band as (priority, due, id)."""
    return [(priority, due, pk) for priority, rows in bands for due, pk in rows.values_list("not_before", "pk")[:count]]


def _spare(count: int, now: datetime) -> int:
    """A tenth of `count`. What is left over is given at some moments and not at others, so that also an account
    that sends one message at a time gives every tenth away."""
    return count // 10 + (now.microsecond // 1000 % 10 < count % 10)


def _suspect(bands: list[QuerySet[Delivery]]) -> list[int]:
    """One row that was claimed before and never attempted, alone."""
    for rows in bands:
        ids = list(rows.filter(claims__gte=SUSPECT).values_list("pk", flat=True)[:1])
        if ids:
            return ids
    return []
