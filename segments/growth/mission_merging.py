"""When two profiles become one: counters of missions follow, and where both have one it is counted anew, once.

Three statements and one walk over the facts that may count, however many counters there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from django.db.models import F, Q

from common.periods import zone
from segments.bulk import update
from segments.growth.missions import MAX_AGE, matches, period_of
from segments.merge import Kept, MergeHandler, Pair, family, handlers
from segments.models import Event, Mission, MissionProgress, Profile
from segments.unmerge import return_rows

TABLE = MissionProgress._meta.db_table
MOVE = (("id", "bigint"), ("profile_id", "bigint"), ("origin", "bigint"))
COUNT = (("id", "bigint"), ("count", "integer"))
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
        counted = _count_anew({row.pk: row for _, row in doubled})
        if counted:
            update(TABLE, COUNT, sorted(counted.items()))
        kept: dict[int, Any] = defaultdict(list)
        for gone, row in doubled:
            kept[gone].append([row.pk, row.count, counted[row.pk]])
            row.count = counted[row.pk]
        return kept

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        for pair in pairs:
            return_rows(TABLE, pair, family(pair.gone))

    def restore(self, pair: Pair, kept: Any, *, now: datetime) -> None:
        for pk, before, after in kept:
            MissionProgress.objects.filter(pk=pk, count=after).update(count=before)


def _sort(
    rows: Sequence[MissionProgress], into: dict[int, int]
) -> tuple[list[tuple[int, int, int]], list[tuple[int, MissionProgress]]]:
    """Counters to move, as (id, to whom, origin); and whose counter meets which one that is there already."""
    taken = {_place(row, row.profile_id): row for row in rows if row.profile_id not in into}
    moving, doubled = [], []
    for row in rows:
        target = into.get(row.profile_id)
        if target is None:
            continue
        place = _place(row, target)
        if place in taken:
            doubled.append((row.profile_id, taken[place]))
        else:
            moving.append((row.pk, target, row.origin or row.profile_id))
            row.profile_id = target
            taken[place] = row
    return moving, doubled


def _place(row: MissionProgress, profile: int) -> tuple[int, int, int, str]:
    return row.mission_id, row.version, profile, row.period


def _count_anew(rows: dict[int, MissionProgress]) -> dict[int, int]:
    """How often each person did it in the period, up to the target: facts that were live and read in time.

    Never less than was counted before; one walk over the facts for all counters, ended once all are full.
    """
    counts = dict.fromkeys(rows, 0)
    wanted: dict[tuple[int, str], set[int]] = defaultdict(set)
    for pk, row in rows.items():
        wanted[row.profile_id, row.mission.fact].add(pk)
    people = {row.profile_id for row in rows.values()}
    zones = dict(Profile.objects.filter(pk__in=people).values_list("pk", "timezone")) if rows else {}
    for fact in _facts(list(rows.values())):
        place = fact.profile_id, fact.name
        for pk in tuple(wanted[place]):
            row = rows[pk]
            at = period_of(row.mission, fact.occurred_at, zone(zones[row.profile_id]))
            counts[pk] += matches(row.mission, fact) and at == row.period
            if counts[pk] >= row.mission.target:
                wanted[place].discard(pk)
        if not any(wanted.values()):
            break
    return {pk: max(count, rows[pk].count) for pk, count in counts.items()}


def _facts(rows: Collection[MissionProgress]) -> Any:
    """The facts that may count for any of the counters."""
    mine = Q(pk__in=[])
    for row in rows:
        span = _span(row.mission, row.period)
        when = Q(occurred_at__gte=span[0], occurred_at__lt=span[1]) if span else Q()
        mine |= Q(profile=row.profile_id, name=row.mission.fact) & when
    found = Event.objects.filter(mine, live=True, received_at__lt=F("occurred_at") + MAX_AGE)
    return found.only("profile_id", "name", "live", "occurred_at", "properties").iterator(chunk_size=1000)


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
