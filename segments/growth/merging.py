"""When two profiles become one: points follow, nothing is paid twice, and there is a way back.

Badges, benefits and coupons move with their origin like facts (segments.merge); what has rules of its own is here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import BigIntegerField, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from segments.merge import Kept, MergeHandler, Pair, family, handlers
from segments.models import PointDraw, PointEntry, Wallet


@handlers.register("points")
class Points(MergeHandler):
    """Ledger entries go to the known person's wallet; both balances are summed anew from the rows."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> Kept | None:
        gone = {pair.gone: pair.into for pair in pairs}
        holders = set(Wallet.objects.filter(pk__in={*gone, *gone.values()}).values_list("pk", flat=True))
        moving = {pk: into for pk, into in gone.items() if pk in holders}
        if not moving:
            return None
        made = set(moving.values()) - holders
        Wallet.objects.bulk_create([Wallet(profile_id=pk) for pk in sorted(made)], ignore_conflicts=True)
        by_target: dict[int, list[int]] = defaultdict(list)
        for pk, into in moving.items():
            by_target[into].append(pk)
        for into, these in by_target.items():
            rows = PointEntry.objects.filter(wallet__in=these)
            rows.update(origin=Coalesce(F("origin"), F("wallet_id")), wallet=into)
        sum_anew({*moving, *moving.values()}, now=now)
        return {pk: {"made": into in made} for pk, into in moving.items()}

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        for pair in pairs:
            ids = _free_to_go(pair.into, family(pair.gone))
            if ids:
                PointEntry.objects.filter(pk__in=ids).update(wallet=pair.gone)
                PointEntry.objects.filter(pk__in=ids, origin=pair.gone).update(origin=None)
                sum_anew({pair.gone, pair.into}, now=now)

    def restore(self, pair: Pair, kept: Any, *, now: datetime) -> None:
        """A wallet that only the merge had opened is closed, unless something has come into it."""
        if kept["made"]:
            Wallet.objects.filter(pk=pair.into, entries__isnull=True).delete()


def sum_anew(wallets: set[int], *, now: datetime) -> None:
    """Balances from the rows of the ledger that have come."""
    come = Q(available_at__lte=now) | Q(available_at__lte=F("at"))
    rows = PointEntry.objects.filter(come, wallet=OuterRef("pk")).order_by().values("wallet")
    total = Subquery(rows.annotate(n=Sum(F("sign") * F("amount"))).values("n"), output_field=BigIntegerField())
    Wallet.objects.filter(pk__in=wallets).update(balance=Coalesce(total, Value(0)))


def _free_to_go(wallet: int, origins: set[int]) -> list[int]:
    """Entries that came from these people and that nothing booked since hangs on: what was spent stays spent.

    Entries that draw on or reverse one another go or stay together, so that no balance turns negative.
    """
    came = set(PointEntry.objects.filter(wallet=wallet, origin__in=origins).values_list("pk", flat=True))
    if not came:
        return []
    beside: dict[int, set[int]] = defaultdict(set)
    draws = PointDraw.objects.filter(entry__wallet=wallet).values_list("entry_id", "lot_id")
    undone = PointEntry.objects.filter(wallet=wallet, reverses__isnull=False).values_list("pk", "reverses_id")
    for one, other in [*draws, *undone]:
        beside[one].add(other)
        beside[other].add(one)
    return sorted(came - _reached({pk for pk in beside if pk not in came}, beside))


def _reached(start: Iterable[int], beside: dict[int, set[int]]) -> set[int]:
    found, layer = set(start), set(start)
    while layer:
        layer = {other for one in layer for other in beside[one]} - found
        found |= layer
    return found
