"""Reading what a rule matches: some people with the reason each, and about how many there are in all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from common.clock import is_postgres
from common.periods import zone
from segments.models import Profile
from segments.rules.compile import people
from segments.rules.explain import Reason, explain_many
from segments.rules.operators import At
from segments.rules.tree import Rule


@dataclass(frozen=True)
class LiveCount:
    """How many a rule holds for now; an estimate comes from a random share and is off by `margin` (95 %) or less."""

    people: int
    exact: bool
    margin: int = 0


@dataclass(frozen=True)
class Sample:
    """One person for whom a rule holds, and every answer."""

    person: Profile
    why: Reason


def at(now: datetime) -> At:
    """The moment of a question, in the workspace's zone."""
    return At(now, zone(settings.WORKSPACE_ZONE))


def samples(rule: Rule, *, now: datetime, language: str, limit: int = 10) -> list[Sample]:
    """The first people for whom the rule holds, each with the tree of answers; two queries whatever the limit."""
    found = list(people(rule, at(now)).order_by("pk")[:limit])
    why = explain_many(rule, [person.pk for person in found], at(now), language)
    return [Sample(person, why[person.pk]) for person in found if person.pk in why]


def about_how_many() -> int:
    """The number of profiles: PostgreSQL's estimate, which costs nothing, or the highest id."""
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = 'segments_profile'::regclass")
            estimate = int(cursor.fetchone()[0])
        if estimate >= 0:
            return estimate
    return Profile.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
