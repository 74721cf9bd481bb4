"""Stages over time, as pages and programs show them: how many people moved from where to where in a period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from segments.models import StageChange
from segments.models.known import STAGES


@dataclass(frozen=True)
class Flow:
    """So many moves from one stage to another; `before` is "" for people first met."""

    before: str
    after: str
    moves: int
    people: int


def stage_flow(*, since: datetime, until: datetime) -> list[Flow]:
    """Every move after `since` up to `until`, in the order of the life cycle, by one grouped query.

    Somebody who moved twice is counted in two moves; `people` counts each person once a pair.
    """
    moves = StageChange.objects.filter(at__gt=since, at__lte=until).order_by().values_list("before", "after")
    rows = moves.annotate(n=Count("pk"), people=Count("profile_id", distinct=True))
    place = {stage: number for number, stage in enumerate(["", *STAGES])}
    flows = [Flow(before, after, n, people) for before, after, n, people in rows]
    return sorted(flows, key=lambda flow: (place.get(flow.before, 0), place.get(flow.after, 0)))
