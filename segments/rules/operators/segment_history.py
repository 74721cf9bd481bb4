"""Whether somebody entered or left another segment lately, or was in it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from django.db.models import Q

from common import jsonsql
from common.params import Params
from common.semijoin import has
from common.text import say
from segments.facts.names import SEGMENT_ENTERED, SEGMENT_LEFT
from segments.models import Event, Segment
from segments.models.groups import members_of
from segments.rules.operators import At, Edge, Operator, Reads, operators
from segments.rules.operators._words import Days, Text, say_window, within

HOW = {
    "entered": ("entered", "进入过"),
    "left": ("left", "离开过"),
    "was_in": ("was in", "曾属于"),
}


class SegmentHistoryParams(Params):
    """The key of the other segment, what happened, and within how many `days`."""

    segment: Text
    how: Literal["entered", "left", "was_in"] = "entered"
    days: Days


@operators.register("segment_history")
class SegmentHistory(Operator[SegmentHistoryParams]):
    """By the facts of entering and leaving. A silent build states none, so whoever it let in has not entered, and
    whoever it put out has not left; who was in it is who is, or left within the days."""

    key = "segment_history"
    family = "groups"
    profiling = False
    Params = SegmentHistoryParams

    def q(self, params: SegmentHistoryParams, at: At) -> Q:
        moved = Event.objects.filter(name=SEGMENT_ENTERED if params.how == "entered" else SEGMENT_LEFT)
        moved = moved.filter(jsonsql.equals("properties", "segment", params.segment))
        found = has(within(moved, "occurred_at", params.days, at), at.among)
        if params.how == "was_in":
            return found | has(members_of(params.segment), at.among)
        return found

    def say(self, params: SegmentHistoryParams, language: str) -> str:
        english, chinese = HOW[params.how]
        window = say_window(params.days, language)
        return say(f"{english} the segment “{params.segment}” {window}",
                   f"{window}{chinese}人群“{params.segment}”", language)  # fmt: skip

    def blank(self, params: SegmentHistoryParams) -> bool | None:
        return False

    def reads(self, params: SegmentHistoryParams) -> Reads:
        name = SEGMENT_ENTERED if params.how == "entered" else SEGMENT_LEFT
        edge = Edge(timedelta(days=params.days), frozenset({name}))
        return Reads(segments=frozenset({params.segment}), windows=(edge,))

    def check(self, params: SegmentHistoryParams) -> list[str]:
        known = Segment.objects.filter(key=params.segment).exists()
        return [] if known else [f"no segment has the key '{params.segment}'"]
