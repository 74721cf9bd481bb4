"""The points ledger: append-only rows, lots that spends draw from, balances that are derived.

An earn is a lot. A spend takes from lots, earliest expiry first, then oldest. A reversal takes back what is left
of its lot; what was already spent is a debt, met by other lots and then by later earns. Every movement locks the
wallet row, and a key makes it happen once, so balance = sum of signed rows, whatever is retried or interleaved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from segments.facts.append import append_engine_facts
from segments.facts.names import POINTS_CHANGED
from segments.growth import levels
from segments.models import PointDraw, PointEntry, Profile, Wallet


class NotEnoughPoints(ValueError):
    """A spend asks for more than is active."""


@dataclass(frozen=True)
class Earn:
    """Points for one person, once per `key`. `available_at` in the future makes them pending until then."""

    profile: int
    points: int
    key: str
    reason: str
    expires_at: datetime | None = None
    available_at: datetime | None = None


@dataclass(frozen=True)
class Balance:
    """Derived from the rows at one moment: `active` may be spent, `negative` is owed, `pending` is still to come."""

    active: int
    negative: int
    pending: int


def earn_many(earns: Sequence[Earn], *, now: datetime, depth: int = 0) -> list[bool]:
    """Book earns in one transaction with a constant number of statements; says for each whether it was new.

    `depth` is that of the facts it states: how long the chain of causes is already (docs/journeys.md).
    """
    wanted = {item.key: item for item in earns if item.points > 0}
    with transaction.atomic():
        wallets = lock_wallets({item.profile for item in wanted.values()})
        known = set(PointEntry.objects.filter(key__in=wanted).values_list("key", flat=True))
        fresh = [item for key, item in wanted.items() if key not in known]
        lots = PointEntry.objects.bulk_create([_lot(item, now) for item in fresh])
        for wallet in wallets.values():
            if wallet.balance < 0:
                _meet_debts(wallet, [lot for lot in lots if lot.wallet_id == wallet.pk])
        _account_for(wallets, lots, now=now, depth=depth)
    new = {item.key for item in fresh}
    return [item.key in new for item in earns]


def earn(
    profile_id: int,
    points: int,
    *,
    key: str,
    reason: str,
    now: datetime,
    expires_at: datetime | None = None,
    available_at: datetime | None = None,
) -> bool:
    """Book one earn; False when its key is known already."""
    return earn_many([Earn(profile_id, points, key, reason, expires_at, available_at)], now=now)[0]


def spend(profile_id: int, points: int, *, key: str, reason: str, now: datetime) -> bool:
    """Take points from the lots, earliest expiry first; False when the key is known. Raises NotEnoughPoints."""
    with transaction.atomic():
        wallets = lock_wallets({profile_id})
        if PointEntry.objects.filter(key=key).exists():
            return False
        lots = list(_open_lots(profile_id, now=now))
        if points > sum(left for _, left in lots) - _debt(profile_id):
            raise NotEnoughPoints(f"{points} asked for")
        entry = _take(wallets[profile_id], "spend", points, key=key, reason=reason, now=now)
        _draw(entry, points, lots)
        _account_for(wallets, [entry], now=now)
    return True


def reverse(entry_key: str, *, key: str, reason: str, now: datetime) -> bool:
    """Undo an earn (a refunded order): from its own lot first, the rest as a debt. False when done before."""
    lot = PointEntry.objects.get(key=entry_key, kind=PointEntry.Kind.EARN)
    with transaction.atomic():
        wallets = lock_wallets({lot.wallet_id})
        if PointEntry.objects.filter(Q(key=key) | Q(reverses=lot)).exists():
            return False
        entry = _take(wallets[lot.wallet_id], "reverse", lot.amount, key=key, reason=reason, now=now, reverses=lot)
        lots = list(_open_lots(lot.wallet_id, now=now))
        owed = _draw(entry, lot.amount, [pair for pair in lots if pair[0] == lot.pk])
        _draw(entry, owed, [pair for pair in lots if pair[0] != lot.pk])
        _account_for(wallets, [entry], now=now)
    return True


def expire_due(now: datetime, *, limit: int = 1000) -> int:
    """Write off what is left of lots whose time is over; returns how many lots. Once per lot, by its key."""
    due = (
        PointEntry.objects.filter(kind=PointEntry.Kind.EARN, expires_at__lte=now)
        .annotate(left=F("amount") - Coalesce(Sum("drawn__amount"), 0))
        .filter(left__gt=0)
        .order_by("expires_at", "pk")
        .values_list("pk", "wallet_id")[:limit]
    )
    done = 0
    for lot, owner in list(due):
        with transaction.atomic():
            wallets = lock_wallets({owner})
            left = _left(lot)
            if left > 0:
                entry = _take(wallets[owner], "expire", left, key=f"expire:{lot}", reason="expired", now=now)
                _draw(entry, left, [(lot, left)])
                _account_for(wallets, [entry], now=now)
                done += 1
    return done


def balance(profile_id: int, now: datetime) -> Balance:
    """The balance from the rows themselves. Lots past their time that are not yet written off do not count."""
    rows = PointEntry.objects.filter(wallet_id=profile_id)
    total = rows.filter(available_at__lte=now).aggregate(n=Sum(F("sign") * F("amount")))["n"] or 0
    pending = rows.filter(available_at__gt=now).aggregate(n=Sum(F("sign") * F("amount")))["n"] or 0
    total -= sum(left for _, left in _open_lots(profile_id, now=now, expired=True))
    return Balance(max(0, total), max(0, -total), pending)


def lock_wallets(profiles: Iterable[int]) -> dict[int, Wallet]:
    """The wallets of people, made if missing, locked in the order of their ids."""
    ids = sorted(profiles)
    Wallet.objects.bulk_create([Wallet(profile_id=one) for one in ids], ignore_conflicts=True)
    locked = Wallet.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
    return {wallet.pk: wallet for wallet in locked}


def _lot(item: Earn, now: datetime) -> PointEntry:
    return PointEntry(
        wallet_id=item.profile,
        kind=PointEntry.Kind.EARN,
        amount=item.points,
        sign=1,
        at=now,
        available_at=item.available_at or now,
        expires_at=item.expires_at,
        reason=item.reason,
        key=item.key,
    )


def _take(wallet: Wallet, kind: str, points: int, **given: Any) -> PointEntry:
    now = given.pop("now")
    return PointEntry.objects.create(
        wallet=wallet, kind=kind, amount=points, sign=-1, at=now, available_at=now, **given
    )


def _open_lots(profile_id: int, *, now: datetime, expired: bool = False) -> list[tuple[int, int]]:
    """(lot, what is left) of lots that are available and not (or, asked for, just) past their time, in draw order."""
    in_time = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    rows: QuerySet[PointEntry] = PointEntry.objects.filter(
        wallet_id=profile_id, kind=PointEntry.Kind.EARN, available_at__lte=now
    ).filter(~in_time if expired else in_time)
    return list(
        rows.annotate(left=F("amount") - Coalesce(Sum("drawn__amount"), 0))
        .filter(left__gt=0)
        .order_by(F("expires_at").asc(nulls_last=True), "at", "pk")
        .values_list("pk", "left")
    )


def _left(lot: int) -> int:
    drawn = PointDraw.objects.filter(lot_id=lot).aggregate(n=Coalesce(Sum("amount"), 0))["n"]
    return int(PointEntry.objects.values_list("amount", flat=True).get(pk=lot) - drawn)


def _draw(entry: PointEntry, points: int, lots: Sequence[tuple[int, int]]) -> int:
    """Draw up to `points` from lots in order; returns what they did not cover."""
    draws = []
    for lot, left in lots:
        part = min(points, left)
        if part:
            draws.append(PointDraw(entry=entry, lot_id=lot, amount=part))
            points -= part
    PointDraw.objects.bulk_create(draws)
    return points


def _debts(profile_id: int) -> list[tuple[int, int]]:
    """(entry, what no lot has covered yet) of past takings, oldest first."""
    rows = PointEntry.objects.filter(wallet_id=profile_id, sign=-1)
    return list(
        rows.annotate(owed=F("amount") - Coalesce(Sum("draws__amount"), 0))
        .filter(owed__gt=0)
        .order_by("at", "pk")
        .values_list("pk", "owed")
    )


def _debt(profile_id: int) -> int:
    return sum(owed for _, owed in _debts(profile_id))


def _meet_debts(wallet: Wallet, lots: Sequence[PointEntry]) -> None:
    """Let new lots cover old debts before anything of them becomes active."""
    left = [[lot.pk, lot.amount] for lot in lots]
    for entry, owed in _debts(wallet.pk):
        for pair in left:
            part = min(owed, pair[1])
            if part:
                PointDraw.objects.create(entry_id=entry, lot_id=pair[0], amount=part)
                pair[1] -= part
                owed -= part


def _account_for(wallets: dict[int, Wallet], entries: Sequence[PointEntry], *, now: datetime, depth: int = 0) -> None:
    """Bring the cached balances up to the new rows, say so in the log, and look at the levels."""
    if not entries:
        return
    for entry in entries:
        wallets[entry.wallet_id].balance += entry.sign * entry.amount
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
        ],
        now=now,
        depth=depth,
    )
    levels.review(wallets, now=now)
