"""Recency, frequency and money: scores from 1 to 5 by frozen edges, eleven cells, eight Chinese octants.

Edges are type-7 quantiles of the values themselves (Hyndman and Fan, 1996), so equal people score equal, which
ranking by tiles does not give; see docs/rfm.md.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Max, QuerySet, Sum
from django.db.models.functions import TruncDate

from common.periods import local_date, start_of_day
from segments.active_days import days_of_some
from segments.lifecycle import Rhythm, rhythm_of
from segments.models import Order, RfmEdges
from segments.stage_presets import COMMERCE, REACH, preset_of

WINDOW_DAYS = 365
FRACTIONS = (0.2, 0.4, 0.6, 0.8)
CHUNK = 5000

CELLS = {
    "champions": ("54", "55"),
    "loyal": ("34", "35", "44", "45"),
    "potential_loyalist": ("42", "43", "52", "53"),
    "new": ("51",),
    "promising": ("41",),
    "need_attention": ("33",),
    "about_to_sleep": ("31", "32"),
    "at_risk": ("13", "14", "23", "24"),
    "cant_lose": ("15", "25"),
    "hibernating": ("12", "21", "22"),
    "lost": ("11",),
}
CELL_OF = {grid: cell for cell, grids in CELLS.items() for grid in grids}
_OCTANTS = {
    (True, True): "value", (True, False): "growth", (False, True): "keep", (False, False): "win_back",
}  # fmt: skip
AXES = ("recency", "frequency", "monetary")


@dataclass(frozen=True)
class Edges:
    """Frozen cut points, four each and ascending: days, orders, minor units; `means` are the octants' thresholds."""

    recency: Sequence[float] = ()
    frequency: Sequence[float] = ()
    monetary: Sequence[float] = ()
    means: tuple[float, float, float] = (0.0, 0.0, 0.0)
    money: str = "sum"
    window_days: int = WINDOW_DAYS
    pk: int | None = None
    rhythm: Rhythm = field(default_factory=Rhythm)
    preset: str = COMMERCE
    counted: str = "orders"


@dataclass(frozen=True)
class Choices:
    """What an operator chose (segments.rfm_settings checks it): in mode "fixed" the edges themselves."""

    window_days: int = WINDOW_DAYS
    money: str = "sum"
    mode: str = "quantile"
    recency: Sequence[float] = ()
    frequency: Sequence[float] = ()
    monetary: Sequence[float] = ()
    counted: str = "orders"
    halves: str = "mean"
    limits: Sequence[float] = ()  # of the octants, in recency, frequency and money, where halves is "fixed"


@dataclass(frozen=True)
class Scored:
    """One person's RFM: None and "" for somebody without an order in the window."""

    r: int | None = None
    f: int | None = None
    m: int | None = None
    cell: str = ""
    octant: str = ""


def score(value: float, edges: Sequence[float]) -> int:
    """1 + the number of edges below the value: equal values always score equal."""
    return 1 + bisect_left(edges, value)


def score_person(recency: int, frequency: int, money: float, edges: Edges) -> Scored:
    """Scores, cell and octant of (whole days since the last order, orders, net minor units)."""
    if not edges.recency:
        return Scored()
    r = 6 - score(recency, edges.recency)
    f, m = score(frequency, edges.frequency), score(money, edges.monetary)
    return Scored(r, f, m, CELL_OF[f"{r}{f}"], octant_of(recency, frequency, money, edges.means))


def octant_of(recency: float, frequency: float, money: float, thresholds: tuple[float, float, float]) -> str:
    """One of eight: near or far, often or seldom, and much (key_…) or little (common_…) against thresholds."""
    near, often, much = recency <= thresholds[0], frequency > thresholds[1], money > thresholds[2]
    return f"{'key' if much else 'common'}_{_OCTANTS[near, often]}"


def next_day(last: date, first_in_window: date, edges: Edges, *, today: date) -> date:
    """The first day after `today` on which silence alone can change the scores."""
    leaves, crosses = first_in_window + timedelta(days=edges.window_days), crossing(last, edges, today=today)
    return min(day for day in (leaves, crosses) if day is not None and day > today)


def crossing(last: date, edges: Edges, *, today: date) -> date | None:
    """The first day after `today` on which silence carries somebody over an edge or the mean of recency."""
    silent = (today - last).days
    beyond = [int(limit) + 1 for limit in (*edges.recency, edges.means[0]) if int(limit) >= silent]
    return last + timedelta(days=min(beyond)) if beyond else None


def quantiles(values: Sequence[float], fractions: Sequence[float] = FRACTIONS) -> list[float]:
    """Type-7 quantiles (numpy's "linear"); nothing of nothing."""
    import numpy as np

    if not len(values):
        return []
    return [float(edge) for edge in np.quantile(np.asarray(values, dtype=float), fractions, method="linear")]


def latest_edges() -> Edges | None:
    """The edges in force, or None before the first run."""
    row = RfmEdges.objects.order_by("-computed_at", "-pk").first()
    return None if row is None else read_edges(row)


