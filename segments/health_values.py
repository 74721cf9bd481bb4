"""What the metrics say of a page of people, now and some weeks ago, and when silence alone will change it.

A value depends on local days only. So the earliest day on which it can change is known beforehand: when a mark comes
into a window or leaves it, in the window of today or in the one of some weeks ago.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from common.params import Params
from common.periods import local_date, start_of_day
from common.semijoin import among
from segments.health import About, Mark, Metric
from segments.health_bands import Bounds
from segments.models import Profile

Marks = Mapping[str, Mapping[int, Sequence[Mark]]]  # of each metric, of each person
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


@dataclass(frozen=True)
class Measured:
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
    marks = _marks([pk for pk, _, _, quiet in rows if not quiet], rules, today=today, zone=zone)
    return {
        pk: Measured(shard, {}, {}, None)
        if quiet
        else _measure(pk, shard, local_date(first_seen, zone), marks, rules, today=today)
        for pk, shard, first_seen, quiet in rows
    }


def _marks(ids: Collection[int], rules: Rules, *, today: date, zone: ZoneInfo) -> Marks:
    found: dict[str, dict[int, list[Mark]]] = {}
    for metric in rules.measured:
        since = start_of_day(today - timedelta(days=metric.width + rules.lag), zone)
        of_people = found[metric.key] = defaultdict(list)
        for pk, mark in metric.marks(rules.params[metric.key], About(ids, since, zone)):
            of_people[pk].append(mark)
    return found


def _measure(pk: int, shard: int, known: date, marks: Marks, rules: Rules, *, today: date) -> Measured:
    then, nearest = today - timedelta(days=rules.lag), date.max
    values: dict[str, float | None] = {}
    before: dict[str, float | None] = {}
    for metric in rules.measured:
        own = marks[metric.key].get(pk, ())
        values[metric.key] = _value(metric, rules, own, known, today)
        before[metric.key] = _value(metric, rules, own, known, then)
        for day in _turns(metric, rules, own, known, today):
            if today < day < nearest:
                nearest = day
    return Measured(shard, values, before, None if nearest == date.max else nearest)


def _value(metric: Metric[Any], rules: Rules, marks: Sequence[Mark], known: date, today: date) -> float | None:
    """The value as of a day. Nobody is called silent who has not been known for a whole window."""
    first = today - timedelta(days=metric.width - 1)
    if (metric.silent and known > first) or not (marks or metric.silent):
        return None
    return metric.value(rules.params[metric.key], [mark for mark in marks if first <= mark.day <= today], today)


def _turns(metric: Metric[Any], rules: Rules, marks: Sequence[Mark], known: date, today: date) -> Iterator[date]:
    """Days on which the value of today, or the one of `lag` days ago, can change by itself.

    Days are told from the oldest on; those of the value then come `lag` days after those of the value now.
    """
    if metric.silent:
        for lag in (0, rules.lag):
            yield known + timedelta(days=metric.width - 1 + lag)
    if not marks:
        return
    delays = {0, metric.width, *metric.delays(rules.params[metric.key])}
    offsets = sorted({delay + lag for delay in delays for lag in (0, rules.lag)})
    for day in {mark.day for mark in marks}:
        place = bisect_right(offsets, (today - day).days)
        if place < len(offsets):
            yield day + timedelta(days=offsets[place])
