"""The points ledger: append-only rows, lots that spends draw from, balances that are derived.

An earn is a lot. A spend takes from lots, earliest expiry first, then oldest. A reversal takes back what is left
of its lot; what was already spent is a debt, met by other lots and then by later earns as soon as they come. Every
movement locks the wallet row, and a key makes it happen once, so balance = sum of the signed rows that have come,
whatever is retried or interleaved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Sum

from segments.growth.lots import draw, left_of, meet_debts, open_lots, overdue
from segments.growth.wallets import account_for, bring_up, lock_wallets, take
from segments.models import PointDraw, PointEntry


class NotEnoughPoints(ValueError):
    """A spend asks for more than is active."""


@dataclass(frozen=True)
class Earn:
    """Points for one person, once per `key`. `available_at` in the future makes them pending until then; `ref` names
    what they are given for ("order:A17")."""

    profile: int
    points: int
    key: str
    reason: str
    expires_at: datetime | None = None
    available_at: datetime | None = None
    ref: str = ""


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
                meet_debts(wallet.pk, now=now)
        account_for(wallets, lots, now=now, depth=depth)
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
    ref: str = "",
) -> bool:
    """Book one earn; False when its key is known already."""
    return earn_many([Earn(profile_id, points, key, reason, expires_at, available_at, ref)], now=now)[0]


def spend(profile_id: int, points: int, *, key: str, reason: str, now: datetime) -> bool:
    """Take points from the lots, earliest expiry first; False when the key is known. Raises NotEnoughPoints."""
    with transaction.atomic():
        wallets = lock_wallets({profile_id})
        if PointEntry.objects.filter(key=key).exists():
            return False
        gone = bring_up(profile_id, now=now)
        lots = open_lots(profile_id, now=now)
        if points > sum(rest for _, rest in lots):
            raise NotEnoughPoints(f"{points} asked for")
        entry = take(profile_id, "spend", points, key=key, reason=reason, now=now)
        draw(entry.pk, points, lots)
        account_for(wallets, [*gone, entry], now=now)
    return True


def reverse(entry_key: str, *, key: str, reason: str, now: datetime) -> bool:
    """Undo all that is not yet undone of an earn (a refunded order); False when there is nothing left to undo.

    First from what is left of its own lot, then as a debt for what was spent. What had expired of the lot is given
    back at once, so that nobody loses it twice. Points still to come are undone at the moment at which they would
    have come.
    """
    return take_back(entry_key, None, key=key, reason=reason, now=now) > 0


def take_back(entry_key: str, total: int | None, *, key: str, reason: str, now: datetime) -> int:
    """Undo an earn until `total` of its points are undone (None: all of them), as `reverse` does.

    Returns how many points this call took: 0 where so many are undone already, or for a known key. Raises
    PointEntry.DoesNotExist for an earn that is unknown.
    """
    lot = PointEntry.objects.get(key=entry_key, kind=PointEntry.Kind.EARN)
    with transaction.atomic():
        wallets = lock_wallets({lot.wallet_id})
        points = min(lot.amount, lot.amount if total is None else total) - _sum(PointEntry.objects.filter(reverses=lot))
        if points <= 0 or PointEntry.objects.filter(key=key).exists():
            return 0
        gone = bring_up(lot.wallet_id, now=now)
        effect = max(now, lot.available_at)
        entry = take(lot.wallet_id, "reverse", points, key=key, reason=reason, now=now, available_at=effect,
                     reverses=lot)  # fmt: skip
        rest = left_of(lot.pk)
        back = _given_back(lot, points - rest, key, now=now)
        owed = draw(entry.pk, points, [(lot.pk, rest), *[(one.pk, one.amount) for one in back]])
        if owed:
            draw(entry.pk, owed, open_lots(lot.wallet_id, now=now))
        account_for(wallets, [*gone, entry, *back], now=now)
    return points


def balance(profile_id: int, now: datetime) -> Balance:
    """The balance from the rows themselves. Lots past their time that are not yet written off do not count, but for
    what they meet of a debt."""
    rows = PointEntry.objects.filter(wallet_id=profile_id)
    total = rows.filter(available_at__lte=now).aggregate(n=Sum(F("sign") * F("amount")))["n"] or 0
    pending = rows.filter(available_at__gt=now).aggregate(n=Sum(F("sign") * F("amount")))["n"] or 0
    total -= overdue(profile_id, now=now)
    return Balance(max(0, total), max(0, -total), pending)


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
        ref=item.ref,
    )


def _given_back(lot: PointEntry, points: int, key: str, *, now: datetime) -> list[PointEntry]:
    """Of `points` that the lot no longer holds, those that had expired: what was spent is undone before them."""
    drawn = PointDraw.objects.filter(lot=lot)
    expired = _sum(drawn.filter(entry__kind=PointEntry.Kind.EXPIRE))
    own = _sum(drawn.filter(entry__reverses=lot))
    given = _sum(PointEntry.objects.filter(key__startswith=f"expired:{lot.pk}:"))
    undone = _sum(PointEntry.objects.filter(reverses=lot).exclude(key=key))
    spent = lot.amount - left_of(lot.pk) - expired - own
    back = min(expired - given, points - (spent - (undone - own - given)))
    if back <= 0:
        return []
    made = {"key": f"expired:{lot.pk}:{key}"[:160], "reason": "expired before it was reversed", "sign": 1}
    return [take(lot.wallet_id, "adjust", back, now=now, **made)]


def _sum(rows: QuerySet[Any]) -> int:
    return rows.aggregate(n=Sum("amount"))["n"] or 0
