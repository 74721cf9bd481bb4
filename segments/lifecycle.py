"""Where a person stands with us, judged by the person's own rhythm of buying where it is known.

Only calendar days of the workspace count, so a stage depends on what happened and never on how often we look;
see docs/lifecycle.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from common.periods import local_date, start_of_day
from segments.models.known import Stage
from segments.stage_reasons import pack

DEAD_DAYS = 180
NEWCOMER_ORDERS = 2
GROWING_ORDERS = 7
OWN_RHYTHM = 4  # order days from which the person's own gaps are used
CHURNED = 1.5
FEW_GAPS = 30
DWELL = timedelta(hours=24)
WON_BACK = timedelta(days=14)
RANK = {
    Stage.PROSPECT: 0, Stage.LAPSED: 1, Stage.AT_RISK: 2, Stage.NEWCOMER: 3, Stage.GROWING: 4, Stage.MATURE: 5,
}  # fmt: skip
AWAY = frozenset({Stage.AT_RISK, Stage.LAPSED})


@dataclass(frozen=True)
class Rhythm:
    """The population's usual silences in days: after any order, and after the first one. The defaults serve
    until there are enough gaps to know better."""

    warn: float = 60.0
    churn: float = 90.0
    first_warn: float = 60.0
    first_churn: float = 90.0

    def as_json(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def read(cls, raw: Mapping[str, float]) -> Rhythm:
        return cls(**{key: float(value) for key, value in raw.items()})


class Judged(NamedTuple):
    """A stage by the bare rule: `warn` and `churn` are the silences in days that it was measured against."""

    stage: Stage
    silent: int = 0
    warn: float = 0.0
    churn: float = 0.0
    own: float | None = None


class Standing(NamedTuple):
    """A stage as kept: `pending` is a worse one that has not held long enough yet. `changes_on` is the next
    instant at which silence alone may change it."""

    stage: Stage
    since: datetime
    pending: str = ""
    pending_since: datetime | None = None
    won_back_until: datetime | None = None
    reason: str = ""
    gap_days: float | None = None
    changes_on: datetime | None = None


def judge(days: Sequence[date], today: date, rhythm: Rhythm) -> Judged:
    """The bare rule on the local days of all orders (ascending, repeated for several orders a day).

    Four order days or more: silence against the person's own 90th percentile gap, above it at risk, above half as
    much again lapsed. Two or three: against the population's gaps; one: against its gaps from first to second
    order (80th percentile at risk, 90th lapsed). Nobody silent for more than 180 days is anything but lapsed.
    Otherwise 1 to 2 orders newcomer, 3 to 7 growing, more mature.
    """
    if not days:
        return Judged(Stage.PROSPECT)
    own = own_gap(days)
    if own is not None:
        warn, churn = own, CHURNED * own
    elif days[0] != days[-1]:
        warn, churn = rhythm.warn, rhythm.churn
    else:
        warn, churn = rhythm.first_warn, rhythm.first_churn
    silent, churn = (today - days[-1]).days, min(churn, DEAD_DAYS)
    if silent > churn:
        stage = Stage.LAPSED
    elif silent > warn:
        stage = Stage.AT_RISK
    else:
        stage = _by_orders(len(days))
    return Judged(stage, silent, warn, churn, own)


def own_gap(days: Sequence[date]) -> float | None:
    """The 90th percentile (type 7) of the days between a person's order days; None below four order days."""
    distinct = sorted(set(days))
    if len(distinct) < OWN_RHYTHM:
        return None
    gaps = sorted((later - earlier).days for earlier, later in pairwise(distinct))
    return quantile(gaps, 0.9)


class Rule(ABC):
    """How a stage is judged by the local days of somebody's acts alone; orders here, other acts in stage_presets."""

    @abstractmethod
    def judge(self, days: Sequence[date], today: date, rhythm: Rhythm) -> Judged:
        """The bare rule on the days up to `today`, ascending."""

    @abstractmethod
    def reason(self, judged: Judged, days: Sequence[date]) -> str:
        """Why, as a key and numbers (segments.stage_reasons)."""

    def turns(self, days: Sequence[date]) -> Iterable[date]:
        """Days on which silence may change the answer, beside those on which it grows too long."""
        return ()


class ByOrders(Rule):
    """The rule of a shop."""

    def judge(self, days: Sequence[date], today: date, rhythm: Rhythm) -> Judged:
        return judge(days, today, rhythm)

    def reason(self, judged: Judged, days: Sequence[date]) -> str:
        return _reason(judged, days)


BY_ORDERS = ByOrders()


