"""What an operator sees at a glance about people: how many stand where, and how fresh that knowledge is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, QuerySet

from segments.models import CouponPool, Event, Membership, Profile, Scores, Segment, SegmentRun, StageChange
from segments.models.known import STAGES, Stage


@dataclass(frozen=True)
class StageCount:
    """People in one stage."""

    stage: str
    label: str
    people: int


def people_by_stage() -> list[StageCount]:
    """One row for every stage, in the order of the life cycle; a stage without people counts 0."""
    counts = dict(Scores.objects.values_list("stage").annotate(n=Count("pk")).order_by())
    return [StageCount(stage, str(Stage(stage).label), counts.get(stage, 0)) for stage in STAGES]


def people_count() -> int:
    """Everybody who is neither merged away nor erased."""
    return Profile.objects.filter(merged_into=None, erased_at=None).count()


def new_people(*, since: datetime) -> int:
    return Profile.objects.filter(registered_at__gte=since).count()


def last_fact_at() -> datetime | None:
    """When the newest fact arrived, whoever sent it."""
    return Event.objects.order_by("-pk").values_list("received_at", flat=True).first()


def stage_reason(profile: int, stage: str) -> str:
    """Why the person came to the stage, as it is stored; "" for who has been there from the start."""
    last = StageChange.objects.filter(profile=profile).order_by("-at", "-pk").values_list("after", "reason").first()
    return last[1] if last and last[0] == stage else ""


def has_facts() -> bool:
    return Event.objects.exists()


def segments_at_a_glance(limit: int = 8) -> QuerySet[Segment]:
    """Active segments, the largest first."""
    return Segment.objects.filter(state=Segment.State.ACTIVE).order_by("-size", "key")[:limit]


def low_pools() -> QuerySet[CouponPool]:
    """Coupon pools whose stock has run low, the longest first."""
    return CouponPool.objects.exclude(low_since=None).order_by("low_since", "key")


def broken_segments() -> QuerySet[Segment]:
    """Active segments whose last refresh failed."""
    return Segment.objects.filter(state=Segment.State.ACTIVE).exclude(last_error="").order_by("key")


def size_history(segment: int, *, now: datetime, days: int = 30) -> list[tuple[datetime, int]]:
    """The size after the last finished run of each day, oldest first."""
    rows = (
        SegmentRun.objects.filter(
            segment=segment, state=SegmentRun.State.DONE, started_at__gte=now - timedelta(days=days)
        )
        .order_by("as_of")
        .values_list("as_of", "size")
    )
    by_day: dict[Any, tuple[datetime, int]] = {}
    for at, size in rows.iterator():
        by_day[at.date()] = (at, size)
    return list(by_day.values())


def last_runs(segment: int, limit: int = 10) -> QuerySet[SegmentRun]:
    return SegmentRun.objects.filter(segment=segment).order_by("-started_at")[:limit]


def newest_members(segment: int, limit: int = 10) -> QuerySet[Membership]:
    """The newest members, with their profiles."""
    return Membership.objects.filter(segment=segment).select_related("profile").order_by("-id")[:limit]


def memberships_of(profile: int) -> QuerySet[Membership]:
    return Membership.objects.filter(profile=profile).select_related("segment").order_by("segment__key")


def scores_of(profile: int) -> Scores | None:
    return Scores.objects.filter(profile=profile).first()
