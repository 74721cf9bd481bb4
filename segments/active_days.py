"""The local days on which people were active, for stages that are judged by activity and not by orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Max

from common.buckets import BUCKETS
from common.periods import local_date, start_of_day
from common.semijoin import among
from segments.health import About
from segments.health._marks import NO_ACTS, days
from segments.models import EventStats, Profile

SAMPLE = 20_000
PAGE = 1000


def active_days(ids: Collection[int], *, now: datetime, zone: ZoneInfo, reach: int) -> dict[int, list[date]]:
    """Each person's active days of the last `reach`, ascending, and those dated ahead; two statements.

    Of somebody who has not been active for so long, the last active day of all is known.
    """
    since = start_of_day(local_date(now, zone) - timedelta(days=reach), zone)
    found: dict[int, list[date]] = defaultdict(list)
    for pk, mark in days(About(ids, since, zone)):
        found[pk].append(mark.day)
    for of_person in found.values():
        of_person.sort()
    silent = [pk for pk in ids if pk not in found]
    acts = EventStats.objects.filter(among("profile_id", silent)).exclude(name__in=sorted(NO_ACTS)).order_by()
    for pk, last in acts.values_list("profile_id").annotate(last=Max("last_at")):
        found[pk] = [local_date(last, zone)]
    return found


def days_of_some(now: datetime, *, zone: ZoneInfo, reach: int) -> Iterator[tuple[int, date]]:
    """(person, active day), in order, of a stable random share of everybody: 20,000 people where there are more."""
    alive = Profile.objects.filter(merged_into__isnull=True, erased_at__isnull=True, no_profiling=False)
    share = min(1.0, SAMPLE / max(1, alive.count()))
    rows, last, today = alive.filter(bucket__lt=round(BUCKETS * share)), 0, local_date(now, zone)
    while ids := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:PAGE]):
        for pk, of_person in sorted(active_days(ids, now=now, zone=zone, reach=reach).items()):
            yield from ((pk, day) for day in of_person if day <= today)
        last = ids[-1]
