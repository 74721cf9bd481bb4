"""How many people a draft may reach: an estimate from what happened lately, for those who decide whether it may run."""

from __future__ import annotations

from datetime import datetime, timedelta

from campaigns.graph import Graph
from segments.facts.names import RESERVED
from segments.models import Event, EventStats, Membership, Profile

SPAN = timedelta(days=30)


def estimate(graph: Graph, *, now: datetime) -> int | None:
    """People whom the flow may take in within 30 days: the audience's members where it has one, besides everybody who
    did what starts it in the last 30 days; never more than its cap a day lets in. None when nobody can say (people let
    in by a program or a file): to be treated as many."""
    params = graph.trigger_params
    segment = graph.trigger.audience(params) or str(getattr(params, "segment", ""))
    facts = graph.trigger.facts(params)
    found: int | None = None
    if segment:
        found = Membership.objects.filter(segment__key=segment).count()
    elif facts:
        found = _did(facts, now)
    if graph.entry.per_day is not None:
        most = graph.entry.per_day * (1 if not facts and not segment else SPAN.days)
        found = most if found is None else min(found, most)
    return found


def everybody() -> int:
    """People that there are."""
    return Profile.objects.filter(erased_at__isnull=True, merged_into__isnull=True).count()


def _did(facts: frozenset[str], now: datetime) -> int:
    """People who did one of these lately; what the engine itself states is counted in the log."""
    told = {name for name in facts if not name.startswith(RESERVED)}
    stats = EventStats.objects.filter(name__in=told, last_at__gt=now - SPAN).values_list("profile_id", flat=True)
    rows = Event.objects.filter(name__in=facts - told, occurred_at__gt=now - SPAN, occurred_at__lte=now)
    return stats.union(rows.values_list("profile_id", flat=True)).count() if facts - told else stats.distinct().count()
