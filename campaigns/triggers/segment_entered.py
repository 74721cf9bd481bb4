"""Enter when a person comes into a segment."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext as _
from pydantic import Field

from campaigns.triggers import Entry, Trigger, triggers
from campaigns.triggers._cause import entry_of
from common.params import Params
from common.text import say
from segments.facts.fact import Fact
from segments.facts.names import SEGMENT_ENTERED
from segments.models import Segment


class SegmentParams(Params):
    """`segment` by key."""

    segment: str = Field(min_length=1, max_length=80)


@triggers.register("segment_entered")
class SegmentEntered(Trigger[SegmentParams]):
    key: ClassVar[str] = "segment_entered"
    Params = SegmentParams

    def facts(self, params: SegmentParams) -> frozenset[str]:
        return frozenset({SEGMENT_ENTERED})

    def match(self, params: SegmentParams, fact: Fact) -> Entry | None:
        if fact.name != SEGMENT_ENTERED or fact.properties.get("segment") != params.segment:
            return None
        return entry_of(fact)

    def audience(self, params: SegmentParams) -> str:
        return params.segment

    def say(self, params: SegmentParams, language: str) -> str:
        return say(f"When a person enters “{params.segment}”", f"当用户进入“{params.segment}”时", language)

    def check(self, params: SegmentParams) -> list[str]:
        if not Segment.objects.filter(key=params.segment).exclude(state="archived").exists():
            return [_("there is no segment '%(key)s'") % {"key": params.segment}]
        return []
