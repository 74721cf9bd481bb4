"""Wallets: the rows that every movement locks, what a booking leaves in them, and the fact that tells it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import F, Q, Sum

from segments.facts.append import append_engine_facts
from segments.facts.names import POINTS_CHANGED
from segments.growth import levels
from segments.growth.lots import draw, meet_debts, open_lots
from segments.models import PointEntry, Profile, Wallet


def lock_wallets(profiles: Iterable[int]) -> dict[int, Wallet]:
    """The wallets of people, made if missing, locked in the order of their ids."""
    ids = sorted(profiles)
    Wallet.objects.bulk_create([Wallet(profile_id=one) for one in ids], ignore_conflicts=True)
    locked = Wallet.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
    return {wallet.pk: wallet for wallet in locked}


def take(profile_id: int, kind: str, points: int, *, now: datetime, **given: Any) -> PointEntry:
    fields = {"sign": -1, "available_at": now, **given}
    return PointEntry.objects.create(wallet_id=profile_id, kind=kind, amount=points, at=now, **fields)


def bring_up(profile_id: int, *, now: datetime) -> list[PointEntry]:
    """Before anything else is booked: lots that have come meet old debts, then lots past their time are written off."""
    meet_debts(profile_id, now=now)
    gone = []
    for lot, left in open_lots(profile_id, now=now, ended=True):
        entry = take(profile_id, "expire", left, key=f"expire:{lot}", reason="expired", now=now)
        draw(entry.pk, left, [(lot, left)])
        gone.append(entry)
    return gone


def account_for(wallets: dict[int, Wallet], entries: Sequence[PointEntry], *, now: datetime, depth: int = 0) -> None:
    """Bring the cached balances up to the rows, say in the log what has come or gone, and look at the levels.

    What was booked to count at once does, also where a slower caller's `now` is a little older.
    """
    if not entries:
        return
    come = Q(available_at__lte=now) | Q(available_at__lte=F("at"))
    rows = PointEntry.objects.filter(come, wallet__in=wallets).order_by().values_list("wallet_id")
    sums = dict(rows.annotate(n=Sum(F("sign") * F("amount"))))
    for wallet in wallets.values():
        wallet.balance = sums.get(wallet.pk, 0)
    Wallet.objects.bulk_update(wallets.values(), ["balance"])
    shards = dict(Profile.objects.filter(pk__in=wallets).values_list("pk", "shard"))
    append_engine_facts(
        [
            (
                entry.wallet_id,
                shards[entry.wallet_id],
                POINTS_CHANGED,
                f"points:{entry.key}",
                {
                    "by": entry.sign * entry.amount,
                    "balance": wallets[entry.wallet_id].balance,
                    "reason": entry.reason,
                },
            )
            for entry in entries
            if entry.available_at <= now
        ],
        now=now,
        depth=depth,
    )
    levels.review(wallets, now=now)
