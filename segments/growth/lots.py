"""Lots and debts: what is left of each earn, in which order it is drawn, and what no lot has covered yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from segments.models import PointDraw, PointEntry


def open_lots(profile_id: int, *, now: datetime, ended: bool | None = False) -> list[tuple[int, int]]:
    """(lot, what is left): lots in time, or those past it (`ended`), in the order of drawing; with None both, in the
    order of their coming, in which they meet debts."""
    in_time = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    rows: QuerySet[PointEntry] = PointEntry.objects.filter(
        wallet_id=profile_id, kind=PointEntry.Kind.EARN, available_at__lte=now
    )
    if ended is not None:
        rows = rows.filter(~in_time if ended else in_time)
    return list(
        rows.annotate(left=F("amount") - Coalesce(Sum("drawn__amount"), 0))
        .filter(left__gt=0)
        .order_by(*(() if ended is not None else ("available_at",)), F("expires_at").asc(nulls_last=True), "at", "pk")
        .values_list("pk", "left")
    )


def left_of(lot: int) -> int:
    drawn = PointDraw.objects.filter(lot_id=lot).aggregate(n=Coalesce(Sum("amount"), 0))["n"]
    return int(PointEntry.objects.values_list("amount", flat=True).get(pk=lot) - drawn)


def draw(entry: int, points: int, lots: Sequence[tuple[int, int]]) -> int:
    """Draw up to `points` from lots in order; returns what they did not cover."""
    draws = []
    for lot, left in lots:
        part = min(points, left)
        if part:
            draws.append(PointDraw(entry_id=entry, lot_id=lot, amount=part))
            points -= part
    PointDraw.objects.bulk_create(draws)
    return points


def debts(profile_id: int) -> list[tuple[int, int]]:
    """(entry, what no lot has covered yet) of past takings, oldest first."""
    rows = PointEntry.objects.filter(wallet_id=profile_id, sign=-1)
    return list(
        rows.annotate(owed=F("amount") - Coalesce(Sum("draws__amount"), 0))
        .filter(owed__gt=0)
        .order_by("at", "pk")
        .values_list("pk", "owed")
    )


def meet_debts(profile_id: int, *, now: datetime) -> None:
    """Let lots that have come cover old debts before anything of them becomes active."""
    for entry, owed in debts(profile_id):
        if draw(entry, owed, open_lots(profile_id, now=now, ended=None)):
            return  # nothing is left to cover the rest


def overdue(profile_id: int, *, now: datetime) -> int:
    """What is left of lots past their time once those that have come, in the order of their coming, met all debts."""
    ended, owed = dict(open_lots(profile_id, now=now, ended=True)), sum(owed for _, owed in debts(profile_id))
    over = 0
    for lot, left in open_lots(profile_id, now=now, ended=None) if ended else []:
        met = min(left, owed)
        owed -= met
        over += left - met if lot in ended else 0
    return over
