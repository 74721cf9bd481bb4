"""Who comes back: retention on a day, from a day on, and within days; stickiness, life cycle, plateau, alarm.

Days are calendar days of one zone; a person's day 0 is the day of the first start event. Whoever's day N is not over
yet is pending, never lost. The definitions are those of docs/lifecycle.md; what is read is one stream of (person, day),
and what is kept are counts, whatever the population.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise
from math import exp, lgamma, log
from operator import itemgetter
from zoneinfo import ZoneInfo

from django.db.models.functions import TruncDate

from common.periods import local_date
from segments.models import Event

CHUNK = 5000
FLAT, STEPS = 0.02, 3  # a curve that loses less than this, so many steps running, has reached its plateau
ALARM, LEVEL, FEWEST = 0.35, 0.05, 100


@dataclass(frozen=True)
class Kept:
    """`active` of `observed` people came back; the day of `pending` others is not over."""

    active: int
    observed: int
    pending: int

    @property
    def share(self) -> float | None:
        return self.active / self.observed if self.observed else None


class Retention:
    """The counts of a population as of a day, from everybody's day 0 and later active days."""

    def __init__(self, people: Iterable[tuple[date, Iterable[date]]], *, today: date) -> None:
        self._ages: Counter[int] = Counter()
        self._on: Counter[tuple[int, int]] = Counter()  # (age, day N)
        self._last: Counter[tuple[int, int]] = Counter()
        self._gaps: Counter[tuple[int, int, int]] = Counter()  # (age, day before or 0, day N): successive active days
        for first, days in people:
            age = (today - first).days
            offsets = sorted({0, *((day - first).days for day in days if first <= day <= today)})
            self._ages[age] += 1
            self._on.update((age, offset) for offset in offsets)
            self._last[age, offsets[-1]] += 1
            self._gaps.update((age, *pair) for pair in zip([-1, *offsets], offsets, strict=False))

    def on(self, n: int) -> Kept:
        """Active on day N itself: what D1, D7 and D30 mean."""
        return self._kept(n, sum(count for (age, at), count in self._on.items() if at == n < age))

    def since(self, n: int) -> Kept:
        """Active on day N or on any later one ("unbounded", "rolling")."""
        return self._kept(n, sum(count for (age, at), count in self._last.items() if at >= n and age > n))

    def within(self, first: int, last: int) -> Kept:
        """Active on any of the days from `first` to `last`: counted at the earliest of them."""
        hits = (count for (age, was, at), count in self._gaps.items() if was < first <= at <= last < age)
        return self._kept(last, sum(hits))

    def _kept(self, n: int, active: int) -> Kept:
        observed = sum(count for age, count in self._ages.items() if age > n)
        return Kept(active, observed, self._ages.total() - observed)


def active_people(names: Collection[str], *, zone: ZoneInfo, until: datetime) -> Iterator[tuple[int, list[date]]]:
    """Everybody who did one of these, with the local days of it, ascending; one query, read as a stream."""
    rows = Event.objects.filter(name__in=sorted(names), occurred_at__lte=until)
    days = rows.annotate(day=TruncDate("occurred_at", tzinfo=zone)).values_list("profile_id", "day").distinct()
    stream = days.order_by("profile_id", "day").iterator(chunk_size=CHUNK)
    for person, pairs in groupby(stream, key=itemgetter(0)):
        yield person, [day for _, day in pairs]


def retention(start: Collection[str], back: Collection[str], *, zone: ZoneInfo, now: datetime) -> Retention:
    """People by the day of their first `start` event, and whether a `back` event followed."""
    firsts = ((person, days[0]) for person, days in active_people(start, zone=zone, until=now))
    returns = active_people(back, zone=zone, until=now)
    return Retention(_beside(firsts, returns), today=local_date(now, zone))


