"""When two profiles become one: counters of missions follow, and where both have one it is counted anew, once.

Three statements and one walk over the facts that may count, however many counters there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F, Q

from common.periods import zone
from segments.bulk import update
from segments.growth.missions import (
    MAX_AGE,
    deed_of,
    done_often,
    lapse_of,
    matches,
    measure_of,
    period_of,
    times_of,
)
from segments.merge import Kept, MergeHandler, Pair, family, handlers
from segments.models import Event, Mission, MissionProgress, Profile
from segments.unmerge import return_rows

TABLE = MissionProgress._meta.db_table
MOVE = (("id", "bigint"), ("profile_id", "bigint"), ("origin", "bigint"))
WEST = timezone(timedelta(hours=12))  # where a date begins first, and SPAN later it has ended everywhere
SPAN = {"day": timedelta(days=3), "week": timedelta(days=9), "month": timedelta(days=33)}


@handlers.register("missions")
class Missions(MergeHandler):
    """Counters move; where both have one, the known person's is counted anew from the facts of both."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> Kept | None:
        into = {pair.gone: pair.into for pair in pairs}
        rows = MissionProgress.objects.filter(profile__in={*into, *into.values()})
        moving, doubled = _sort(list(rows.select_related("mission").order_by("pk")), into)
        if moving:
            update(TABLE, MOVE, moving)
        kept: dict[int, Any] = defaultdict(list)
        before = {row.pk: _held(row) for row, _ in doubled}
        _count_anew({row.pk: (row, others) for row, others in doubled})
        MissionProgress.objects.bulk_update([row for row, _ in doubled], HELD)
        for row, others in doubled:
            for gone in others:
                kept[gone.profile_id].append([row.pk, before[row.pk], _held(row)])
        return kept

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        for pair in pairs:
            return_rows(TABLE, pair, family(pair.gone))

    def restore(self, pair: Pair, kept: Any, *, now: datetime) -> None:
        for pk, before, after in kept:
            now_held = MissionProgress.objects.filter(pk=pk)
            if isinstance(before, int):  # noted when a counter was a number alone
                now_held.filter(count=after).update(count=before)
            elif any(_held(row) == after for row in now_held):
                now_held.update(**before)


HELD = ["count", "kept", "times", "completed_at", "lapses_at"]


def _held(row: MissionProgress) -> dict[str, Any]:
    """What a counter says, as JSON."""
    said = {name: getattr(row, name) for name in HELD}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}


def _sort(
    rows: Sequence[MissionProgress], into: dict[int, int]
) -> tuple[list[tuple[int, int, int]], list[tuple[MissionProgress, list[MissionProgress]]]]:
    """Counters to move, as (id, to whom, origin); and those that are there already, each with those it meets."""
    taken = {_place(row, row.profile_id): row for row in rows if row.profile_id not in into}
    moving, doubled = [], dict[int, tuple[MissionProgress, list[MissionProgress]]]()
    for row in rows:
        target = into.get(row.profile_id)
        if target is None:
            continue
        place = _place(row, target)
        if place in taken:
            doubled.setdefault(taken[place].pk, (taken[place], []))[1].append(row)
        else:
            moving.append((row.pk, target, row.origin or row.profile_id))
            row.profile_id = target
            taken[place] = row
    return moving, list(doubled.values())


def _place(row: MissionProgress, profile: int) -> tuple[int, int, int, str]:
    return row.mission_id, row.version, profile, row.period


def _count_anew(rows: dict[int, tuple[MissionProgress, list[MissionProgress]]]) -> None:
    """What both have done in the period, from facts that were live and read in time, in one walk for all counters.

    What either was paid for stays paid and counts no more; otherwise it is never less than was counted before.
    """
    met = [row for row, _ in rows.values()]
    how = {row.pk: measure_of(row.mission) for row in met}
    kept = {row.pk: how[row.pk][0].begin(0) for row in met}
    wanted: dict[tuple[int, str], list[MissionProgress]] = defaultdict(list)
    for row in met:
        wanted[row.profile_id, row.mission.fact].append(row)
    people = {row.profile_id for row in met}
    names = dict(Profile.objects.filter(pk__in=people).values_list("pk", "timezone")) if met else {}
    zones = {pk: zone(name) for pk, name in names.items()}
    for fact in _facts(met):
        tz = zones[fact.profile_id]
        for row in wanted[fact.profile_id, fact.name]:
            if matches(row.mission, fact) and period_of(row.mission, fact.occurred_at, tz) == row.period:
                measure, params = how[row.pk]
                kept[row.pk] = measure.add(params, kept[row.pk], deed_of(fact, tz), row.mission.target)
    for row, others in rows.values():
        _settle(row, others, kept[row.pk], zones[row.profile_id])


def _settle(row: MissionProgress, others: Sequence[MissionProgress], kept: Any, tz: ZoneInfo) -> None:
    """The counter of both: what was completed is taken off the deeds of both, as often as they are."""
    measure, params = measure_of(row.mission)
    target, all_of = row.mission.target, [row, *others]
    times = sum(times_of(one) for one in all_of)
    for _ in range(times):
        if measure.count(params, kept, target) >= target:
            kept = measure.rest(params, kept, target)
    if not times and measure.count(params, kept, target) < row.count:
        return
    over = done_often(row.mission, times)
    row.times = min(times, row.mission.repeats) if row.mission.repeats else times
    row.kept = kept
    row.count = target if over else min(target, measure.count(params, kept, target))
    row.completed_at = max((one.completed_at for one in all_of if one.completed_at), default=None)
    row.lapses_at = None if over else lapse_of(measure, params, kept, tz)


def _facts(rows: Collection[MissionProgress]) -> Any:
    """The facts that may count for any of the counters, in the order of the log."""
    mine = Q(pk__in=[])
    for row in rows:
        span = _span(row.mission, row.period)
        when = Q(occurred_at__gte=span[0], occurred_at__lt=span[1]) if span else Q()
        mine |= Q(profile=row.profile_id, name=row.mission.fact) & when
    found = Event.objects.filter(mine, live=True, received_at__lt=F("occurred_at") + MAX_AGE)
    names = ("profile_id", "name", "live", "occurred_at", "properties", "value")
    return found.only(*names).order_by("tx", "id").iterator(chunk_size=1000)


def _span(mission: Mission, period: str) -> tuple[datetime, datetime] | None:
    """Moments between which the period lies, wherever the person lives; None for ever."""
    if mission.period not in SPAN or not period:
        return None
    if mission.period == Mission.Period.WEEK:
        year, _, week = period.partition("-W")
        first = date.fromisocalendar(int(year), int(week), 1)
    else:
        first = date.fromisoformat(period if mission.period == Mission.Period.DAY else f"{period}-01")
    begin = datetime.combine(first - timedelta(days=1), time(), WEST)
    return begin, begin + SPAN[mission.period]
