"""Enter when a person leaves a segment."""

from __future__ import annotations

from typing import ClassVar

from campaigns.triggers import Entry, Trigger, triggers
from campaigns.triggers._segment import SegmentParams, entry_from, missing
from common.text import say
from segments.facts.fact import Fact
from segments.facts.names import SEGMENT_LEFT


@triggers.register("segment_left")
class SegmentLeft(Trigger[SegmentParams]):
    key: ClassVar[str] = "segment_left"
    Params = SegmentParams

    def facts(self, params: SegmentParams) -> frozenset[str]:
        return frozenset({SEGMENT_LEFT})

    def match(self, params: SegmentParams, fact: Fact) -> Entry | None:
        return entry_from(fact, SEGMENT_LEFT, params.segment)

    def say(self, params: SegmentParams, language: str) -> str:
        return say(f"When a person leaves “{params.segment}”", f"当用户离开“{params.segment}”时", language)

    def check(self, params: SegmentParams) -> list[str]:
        return missing(params.segment)
