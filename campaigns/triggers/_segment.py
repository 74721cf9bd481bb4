"""What the triggers of coming into and leaving a segment have in common."""

from __future__ import annotations

from django.utils.translation import gettext as _
from pydantic import Field

from campaigns.triggers import Entry
from campaigns.triggers._cause import entry_of
from common.params import Params
from segments.facts.fact import Fact
from segments.models import Segment


class SegmentParams(Params):
    """`segment` by key."""

    segment: str = Field(min_length=1, max_length=80)


def entry_from(fact: Fact, name: str, segment: str) -> Entry | None:
    """The entry that the fact of that name makes when it is about the segment."""
    about = fact.name == name and fact.properties.get("segment") == segment
    return entry_of(fact) if about else None


def missing(segment: str) -> list[str]:
    """What is wrong when there is no such segment; nothing for "" (none wanted)."""
    if not segment or Segment.objects.filter(key=segment).exclude(state="archived").exists():
        return []
    return [_("there is no segment '%(key)s'") % {"key": segment}]
