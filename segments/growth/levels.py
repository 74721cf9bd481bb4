"""Levels follow the points earned in a rolling term: up at once, down by one when the term ends unmet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Sum

from segments.facts.append import append_engine_facts
from segments.facts.names import LEVEL_REACHED
from segments.models import Level, PointEntry, Profile, Wallet

TERM = timedelta(days=365)


def review(wallets: Mapping[int, Wallet], *, now: datetime) -> None:
    """Recompute the points earned in the term for locked wallets, and lift whoever has reached a higher rung."""
    ladder = list(Level.objects.order_by("rank"))
    earned = _earned(wallets, now=now)
    risen: list[tuple[Wallet, Level]] = []
    for wallet in wallets.values():
        wallet.earned = earned.get(wallet.pk, 0)
        reached = _rung(ladder, wallet.earned)
        if reached and reached.rank > _rank(ladder, wallet):
            wallet.level, wallet.level_since, wallet.level_until = reached, now, now + TERM
            risen.append((wallet, reached))
    Wallet.objects.bulk_update(wallets.values(), ["earned", "level", "level_since", "level_until"])
    _tell(risen, now=now)


def renew_due(now: datetime, *, limit: int = 500) -> int:
    """At the end of a term: keep the level if its points were earned again, else go down one rung at most.

    Returns how many wallets were looked at.
    """
    with transaction.atomic():
        due = list(
            Wallet.objects.filter(level_until__lte=now)
            .order_by("pk")
            .select_for_update(no_key=True, of=("self",))[:limit]
        )
        ladder = list(Level.objects.order_by("rank"))
        earned = _earned([wallet.pk for wallet in due], now=now)
        for wallet in due:
            held, wallet.earned = _rank(ladder, wallet), earned.get(wallet.pk, 0)
            below = [level for level in ladder if level.rank < held]
            reached = _rung(ladder, wallet.earned)
            if not (reached and reached.rank >= held):
                wallet.level, wallet.level_since = (below[-1] if below else None), now
            wallet.level_until = now + TERM if wallet.level else None
        Wallet.objects.bulk_update(due, ["earned", "level", "level_since", "level_until"])
    return len(due)


def _earned(profiles: Iterable[int], *, now: datetime) -> dict[int, int]:
    """Points earned in the term, less those reversed, by profile id."""
    rows = PointEntry.objects.filter(wallet_id__in=list(profiles), kind="earn", at__gt=now - TERM)
    return dict(rows.filter(reversals__isnull=True).values_list("wallet_id").annotate(n=Sum("amount")))


def _rung(ladder: list[Level], earned: int) -> Level | None:
    reached = [level for level in ladder if level.threshold <= earned]
    return reached[-1] if reached else None


def _rank(ladder: list[Level], wallet: Wallet) -> int:
    """The rank held; below every rung without a level."""
    return next((level.rank for level in ladder if level.pk == wallet.level_id), -1)


def _tell(risen: list[tuple[Wallet, Level]], *, now: datetime) -> None:
    shards = dict(Profile.objects.filter(pk__in=[wallet.pk for wallet, _ in risen]).values_list("pk", "shard"))
    append_engine_facts(
        [
            (
                wallet.pk,
                shards[wallet.pk],
                LEVEL_REACHED,
                f"level:{wallet.pk}:{level.key}:{now.isoformat()}",
                {"level": level.key, "rank": level.rank},
            )
            for wallet, level in risen
        ],
        now=now,
    )
