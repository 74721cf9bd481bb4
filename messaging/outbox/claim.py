"""Claiming: what an account will send in about five seconds, under one lease, taken by nobody else."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from common.faults import faultpoint
from common.semijoin import among
from messaging.models import Account, Attempt, Delivery
from messaging.outbox import pacing
from messaging.outbox.accounts import stands_in
from messaging.outbox.ledger import DatabaseNow, lease_length
from messaging.outbox.shares import Band, Head, bands_of, first_of, share
from messaging.retry import retrying

FEWEST, MOST, SECONDS = 10, 500, 5.0
SUSPECT = 2  # rows claimed this often without an attempt are claimed alone: one of them may kill its worker


@dataclass(frozen=True)
class Claim:
    """Rows (ids in the order to be sent) that this worker may send until the lease ends."""

    account: Account
    token: UUID
    ids: list[int] = field(default_factory=list)


def claim_due(account: Account, *, speed: float, now: datetime) -> Claim | None:
    """Claim what is due for an account in one short transaction; None when nothing is. `speed` is the
    messages a second this worker managed lately; never more than fits a third of the lease. What the account may send
    is reserved before, in a transaction of its own, and what is not used of it given back."""
    span = min(SECONDS, lease_length().total_seconds() / 3)
    want = max(FEWEST, min(MOST, int((account.rate or speed) * span)))
    reserved = pacing.reserve(account.pk, want, now)
    if reserved is None:
        return None
    claim = None
    try:
        claim = retrying(lambda: _claim(reserved, now))
    finally:
        used = len(claim.ids) if claim else 0
        pacing.give_back(reserved.account, reserved.count - used, probe=reserved.probe)
        if reserved.probe and not used:
            pacing.give_up_probe(reserved.account, now)
    if claim is not None:
        faultpoint("after_claim")
    return claim


def _claim(reserved: pacing.Reserved, now: datetime) -> Claim | None:
    with transaction.atomic():
        ids = _due(reserved.account, reserved.count, now)
        if not ids:
            return None
        token = uuid.uuid4()
        Delivery.objects.filter(among("pk", ids), state="planned").update(
            state="claimed", lease_token=token, lease_until=DatabaseNow(lease_length())
        )
    return Claim(reserved.account, token, ids)


def _due(account: Account, count: int, now: datetime) -> list[int]:
    due = Delivery.objects.filter(_mine(account, now), state="planned", channel=account.channel, not_before__lte=now)
    rows = due.order_by("not_before", "id").select_for_update(skip_locked=True, no_key=True)
    bands = bands_of(account.channel, rows, now)
    ids = _fairly([band.filtered(claims__lt=SUSPECT) for band in bands], count, now)
    return ids or _suspect(bands)


def _mine(account: Account, now: datetime) -> Q:
    """The account's own messages, those of nobody for the default one, and for whoever stands in for it those of
    nobody that no other account may already have handed over."""
    mine = Q(account=account.pk)
    if account.is_default:
        return mine | Q(account__isnull=True)
    if not stands_in(account, now):
        return mine
    doubtful = Attempt.objects.filter(delivery=OuterRef("pk"), outcome__in=["open", "unknown"])
    return mine | Q(Q(attempts=0) | Q(~Exists(doubtful)), account__isnull=True)


def _fairly(bands: list[Band], count: int, now: datetime) -> list[int]:
    """Up to `count` ids, the highest priority first and the longest due first in each; but a tenth goes to whoever has
    waited longest, whatever the priority, so that nobody waits for ever. In one priority the campaigns share."""
    spare = _spare(count, now) if len(bands) > 1 else 0
    heads: list[Head] = [head for band in bands for head in first_of(band, spare)] if spare else []
    chosen = set(sorted(heads, key=lambda row: row[1:])[:spare])
    for band in bands:
        left = count - len(chosen)
        if not left:
            break
        chosen.update([row for row in share(band, left + len(chosen)) if row not in chosen][:left])
    return [pk for _, _, pk in sorted(chosen, key=lambda row: (-row[0], *row[1:]))]


def _spare(count: int, now: datetime) -> int:
    """A tenth of `count`. What is left over is given at some moments and not at others, so that also an account
    that sends one message at a time gives every tenth away."""
    return count // 10 + (now.microsecond // 1000 % 10 < count % 10)


def _suspect(bands: list[Band]) -> list[int]:
    """One row that was claimed before and never attempted, alone."""
    for band in bands:
        for rows in band.filtered(claims__gte=SUSPECT).lanes:
            ids = list(rows.values_list("pk", flat=True)[:1])
            if ids:
                return ids
    return []