def settle(
    before: Standing | None,
    days: Sequence[date],
    *,
    now: datetime,
    zone: ZoneInfo,
    rhythm: Rhythm,
    rule: Rule = BY_ORDERS,
) -> Standing:
    """The stage at `now`. A better one counts at once; a worse one when it has held at two local midnights in a
    row, and at most one such change in 24 hours."""
    today = local_date(now, zone)
    judged = rule.judge(days, today, rhythm)
    since = start_of_day(today, zone)
    if before is None:
        found = Standing(judged.stage, now)
    elif RANK[judged.stage] >= RANK[before.stage]:
        found = _risen(before, judged, days, now=now, zone=zone)
    elif RANK[held := _held(judged, days, today, rhythm, rule)] < RANK[before.stage] and now - before.since >= DWELL:
        found = Standing(held, now, won_back_until=before.won_back_until)
    else:
        since = before.pending_since or since if before.pending == judged.stage else since
        found = Standing(before.stage, before.since, judged.stage.value, since, before.won_back_until)
    return _finish(found, judged, days, now=now, zone=zone, rule=rule)


def rhythm_of(every: Counter[int], first: Counter[int]) -> Rhythm:
    """The 80th and 90th percentile of gaps counted by days; defaults where fewer than 30 are known."""
    usual = Rhythm()
    if every.total() >= FEW_GAPS:
        usual = Rhythm(counted_quantile(every, 0.8), counted_quantile(every, 0.9), usual.first_warn, usual.first_churn)
    if first.total() >= FEW_GAPS:
        usual = Rhythm(usual.warn, usual.churn, counted_quantile(first, 0.8), counted_quantile(first, 0.9))
    return usual


def quantile(ordered: Sequence[float], fraction: float) -> float:
    """Type-7 quantile of ascending values (Hyndman and Fan, 1996)."""
    h = (len(ordered) - 1) * fraction
    low = int(h)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (h - low) * (ordered[high] - ordered[low]))


def counted_quantile(counts: Mapping[int, int], fraction: float) -> float:
    """The same of values given as value → how often, without spelling them out."""
    values, reached, total = sorted(counts), [], 0
    for value in values:
        total += counts[value]
        reached.append(total)
    h = (total - 1) * fraction
    low = values[bisect_left(reached, int(h) + 1)]
    high = values[bisect_left(reached, min(int(h) + 2, total))]
    return float(low + (h - int(h)) * (high - low))


def _by_orders(count: int) -> Stage:
    if count <= NEWCOMER_ORDERS:
        return Stage.NEWCOMER
    return Stage.GROWING if count <= GROWING_ORDERS else Stage.MATURE


def _held(judged: Judged, days: Sequence[date], today: date, rhythm: Rhythm, rule: Rule) -> Stage:
    """The best of the stages now, at this day's midnight and at the one before: what has held all the time."""
    stages = [judged.stage]
    for day in (today, today - timedelta(days=1)):
        before_midnight = days[: bisect_left(days, day)]
        stages.append(rule.judge(before_midnight, day, rhythm).stage)
    return max(stages, key=RANK.__getitem__)


def _risen(before: Standing, judged: Judged, days: Sequence[date], *, now: datetime, zone: ZoneInfo) -> Standing:
    """The same stage or a better one; a return by an order is marked as won back for 14 days."""
    won_back = before.won_back_until if before.won_back_until and before.won_back_until > now else None
    if judged.stage == before.stage:
        return Standing(before.stage, before.since, won_back_until=won_back)
    came_back = before.stage in AWAY and judged.stage not in AWAY and days[-1] >= local_date(before.since, zone)
    return Standing(judged.stage, now, won_back_until=now + WON_BACK if came_back else won_back)


def _finish(
    found: Standing, judged: Judged, days: Sequence[date], *, now: datetime, zone: ZoneInfo, rule: Rule
) -> Standing:
    """Add the reason, the usual gap, and when to look again."""
    today, next_days = local_date(now, zone), []
    if days:
        limits = (judged.warn, judged.churn)
        next_days = [day for limit in limits if (day := days[-1] + timedelta(days=int(limit) + 1)) > today]
        next_days += [day for day in rule.turns(days) if day > today]
    if found.pending or judged.stage != found.stage:
        next_days.append(today + timedelta(days=1))
    instants = [start_of_day(day, zone) for day in next_days]
    until = found.won_back_until if found.won_back_until and found.won_back_until > now else None
    if until:
        instants.append(until)
    if found.pending and found.since + DWELL > now:
        instants.append(found.since + DWELL)
    return Standing(
        found.stage, found.since, found.pending, found.pending_since, until, rule.reason(judged, days), judged.own,
        min(instants) if instants else None,
    )  # fmt: skip


def _reason(judged: Judged, days: Sequence[date]) -> str:
    """Why, as a key and numbers (segments.stage_reasons)."""
    if not days:
        return pack("no_orders", {})
    numbers: dict[str, float] = {"orders": len(days), "silent": judged.silent}
    if judged.stage not in AWAY:
        return pack("ordered", numbers)
    numbers["limit"] = judged.churn if judged.stage == Stage.LAPSED else judged.warn
    return pack("silent_own" if judged.own is not None else "silent_usual", numbers)