def compute_edges(now: datetime, *, zone: ZoneInfo, choices: Choices | None = None, preset: str = "") -> Edges:
    """Freeze new edges from everyone's orders of the window up to `now`, and the population's usual gaps.

    People whose net is not above 0 are left out. Without new `choices`, or a new `preset` of stages, those of the
    edges in force go on.
    """
    last = RfmEdges.objects.order_by("-computed_at", "-pk").first()
    chosen = choices or _chosen(last)
    recency, frequency, amounts = _population(now, zone=zone, chosen=chosen)
    row = RfmEdges(computed_at=now, window_days=chosen.window_days, money=chosen.money, mode=chosen.mode,
                   counted=chosen.counted,
                   population=len(recency), preset=preset or (last.preset if last else COMMERCE))  # fmt: skip
    if chosen.mode == "fixed":
        row.recency, row.frequency, row.monetary = map(list, (chosen.recency, chosen.frequency, chosen.monetary))
    else:
        row.recency, row.frequency, row.monetary = quantiles(recency), quantiles(frequency), quantiles(amounts)
    row.halves = chosen.halves
    row.means = dict(zip(AXES, _halves(chosen, recency, frequency, amounts), strict=True))
    active = preset_of(row.preset) is not None
    acts = days_of_some(now, zone=zone, reach=REACH) if active else order_days(now, zone=zone)
    row.gaps = rhythm_of(*count_gaps(acts)).as_json()
    row.save()
    return read_edges(row)


def _chosen(row: RfmEdges | None) -> Choices:
    if row is None:
        return Choices()
    limits = [row.means.get(axis, 0.0) for axis in AXES]
    edges = (row.recency, row.frequency, row.monetary)
    return Choices(row.window_days, row.money, row.mode, *edges, row.counted, row.halves, limits)


def _halves(chosen: Choices, *axes: Sequence[float]) -> Sequence[float]:
    """Where each axis is cut in two for the octants."""
    if chosen.halves == "fixed":
        return chosen.limits
    if chosen.halves == "median":
        return [next(iter(quantiles(axis, [0.5])), 0.0) for axis in axes]
    return [sum(axis) / (len(axis) or 1) for axis in axes]


def buyers(now: datetime, *, zone: ZoneInfo, window_days: int = WINDOW_DAYS) -> QuerySet[Order]:
    """Standing orders whose local day lies in the window that ends today."""
    first = local_date(now, zone) - timedelta(days=window_days - 1)
    standing = Order.objects.filter(state__in=[Order.State.PLACED, Order.State.PAID])
    return standing.filter(placed_at__gte=start_of_day(first, zone), placed_at__lte=now)


def _population(now: datetime, *, zone: ZoneInfo, chosen: Choices) -> tuple[array[int], array[int], array[float]]:
    """R, F and M of everyone with a positive net in the window, as flat arrays from one grouped query."""
    today = local_date(now, zone)
    rows = buyers(now, zone=zone, window_days=chosen.window_days).order_by().values("profile_id")
    rows = rows.annotate(last=Max("placed_at"), orders=Count("pk"), net=Sum("net_reporting")).filter(net__gt=0)
    by_day = Count(TruncDate("placed_at", tzinfo=zone), distinct=True)
    rows = rows.annotate(often=by_day if chosen.counted == "days" else F("orders"))
    recency, frequency, amounts = array("q"), array("q"), array("d")
    for last, orders, often, net in rows.values_list("last", "orders", "often", "net").iterator(chunk_size=CHUNK):
        recency.append((today - local_date(last, zone)).days)
        frequency.append(often)
        amounts.append(net / orders if chosen.money == "mean" else net)
    return recency, frequency, amounts


def order_days(now: datetime, *, zone: ZoneInfo) -> Iterator[tuple[int, date]]:
    """(person, day with an order), in order."""
    standing = Order.objects.filter(state__in=[Order.State.PLACED, Order.State.PAID], placed_at__lte=now)
    days = standing.annotate(day=TruncDate("placed_at", tzinfo=zone)).values_list("profile_id", "day").distinct()
    yield from days.order_by("profile_id", "day").iterator(chunk_size=CHUNK)


def count_gaps(acts: Iterable[tuple[int, date]]) -> tuple[Counter[int], Counter[int]]:
    """How often each number of days lay between two days of a person's acts: all gaps, and first to second."""
    every, first = Counter[int](), Counter[int]()
    person, before, seen = None, date.min, 0
    for profile, day in acts:
        if profile != person:
            person, seen = profile, 1
        else:
            every[(day - before).days] += 1
            if seen == 1:
                first[(day - before).days] += 1
            seen += 1
        before = day
    return every, first


def read_edges(row: RfmEdges) -> Edges:
    """The edges of a row."""
    recency, frequency, monetary = (row.means.get(axis, 0.0) for axis in AXES)
    return Edges(
        row.recency,
        row.frequency,
        row.monetary,
        (recency, frequency, monetary),
        row.money,
        row.window_days,
        row.pk,
        Rhythm.read(row.gaps),
        row.preset,
        row.counted,
    )
