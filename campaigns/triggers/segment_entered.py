"""Enter when a person comes into a segment."""

from __future__ import annotations

from typing import ClassVar

from campaigns.triggers import Entry, Trigger, triggers
from campaigns.triggers._segment import SegmentParams, entry_from, missing
from common.text import say
from segments.facts.fact import Fact
from segments.facts.names import SEGMENT_ENTERED


@triggers.register("segment_entered")
class SegmentEntered(Trigger[SegmentParams]):
    key: ClassVar[str] = "segment_entered"
    Params = SegmentParams

    def facts(self, params: SegmentParams) -> frozenset[str]:
        return frozenset({SEGMENT_ENTERED})

    def match(self, params: SegmentParams, fact: Fact) -> Entry | None:
        return entry_from(fact, SEGMENT_ENTERED, params.segment)

    def audience(self, params: SegmentParams) -> str:
        return params.segment

    def say(self, params: SegmentParams, language: str) -> str:
        return say(f"When a person enters “{params.segment}”", f"当用户进入“{params.segment}”时", language)

    def check(self, params: SegmentParams) -> list[str]:
        return missing(params.segment)
