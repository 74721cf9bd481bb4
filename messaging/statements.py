"""Statements of will among the facts: "Subscribed" and "Unsubscribed", sent by whoever showed the form.

Properties: `topic` (a topic key, or "*"), `channel` (default e-mail), `wording` (the version of the text that was
agreed to). The fact itself is the evidence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from segments.models import Event

EVERYTHING = "*"  # all topics but transactional ones
SUBSCRIBED = "Subscribed"
UNSUBSCRIBED = "Unsubscribed"
NAMES = frozenset({SUBSCRIBED, UNSUBSCRIBED})


@dataclass(frozen=True)
class Statement:
    """What somebody said, when, and where that is on record. A statement dated ahead was made when it arrived."""

    fact: int
    profile: int
    channel: str
    topic: str
    given: bool
    at: datetime
    source: str
    wording: str
    evidence: Mapping[str, Any]


def statement_of(
    fact: int, profile: int, source: int, name: str, occurred: datetime, received: datetime,
    properties: Mapping[str, Any], context: Mapping[str, Any],
) -> Statement:  # fmt: skip
    """Read one fact of these names."""
    return Statement(
        fact,
        profile,
        str(properties.get("channel", "email")),
        str(properties.get("topic") or EVERYTHING)[:80],
        name == SUBSCRIBED,
        min(occurred, received),
        f"source:{source}",
        str(properties.get("wording", ""))[:80],
        {"fact": fact, "ip": context.get("ip", "")},
    )


def said_before(people: Collection[int], channel: str) -> list[Statement]:
    """What these people have said about a channel so far, in the order in which they said it. One statement to the
    database."""
    rows = Event.objects.filter(profile__in=set(people), name__in=NAMES).values_list(
        "id", "profile_id", "source_id", "name", "occurred_at", "received_at", "properties", "context"
    )
    found = [statement_of(*row) for row in rows]
    return sorted((one for one in found if one.channel == channel), key=lambda one: (one.at, one.fact))
