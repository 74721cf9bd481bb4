"""A segment beside the others, and who came and went: what the page of one segment shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count

from common import jsonsql
from common.semijoin import has
from segments.facts.names import SEGMENT_ENTERED, SEGMENT_LEFT
from segments.models import Event, Membership, Segment, SegmentRun

BACK = timedelta(days=30)


@dataclass(frozen=True)
class Overlap:
    """How many of a segment's people are in another, as shares of the one, of the other, and of both together."""

    key: str
    title: str
    pk: int
    both: int
    of_this: float
    of_other: float
    of_either: float


def overlaps(segment: Segment, *, limit: int = 20) -> list[Overlap]:
    """The segments that share most people with it; two statements whatever their number."""
    size = Membership.objects.filter(segment=segment).count()
    shared = Membership.objects.filter(has(segment.memberships.all(), None, on="profile_id")).exclude(segment=segment)
    counts = dict(
        shared.order_by().values_list("segment").annotate(both=Count("pk")).order_by("-both", "segment")[:limit]
    )
    others = Segment.objects.in_bulk(counts)
    return [_overlap(others[pk], both, size) for pk, both in counts.items() if pk in others]


def _overlap(other: Segment, both: int, size: int) -> Overlap:
    of_other = max(other.size, both)
    return Overlap(
        other.key, other.title, other.pk, both, both / size if size else 0.0, both / of_other,
        both / (size + of_other - both),
    )  # fmt: skip


def came_and_went(segment: Segment, *, now: datetime, limit: int = 10) -> tuple[Sequence[Event], Sequence[Event]]:
    """The newest facts of entering and of leaving in the last thirty days, with their people."""
    entered, left = (_newest(name, segment.key, now, limit) for name in (SEGMENT_ENTERED, SEGMENT_LEFT))
    return entered, left


def _newest(name: str, key: str, now: datetime, limit: int) -> Sequence[Event]:
    facts = Event.objects.filter(jsonsql.equals("properties", "segment", key), name=name)
    rows = facts.filter(occurred_at__gt=now - BACK, occurred_at__lte=now).select_related("profile")
    return list(rows.order_by("-occurred_at", "-pk")[:limit])


def run_under_way(segment: int) -> SegmentRun | None:
    """The pass over everyone that is being made now."""
    return SegmentRun.objects.filter(segment=segment, state=SegmentRun.State.RUNNING).order_by("-started_at").first()
