"""Who is about to lose a level is told to the log 30 and 7 days before, once each, so that a journey can still help.

Safe is whoever will have the level's points when the term ends, by those that have come so far: nobody safe is told,
and a refund that makes somebody unsafe later is noticed then.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from segments.facts.append import append_engine_facts
from segments.facts.names import LEVEL_ENDING
from segments.growth.levels import fall_to, term
from segments.models import Level, PointEntry, Wallet

NOTICES = (30, 7)  # days before


def notice_due(now: datetime, *, limit: int = 500) -> int:
    """State for each wallet whose level will be lost that it will; returns how many were told."""
    if settings.LEVEL_FALL == "none":
        return 0
    ladder = list(Level.objects.order_by("rank"))
    return sum(_notice(ladder, days, now=now, limit=limit) for days in sorted(NOTICES))


def staying(now: datetime) -> QuerySet[Any]:
    """Wallets with a term that still runs, and `holds`: the points that will count for it when it ends."""
    return Wallet.objects.filter(level_until__gt=now).annotate(holds=_holds(now))


def _notice(ladder: list[Level], days: int, *, now: datetime, limit: int) -> int:
    shorter = [0, *(other for other in NOTICES if other < days)]
    near = Q(level_until__gt=now + timedelta(days=max(shorter)), level_until__lte=now + timedelta(days=days))
    untold = Q(noticed__isnull=True) | Q(noticed__gt=days)
    with transaction.atomic():
        rows = staying(now).filter(near & untold, holds__lt=F("level__threshold")).order_by("pk")
        due = list(rows.select_related("profile").select_for_update(no_key=True, of=("self",))[:limit])
        for wallet in due:
            wallet.noticed = days
        Wallet.objects.bulk_update(due, ["noticed"])
        append_engine_facts(
            [
                (wallet.pk, wallet.profile.shard, LEVEL_ENDING, _key(wallet, days), _said(ladder, wallet, days))
                for wallet in due
            ],
            now=now,
        )
    return len(due)


def _holds(now: datetime) -> Coalesce:
    """Points of the term that ends with the level, less those undone."""
    inside = Q(wallet=OuterRef("pk"), available_at__gt=OuterRef("level_until") - term(), available_at__lte=now)
    earned = PointEntry.objects.filter(inside, kind=PointEntry.Kind.EARN).order_by().values("wallet")
    lots = Q(reverses__available_at__gt=OuterRef("level_until") - term(), reverses__available_at__lte=now)
    undone = PointEntry.objects.filter(lots, wallet=OuterRef("pk")).order_by().values("wallet")
    came = Coalesce(Subquery(earned.annotate(n=Sum("amount")).values("n")), 0)
    return Coalesce(came - Coalesce(Subquery(undone.annotate(n=Sum("amount")).values("n")), 0), 0)


def _key(wallet: Wallet, days: int) -> str:
    return f"level_ending:{wallet.pk}:{wallet.level_until:%Y-%m-%dT%H:%M:%S}:{days}"


def _said(ladder: list[Level], wallet: Any, days: int) -> dict[str, object]:
    held = next(level for level in ladder if level.pk == wallet.level_id)
    lower = fall_to(ladder, held.rank, wallet.holds)
    return {
        "level": held.key,
        "until": wallet.level_until.isoformat() if wallet.level_until else "",
        "days": days,
        "missing": held.threshold - wallet.holds,
        "next": lower.key if lower else "",
    }
