"""The heart: locks, last gate, settlement of the group before, and the durable marker, in one short commit.

The order of statements is the protocol (docs/delivery.md): lock the people, then the addresses, sorted by id;
only then read, in a new statement, what the gates need; settle the group before (never ahead of the locks: a
receipt takes them in the same order); mark; commit durably. Nothing goes over the network in here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from common.faults import faultpoint
from messaging.models import Account
from messaging.outbox import ledger
from messaging.outbox.judge import Judged, ask_judged
from messaging.outbox.parcels import Parcel
from messaging.outbox.settle import Batch, ask_write, count_states, settle, tell_failures
from messaging.retry import retrying


@dataclass(frozen=True)
class Marked:
    """What one commit did: the batch that may now be sent, as of when (monotonic, just before the commit), and
    how many rows went where."""

    batch: Batch
    at: float
    counted: dict[str, int] = field(default_factory=dict)


def mark_group(
    parcels: Sequence[Parcel],
    *,
    account: Account,
    token: UUID,
    previous: Batch | None,
    now: datetime,
) -> Marked:
    """Judge and mark a group, and settle the one before, in one durable transaction.

    If the transaction fails for good, the group before is settled alone and the error goes on.
    """

    def work() -> Marked:
        with transaction.atomic():
            return _mark(parcels, account, token, previous, now)

    try:
        marked = retrying(work)
    except Exception:
        if previous is not None:
            settle(previous, now=now)
        raise
    faultpoint("after_settle_commit")
    faultpoint("after_attempt_commit")
    return marked


def _mark(
    parcels: Sequence[Parcel],
    account: Account,
    token: UUID,
    previous: Batch | None,
    now: datetime,
) -> Marked:
    judged = _judge_under_locks(parcels, account, token, now)
    faultpoint("after_gate_locks")
    rows: dict[int, dict[str, Any]] = {row["id"]: row for row in judged.passed}
    counted, numbers = _settle_and_mark(previous, judged, account, token, now)
    tell_failures(judged.changes, now=now)
    for state, number in count_states(judged.changes).items():
        counted[state] = counted.get(state, 0) + number
    return Marked(Batch(account, token, {pk: rows[pk] for pk in numbers}, numbers), time.monotonic(), counted)


def _judge_under_locks(parcels: Sequence[Parcel], account: Account, token: UUID, now: datetime) -> Judged:
    """The last gate. One journey to the database: the statements that read wait for those that lock."""
    ids, people = [parcel.id for parcel in parcels], [parcel.profile for parcel in parcels]
    with ledger.together():
        ledger.durable()
        ledger.lock("segments_profile", people)
        ledger.lock("messaging_address", [parcel.address for parcel in parcels if parcel.address is not None])
        asked = ask_judged(ids, token=token, account=account, now=now, final=True, people=people)
    return asked()


def _settle_and_mark(
    previous: Batch | None, judged: Judged, account: Account, token: UUID, now: datetime
) -> tuple[dict[str, int], dict[int, int]]:
    """Settle the group before, write what the gates said, and set the markers, in one journey to the database. Returns
    how many rows were settled to which state, and the attempt numbers of the rows that were marked."""
    with ledger.together():
        settled = ask_write(previous, now=now) if previous is not None else dict
        ledger.ask_change(judged.changes, was="claimed", token=token)
        marked = ledger.ask_mark([row["id"] for row in judged.passed], token=token, account=account.pk, now=now)
    return settled(), marked()
