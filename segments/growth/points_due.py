"""What time alone does to points: those still to come arrive, and those past their time are written off."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Sum, Value
from django.db.models.functions import Coalesce, Concat

from segments.facts.append import engine_source
from segments.growth.lots import meet_debts
from segments.growth.wallets import account_for, bring_up, lock_wallets
from segments.models import Event, PointEntry

OVERDUE = timedelta(days=60)  # points that came longer ago are not looked for any more


def expire_due(now: datetime, *, limit: int = 1000) -> int:
    """Write off what is left of lots whose time is over; returns how many lots. Once per lot, by its key."""
    lots = PointEntry.objects.filter(kind=PointEntry.Kind.EARN, expires_at__lte=now, available_at__lte=now)
    due = lots.annotate(left=F("amount") - Coalesce(Sum("drawn__amount"), 0)).filter(left__gt=0)
    owners = due.order_by("expires_at", "pk").values_list("wallet_id", flat=True)[:limit]
    done = 0
    for owner in dict.fromkeys(owners):
        with transaction.atomic():
            wallets = lock_wallets({owner})
            gone = bring_up(owner, now=now)
            account_for(wallets, gone, now=now)
            done += len(gone)
    return done


def release_due(now: datetime, *, limit: int = 1000) -> int:
    """Points that have come since: the balance takes them in, old debts are met first. Returns how many lots."""
    told = Event.objects.filter(source=engine_source(), key=Concat(Value("points:"), OuterRef("key")))
    rows = PointEntry.objects.filter(available_at__gt=F("at"), available_at__range=(now - OVERDUE, now))
    due = list(rows.filter(~Exists(told)).order_by("available_at", "pk")[:limit])
    if due:
        with transaction.atomic():
            wallets = lock_wallets({entry.wallet_id for entry in due})
            for wallet in wallets.values():
                if wallet.balance < 0:
                    meet_debts(wallet.pk, now=now)
            account_for(wallets, due, now=now)
    return len(due)
