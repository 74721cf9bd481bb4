"""Goals: a goal fact marks the walks that hoped for it, those under way and those that ended within the window.

Who gets credit for it is another question, answered by campaigns.credit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.db.models import Q

from campaigns.models import SINCE, Enrolment
from campaigns.plans import Plan
from campaigns.rows import update_rows
from segments.facts.fact import Fact

CONVERTED = {"id": "bigint", "converted_at": "timestamptz"}


def mark_goals(facts: Mapping[int, Fact], plans: Iterable[Plan]) -> int:
    """Mark walks converted at the fact's time, each once; returns how many. `facts` holds one per profile. What
    occurred before the walk's cause is no effect of it, however late we hear of it.

    Two statements, whatever the number of people.
    """
    hoping = {plan.version: plan.graph.goal for plan in plans if plan.graph and plan.graph.goal}
    names = {goal.fact for goal in hoping.values()}
    people = [profile for profile, fact in facts.items() if fact.name in names]
    if not people:
        return 0
    widest = max(goal.window_days for goal in hoping.values())
    earliest = min(facts[profile].occurred_at for profile in people)
    recent = Q(ended_at__isnull=True) | Q(ended_at__gte=earliest - timedelta(days=widest))
    rows = Enrolment.objects.filter(recent, profile__in=people, version__in=list(hoping), converted_at__isnull=True)
    rows = rows.exclude(state=Enrolment.State.REFUSED)
    marked = []
    for pk, profile, version, since, ended in rows.values_list("pk", "profile_id", "version_id", SINCE, "ended_at"):
        goal, fact = hoping[version], facts[profile]
        in_time = since <= fact.occurred_at
        in_time &= ended is None or fact.occurred_at <= ended + timedelta(days=goal.window_days)
        if in_time and goal.matches(fact):
            marked.append((pk, fact.occurred_at))
    return update_rows(Enrolment, CONVERTED, marked) if marked else 0
