"""What the metrics say of a page of people, now and some weeks ago, and when silence alone will change it.

A value depends on local days only. So the earliest day on which it can change is known beforehand: when a mark comes
into a window or leaves it, in the window of today or in the one of some weeks ago.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from common.params import Params
from common.periods import local_date, start_of_day
from common.semijoin import among
from segments.health import About, Mark, Metric
from segments.health_bands import Bounds
from segments.models import Profile

Values = Mapping[str, float | None]


@dataclass(frozen=True)
class Rules:
    """A version of the rules as it is applied. `measured` are the metrics that can be; all weights count for
    coverage. `lag` is over how many days the trend is taken."""

    pk: int | None
    weights: Mapping[str, float]
    bounds: Mapping[str, Bounds]
    params: Mapping[str, Params]
    lag: int
    measured: Sequence[Metric[Any]] = field(default_factory=list)

    def facts(self) -> frozenset[str]:
        """Names of the facts that may change anybody's score; "*" stands for any of a sender."""
        return frozenset[str]().union(*(metric.facts(self.params[metric.key]) for metric in self.measured))


class Measured(NamedTuple):
    """The values of one person today and `lag` days ago; `changes_on` is the next day on which any may change."""

    shard: int
    now: Values
    before: Values
    changes_on: date | None


def measure_page(ids: Collection[int], rules: Rules, *, now: datetime, zone: ZoneInfo) -> dict[int, Measured]:
    """The values of those of the people who are alive; one query for people and one for each metric.

    Of who asked not to be profiled nothing is measured.
    """
    people = Profile.objects.filter(among("pk", ids), merged_into__isnull=True, erased_at__isnull=True)
    rows = list(people.values_list("pk", "shard", "first_seen_at", "no_profiling"))
    today = local_date(now, zone)
    loud = [pk for pk, _, _, quiet in rows if not quiet]
    parts = [_Part(metric, rules, loud, today, zone) for metric in rules.measured]
    return {
        pk: Measured(shard, {}, {}, None) if quiet else _measure(pk, shard, local_date(first_seen, zone), parts, today)
        for pk, shard, first_seen, quiet in rows
    }


class _Part:
    """One metric over a page of people, with all that is the same for each of them worked out once."""

    def __init__(self, metric: Metric[Any], rules: Rules, ids: Collection[int], today: date, zone: ZoneInfo) -> None:
        self.key, self.silent, self.metric, self.params = metric.key, metric.silent, metric, rules.params[metric.key]
        self.today, self.then = today, today - timedelta(days=rules.lag)
        window = timedelta(days=metric.width - 1)
        self.opens, self.opened = self.today - window, self.then - window
        self.known_for = (window, window + timedelta(days=rules.lag))
        delays = {0, metric.width, *metric.delays(self.params)}
        self.offsets = sorted({delay + lag for delay in delays for lag in (0, rules.lag)})
        self.nothing = tuple(
            metric.value(self.params, (), day) if metric.silent else None for day in (today, self.then)
        )
        since = start_of_day(self.opened - timedelta(days=1), zone)
        self.marks: dict[int, list[Mark]] = defaultdict(list)
        for pk, mark in metric.marks(self.params, About(ids, since, zone)):
            self.marks[pk].append(mark)

    def values(self, own: Sequence[Mark], known: date) -> tuple[float | None, float | None]:
        """Of today and of `lag` days ago. Nobody is called silent who has not been known for a whole window."""
        return (
            None if self.silent and known > self.opens else self._value(own, self.opens, self.today, 0),
            None if self.silent and known > self.opened else self._value(own, self.opened, self.then, 1),
        )

    def _value(self, own: Sequence[Mark], first: date, today: date, which: int) -> float | None:
        if not own:
            return self.nothing[which]
        return self.metric.value(self.params, [mark for mark in own if first <= mark.day <= today], today)

    def turn(self, own: Sequence[Mark], known: date, nearest: date) -> date:
        """The first day after today, if it is before `nearest`, on which the value of today, or the one of `lag` days
        ago, can change by itself.

        Days are told from the oldest on; those of the value then come `lag` days after those of the value now.
        """
        today, offsets = self.today, self.offsets
        if self.silent:
            for width in self.known_for:
                if today < (day := known + width) < nearest:
                    nearest = day
        for day in {mark.day for mark in own}:
            place = bisect_right(offsets, (today - day).days)
            if place < len(offsets) and (turn := day + timedelta(days=offsets[place])) < nearest:
                nearest = turn
        return nearest


def _measure(pk: int, shard: int, known: date, parts: Sequence[_Part], today: date) -> Measured:
    nearest = date.max
    values: dict[str, float | None] = {}
    before: dict[str, float | None] = {}
    for part in parts:
        own = part.marks.get(pk, ())
        if not own and not part.silent:
            values[part.key] = before[part.key] = None
            continue
        values[part.key], before[part.key] = part.values(own, known)
        nearest = part.turn(own, known, nearest)
    return Measured(shard, values, before, None if nearest == date.max else nearest)
