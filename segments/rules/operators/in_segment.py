"""Membership of another segment, as it was last refreshed."""

from __future__ import annotations

from django.db.models import Q

from common.params import Params
from common.semijoin import has
from common.text import say
from segments.models import Segment
from segments.models.groups import members_of
from segments.rules.operators import At, Operator, Reads, operators
from segments.rules.operators._words import Text


class InSegmentParams(Params):
    """The key of the other segment."""

    segment: Text


@operators.register("in_segment")
class InSegment(Operator[InSegmentParams]):
    """Reads the stored members: nesting costs one look-up, and the other segment is refreshed first."""

    key = "in_segment"
    family = "groups"
    profiling = False
    Params = InSegmentParams

    def q(self, params: InSegmentParams, at: At) -> Q:
        return has(members_of(params.segment), at.among)

    def say(self, params: InSegmentParams, language: str) -> str:
        return say(f"is in the segment “{params.segment}”", f"属于人群“{params.segment}”", language)

    def blank(self, params: InSegmentParams) -> bool | None:
        return False

    def reads(self, params: InSegmentParams) -> Reads:
        return Reads(segments=frozenset({params.segment}))

    def check(self, params: InSegmentParams) -> list[str]:
        known = Segment.objects.filter(key=params.segment).exists()
        return [] if known else [f"no segment has the key '{params.segment}'"]
