"""Who must be scored anew when edges are: found from the stored rows and one grouped query over the orders.

Every day brings new edges, and most people keep their scores. A row still holds when the orders add up to what it
says, when the new edges give the same scores, when the population's rhythm gives the same days of silence, and when
the next change comes on the day that it names. Everybody else is scored in full (segments.scores).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import Count, Max, Q, Sum
from django.db.models.functions import TruncDate

from common.periods import local_date, start_of_day
from common.semijoin import among
from segments.lifecycle import Rhythm
from segments.models import Order, Profile, RfmEdges, Scores
from segments.rfm import Edges, Scored, buyers, crossing, read_edges, score_person
from segments.stage_presets import COMMERCE

STANDING = Q(state__in=[Order.State.PLACED, Order.State.PAID])
COLUMNS = (
    "pk", "edges_id", "r", "f", "m", "cell", "octant", "orders", "spent", "orders_ever", "spent_ever",
    "first_order_at", "last_order_at", "gap_days", "next_change_at",
)  # fmt: skip


class Stored(NamedTuple):
    """What a row of scores says, as far as edges matter."""

    pk: int
    edges: int | None
    r: int | None
    f: int | None
    m: int | None
    cell: str
    octant: str
    orders: int
    spent: int
    orders_ever: int
    spent_ever: int
    first_order_at: datetime | None
    last_order_at: datetime | None
    gap_days: float | None
    next_change_at: datetime | None


@dataclass(frozen=True)
class Page:
    """The people who must be scored anew, those of them whose stage another rule judged, those never scored, and the
    last person looked at (None: there was nobody left)."""

    stale: list[int]
    last: int | None
    turned: frozenset[int] = frozenset()
    new: frozenset[int] = frozenset()


def stale_page(after: int, *, now: datetime, zone: ZoneInfo, edges: Edges, limit: int) -> Page:
    """Look at the next people with orders, by id after `after`; a few statements, whatever their number.

    Where stages are, or ever were, judged by activity, everybody is looked at.
    """
    whole = edges.preset != COMMERCE or RfmEdges.objects.exclude(preset=COMMERCE).exists()
    ordered = (_everybody if whole else _ordered)(after, now=now, limit=limit)
    if not ordered:
        return Page([], None)
    rows = {row[0]: Stored(*row) for row in Scores.objects.filter(among("pk", list(ordered))).values_list(*COLUMNS)}
    known = RfmEdges.objects.in_bulk({row.edges for row in rows.values() if row.edges})
    old = {pk: read_edges(row) for pk, row in known.items()}
    days = _days_inside(list(rows), now=now, zone=zone, edges=edges) if edges.counted == "days" else {}
    look = _Look(now, local_date(now, zone), zone, edges, old, days)
    stale = [pk for pk, sums in ordered.items() if pk not in rows or not look.holds(rows[pk], sums)]
    turned = {pk for pk in stale if pk in rows and look.turned(rows[pk])}
    return Page(stale, max(ordered), frozenset(turned), frozenset(ordered.keys() - rows.keys()))


def _ordered(after: int, *, now: datetime, limit: int) -> dict[int, tuple[Any, ...]]:
    """(orders that stand, their net, the last of them) up to `now`, by person."""
    past = STANDING & Q(placed_at__lte=now)
    rows = Order.objects.filter(profile_id__gt=after).order_by("profile_id").values("profile_id")
    rows = rows.annotate(
        n=Count("pk", filter=past), net=Sum("net_reporting", filter=past), last=Max("placed_at", filter=past)
    )
    found = rows.values_list("profile_id", "n", "net", "last")[:limit]
    return {pk: (n, net or 0, last) for pk, n, net, last in found}


def _days_inside(ids: Sequence[int], *, now: datetime, zone: ZoneInfo, edges: Edges) -> dict[int, int]:
    """On how many days of the window each person ordered."""
    rows = buyers(now, zone=zone, window_days=edges.window_days).filter(among("profile_id", ids)).order_by()
    days = Count(TruncDate("placed_at", tzinfo=zone), distinct=True)
    return dict(rows.values_list("profile_id").annotate(days=days))


def _everybody(after: int, *, now: datetime, limit: int) -> dict[int, tuple[Any, ...]]:
    """The same of everybody alive, with orders or without."""
    alive = Profile.objects.filter(pk__gt=after, merged_into__isnull=True, erased_at__isnull=True).order_by("pk")
    ids = list(alive.values_list("pk", flat=True)[:limit])
    bought = _ordered(after, now=now, limit=limit) if ids else {}
    return {pk: bought.get(pk, (0, 0, None)) for pk in ids}


@dataclass(frozen=True)
class _Look:
    now: datetime
    today: date
    zone: ZoneInfo
    edges: Edges
    old: Mapping[int, Edges]
    days: Mapping[int, int]

    def holds(self, row: Stored, sums: Sequence[Any]) -> bool:
        """Whether scoring the person in full would write nothing."""
        old = self.old.get(row.edges or 0)
        if (
            old is None
            or old.preset != self.edges.preset
            or (row.orders_ever, row.spent_ever, row.last_order_at) != tuple(sums)
        ):
            return False
        if row.next_change_at is not None and row.next_change_at <= self.now:
            return False
        if any(getattr(old, name) != getattr(self.edges, name) for name in ("window_days", "money", "counted")):
            return False
        if self.edges.preset != COMMERCE and any(
            _silences(old.rhythm, once) != _silences(self.edges.rhythm, once) for once in (True, False)
        ):
            return False
        if not row.last_order_at or not row.first_order_at:
            return True
        last = local_date(row.last_order_at, self.zone)
        if row.gap_days is None and self.edges.preset == COMMERCE:
            once = local_date(row.first_order_at, self.zone) == last
            if _silences(old.rhythm, once) != _silences(self.edges.rhythm, once):
                return False
        return not row.orders or (self._scored(row, last) == (row.r, row.f, row.m, row.cell, row.octant)
                                  and self._same_day(row, last, old))  # fmt: skip

    def turned(self, row: Stored) -> bool:
        """Whether another rule judged the stage."""
        old = self.old.get(row.edges or 0)
        return old is not None and old.preset != self.edges.preset

    def _scored(self, row: Stored, last: date) -> tuple[Any, ...]:
        money = row.spent / row.orders if self.edges.money == "mean" else row.spent
        often = self.days.get(row.pk, 0) if self.edges.counted == "days" else row.orders
        found: Scored = score_person((self.today - last).days, often, money, self.edges)
        return (found.r, found.f, found.m, found.cell, found.octant)

    def _same_day(self, row: Stored, last: date, old: Edges) -> bool:
        """Whether the row names the instant of its next change that it would name by the new edges."""
        was, will = crossing(last, old, today=self.today), crossing(last, self.edges, today=self.today)
        if was == will:
            return True
        named = row.next_change_at
        if named is None or (was is not None and start_of_day(was, self.zone) == named):
            return False
        return will is None or start_of_day(will, self.zone) >= named


def _silences(rhythm: Rhythm, once: bool) -> tuple[int, int]:
    """The whole days of silence that count: silence is a number of days, so a fraction more changes nothing."""
    limits = (rhythm.first_warn, rhythm.first_churn) if once else (rhythm.warn, rhythm.churn)
    return int(limits[0]), int(limits[1])
