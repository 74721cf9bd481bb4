"""Reading segments: how many a rule would match, ten of them with the reason each, pages of members, overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from common.buckets import BUCKETS
from common.clock import is_postgres
from common.periods import zone
from common.semijoin import has
from segments.models import Membership, Profile, Segment
from segments.rules.compile import living, people
from segments.rules.explain import Reason, explain_many
from segments.rules.operators import At
from segments.rules.tree import Rule

MANY = 200_000
SHARE = 0.05


@dataclass(frozen=True)
class LiveCount:
    """How many a rule holds for now; an estimate is from a random twentieth and off by `margin` (95 %) or less."""

    people: int
    exact: bool
    margin: int = 0


@dataclass(frozen=True)
class Sample:
    """One person for whom a rule holds, and every answer."""

    person: Profile
    why: Reason


@dataclass(frozen=True)
class Member:
    """One row of a page of members."""

    profile: int
    public_id: str
    name: str
    entered_at: datetime


def at(now: datetime) -> At:
    """The moment of a question, in the workspace's zone."""
    return At(now, zone(settings.WORKSPACE_ZONE))


def live_count(rule: Rule, *, now: datetime, exact: bool = False) -> LiveCount:
    """Count the people of a rule before it is saved: all of them, or above 200,000 people a random twentieth."""
    if exact or about_how_many() <= MANY:
        return LiveCount(people(rule, at(now)).count(), exact=True)
    sampled = people(rule, at(now)).filter(bucket__lt=int(BUCKETS * SHARE)).count()
    spread = (sampled * (1 - SHARE)) ** 0.5 * 1.96
    return LiveCount(round(sampled / SHARE), exact=False, margin=round(spread / SHARE))


def samples(rule: Rule, *, now: datetime, language: str, limit: int = 10) -> list[Sample]:
    """The first people for whom the rule holds, each with the tree of answers; two queries whatever the limit."""
    found = list(people(rule, at(now)).order_by("pk")[:limit])
    why = explain_many(rule, [person.pk for person in found], at(now), language)
    return [Sample(person, why[person.pk]) for person in found if person.pk in why]


def members_page(segment: Segment, *, after: int = 0, limit: int = 100) -> list[Member]:
    """Members in the order of their profile ids, from the one after `after`; a page costs the same at any depth."""
    rows = Membership.objects.filter(segment=segment, profile_id__gt=after).select_related("profile")
    return [
        Member(row.profile_id, str(row.profile.public_id), str(row.profile), row.entered_at)
        for row in rows.order_by("profile_id")[:limit]
    ]


def overlap(one: Segment, other: Segment) -> int:
    """How many are members of both."""
    return Membership.objects.filter(has(other.memberships.all(), None, on="profile_id"), segment=one).count()


def in_none_of(segments: Sequence[Segment]) -> int:
    """How many are members of none of them."""
    return living().exclude(has(Membership.objects.filter(segment__in=segments), None)).count()


def about_how_many() -> int:
    """The number of profiles: PostgreSQL's estimate, which costs nothing, or the highest id."""
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = 'segments_profile'::regclass")
            estimate = int(cursor.fetchone()[0])
        if estimate >= 0:
            return estimate
    return Profile.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
