"""Consent that arrives as a fact: "Subscribed" and "Unsubscribed", sent by whoever showed the form.

Properties: `topic` (a topic key, or "*"), `channel` (default e-mail), `wording` (the version of the text that was
agreed to). The fact itself is the evidence. Read before anything is sent, so that a consent given in the same
breath as the sign-up holds for the welcome message.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from common.buckets import SHARDS
from messaging.channels import channels
from messaging.permission import EVERYTHING, address_for, give_consent, withdraw
from segments.facts.fact import Fact
from segments.facts.read import process_shard
from segments.models import Profile

READER = "consents"
SUBSCRIBED = "Subscribed"
UNSUBSCRIBED = "Unsubscribed"


def read_consents(now: datetime) -> int:
    """Read what is new in all shards; returns how many statements of will there were."""
    return sum(read_shard(shard, now) for shard in range(SHARDS))


def read_shard(shard: int, now: datetime) -> int:
    """Read one page of one shard; returns how many facts it held."""

    def handle(facts: Sequence[Fact]) -> None:
        people = Profile.objects.in_bulk({fact.profile for fact in facts})
        for fact in facts:
            _state(people[fact.profile], fact, now=now)

    return process_shard(READER, shard, handle, now=now, names={SUBSCRIBED, UNSUBSCRIBED})


def _state(person: Profile, fact: Fact, *, now: datetime) -> None:
    """Record one statement, also about a topic that is not set up yet; an unknown channel says nothing."""
    topic, channel = str(fact.properties.get("topic") or EVERYTHING)[:80], str(fact.properties.get("channel", "email"))
    if channel not in channels:
        return
    address = address_for(person, channel, now)
    if address is None:
        return
    source, evidence = f"source:{fact.source}", {"fact": fact.id, "ip": fact.context.get("ip", "")}
    if fact.name == SUBSCRIBED:
        wording = str(fact.properties.get("wording", ""))[:80]
        give_consent(address, topic, now=fact.occurred_at, source=source, evidence=evidence, wording=wording)
    else:
        withdraw(address, topic, now=fact.occurred_at, source=source, evidence=evidence)
