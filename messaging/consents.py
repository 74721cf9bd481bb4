"""Consent that arrives as a fact (messaging.statements), read before anything is sent, so that a consent given in
the same breath as the sign-up holds for the welcome message.

Somebody who has no address yet is heard when the address comes: messaging.permission then looks back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from common.buckets import SHARDS
from messaging.channels import channels
from messaging.permission import address_for, record
from messaging.statements import NAMES, Statement, statement_of
from segments.facts.fact import Fact
from segments.facts.read import process_shard
from segments.models import Profile

READER = "consents"


def read_consents(now: datetime) -> int:
    """Read what is new in all shards; returns how many statements of will there were."""
    return sum(read_shard(shard, now) for shard in range(SHARDS))


def read_shard(shard: int, now: datetime) -> int:
    """Read one page of one shard; returns how many facts it held."""

    def handle(facts: Sequence[Fact]) -> None:
        people = Profile.objects.in_bulk({fact.profile for fact in facts})
        for fact in facts:
            _take(people[fact.profile], _read(fact), now=now)

    return process_shard(READER, shard, handle, now=now, names=NAMES)


def _read(fact: Fact) -> Statement:
    return statement_of(
        fact.id, fact.profile, fact.source, fact.name, fact.occurred_at, fact.received_at, fact.properties, fact.context
    )


def _take(person: Profile, said: Statement, *, now: datetime) -> None:
    """Record one statement, also about a topic that is not set up yet; an unknown channel says nothing."""
    if said.channel in channels:
        address = address_for(person, said.channel, now)
        if address is not None:
            record(address, said)