def _beside(
    firsts: Iterator[tuple[int, date]], returns: Iterator[tuple[int, list[date]]]
) -> Iterator[tuple[date, list[date]]]:
    """Two streams in the order of people, side by side; who never came back has no days."""
    other = next(returns, None)
    for person, first in firsts:
        while other is not None and other[0] < person:
            other = next(returns, None)
        yield first, other[1] if other is not None and other[0] == person else []


def recurring(people: Iterable[Collection[date]], *, first: date, last: date) -> list[list[int]]:
    """For each day with a start event, how many of its people were active so many days later (every day counts as a
    start): the triangle of the days from `first` to `last`."""
    counts: Counter[tuple[date, int]] = Counter()
    for days in people:
        known = set(days)
        counts.update((start, (day - start).days) for start in known for day in known if day >= start)
    size = (last - first).days + 1
    return [[counts[first + timedelta(days=row), n] for n in range(size - row)] for row in range(size)]


def day_of(first: datetime, at: datetime, zone: ZoneInfo, *, by: str = "calendar") -> int:
    """On which day after the first a return lies: by `calendar` days of the zone, by 24 `hours` of instants rounded
    down to the hour, or by 24 hours to the second (`raw`)."""
    if by == "calendar":
        return (local_date(at, zone) - local_date(first, zone)).days
    if by == "hours":
        first, at = (instant.replace(minute=0, second=0, microsecond=0) for instant in (first, at))
    return (at - first) // timedelta(days=1)


def stickiness(people: Iterable[Collection[date]]) -> dict[int, int]:
    """So many people were active on so many different days."""
    return dict(sorted(Counter(len(set(days)) for days in people if days).items()))


def mean_daily_share(people: Iterable[Collection[date]], *, year: int, month: int) -> float | None:
    """Mean of the month's daily active people over its active people (DAU / MAU); None without anybody."""
    first = date(year, month, 1)
    after = date(year + month // 12, month % 12 + 1, 1)
    inside = [{day for day in days if first <= day < after} for days in people]
    active = sum(1 for days in inside if days)
    return sum(map(len, inside)) / (after - first).days / active if active else None


def life_cycle(people: Iterable[Collection[int]], *, until: int) -> list[dict[str, int]]:
    """For each interval from 0 to `until`: people who are new, returning (active in the one before too), resurrecting
    (neither), and dormant (active in the one before and not now; negative)."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    for intervals in people:
        known = set(intervals)
        for at in known:
            kind = "new" if at == min(known) else "returning" if at - 1 in known else "resurrecting"
            found[at][kind] += 1
            found[at + 1]["dormant"] -= at + 1 not in known
    names = ("new", "returning", "resurrecting", "dormant")
    return [{name: found[at][name] for name in names} for at in range(until + 1)]


def plateau(curve: Sequence[float]) -> int | None:
    """The first day from which the curve loses less than 2 % of itself on three days running; None while it falls."""
    flat = [before > 0 and (before - after) / before < FLAT for before, after in pairwise(curve)]
    return next((n for n in range(len(flat) - STEPS + 1) if all(flat[n : n + STEPS])), None)


def is_alarming(active: int, observed: int, *, floor: float = ALARM) -> bool:
    """Whether so few of so many speak against a true rate of `floor` (one-sided exact binomial at 5 %, n ≥ 100)."""
    return observed >= FEWEST and at_most(active, observed, floor) < LEVEL


def at_most(k: int, n: int, p: float) -> float:
    """P(X ≤ k) for a binomial X of n trials with rate p, 0 < p < 1."""
    whole = lgamma(n + 1)
    return sum(
        exp(whole - lgamma(j + 1) - lgamma(n - j + 1) + j * log(p) + (n - j) * log(1 - p)) for j in range(min(k, n) + 1)
    )


def curve(found: Retention, *, reach: int, of: str = "on") -> Mapping[int, Kept]:
    """Day by day up to `reach`, on the day ("on") or from it on ("since")."""
    return {n: getattr(found, of)(n) for n in range(reach + 1)}
