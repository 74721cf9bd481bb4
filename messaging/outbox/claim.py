"""Claiming: what an account will send in about five seconds, under one lease, taken by nobody else."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from common.faults import faultpoint
from messaging.models import Account, Delivery
from messaging.outbox import accounts
from messaging.outbox.ledger import DatabaseNow, lease_length
from messaging.retry import retrying

FEWEST, MOST, SECONDS = 10, 500, 5.0
SUSPECT = 2  # rows claimed this often without an attempt are claimed alone: one of them may kill its worker


@dataclass(frozen=True)
class Claim:
    """Rows (ids in the order due) that this worker may send until the lease ends."""

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
    ids = list(rows.filter(claims__lt=SUSPECT).values_list("pk", flat=True)[:count])
    return ids or list(rows.filter(claims__gte=SUSPECT).values_list("pk", flat=True)[:1])
