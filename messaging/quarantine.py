"""What a person decides about a flood of words: they are true and are applied, or they are not and are dropped.

The decision is one move of its row; the words are worked off behind it in batches, whoever looks first. None of them is
lost: they are kept with the quarantine they were in, whatever was decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Count

from common.states import move
from messaging.models import Address, Quarantine, Receipt, Suppression
from messaging.permission import digest
from messaging.retry import retrying
from messaging.words import apply_all

State = Quarantine.State
BATCH = 500
BATCHES = 20  # of one quarantine in one look


def decide(one: Quarantine, *, release: bool, by: str, reason: str, now: datetime) -> bool:
    """Apply or drop what is held; False when somebody decided before. The caller audits it."""
    to = State.RELEASING if release else State.DROPPING
    rows = Quarantine.objects.filter(pk=one.pk)
    return bool(move(rows, Quarantine.MOVES, to, decided_at=now, decided_by=by[:150], reason=reason[:200]))


def work_off(now: datetime) -> int:
    """Apply or drop the words that were decided about; returns how many."""
    done = 0
    for one in Quarantine.objects.filter(state__in=[State.RELEASING, State.DROPPING]).order_by("pk"):
        for _round in range(BATCHES):
            count = _batch(one, now)
            done += count
            if count < BATCH:
                to = State.RELEASED if one.state == State.RELEASING else State.DROPPED
                move(Quarantine.objects.filter(pk=one.pk), Quarantine.MOVES, to, done_at=now)
                break
    return done


def _batch(one: Quarantine, now: datetime) -> int:
    held = Receipt.objects.filter(quarantine=one, held=True).order_by("pk")
    ids = list(held.values_list("pk", flat=True)[:BATCH])
    if one.state == State.RELEASING:
        apply_all(ids, now)  # first what they say, then the addresses, so that nothing slips out between
    retrying(lambda: _let_go(one, ids, now))
    return len(ids)


def _let_go(one: Quarantine, ids: Sequence[int], now: datetime) -> None:
    """These words are held no more. One that was applied but knows no message yet waits for it as others do."""
    with transaction.atomic():
        _free(one, ids)
        rows = Receipt.objects.filter(pk__in=ids)
        if one.state == State.DROPPING:
            rows.update(held=False, matched_at=now)
        else:
            rows.update(held=False)


def _free(one: Quarantine, ids: Sequence[int]) -> None:
    """Marketing may go again to the addresses of these words, unless another quarantine, or a list, names them."""
    others = Quarantine.objects.exclude(pk=one.pk).filter(state__in=[State.OPEN, State.RELEASING])
    named = Address.objects.filter(suppressed=Address.HELD, deliveries__receipts__in=ids)
    still = named.filter(deliveries__receipts__quarantine__in=others, deliveries__receipts__held=True)
    pks = set(named.values_list("pk", flat=True)) - set(still.values_list("pk", flat=True))
    rows = list(
        Address.objects.select_for_update(no_key=True).filter(pk__in=pks, suppressed=Address.HELD).order_by("pk")
    )
    hashed = {digest(row.channel, row.value): row for row in rows}
    listed = dict(Suppression.objects.filter(digest__in=list(hashed)).values_list("digest", "reason"))
    for key, row in hashed.items():
        row.suppressed = listed.get(key, "")
    Address.objects.bulk_update(rows, ["suppressed"])


def contents(one: Quarantine) -> dict[str, int]:
    """How many words of each kind a quarantine has seen."""
    return dict(one.receipts.order_by("kind").values_list("kind").annotate(n=Count("pk")))


def waiting(one: Quarantine) -> int:
    """How many of its words are still held."""
    return one.receipts.filter(held=True).count()
