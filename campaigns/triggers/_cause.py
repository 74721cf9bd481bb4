"""How a fact becomes an entry: keyed by the fact, with the fact as the walk's variable `event`."""

from __future__ import annotations

from campaigns.triggers import Entry
from segments.facts.fact import Fact


def entry_of(fact: Fact, *, run_key: str = "") -> Entry:
    """The entry that a fact makes: once per fact, however often it is read."""
    event = {
        "name": fact.name,
        "at": fact.occurred_at.isoformat(),
        "value": fact.value,
        "properties": dict(fact.properties),
    }
    return Entry(
        profile=fact.profile,
        key=f"fact:{fact.id}",
        run_key=run_key,
        context={"event": event, "_fact": fact.id},
        depth=fact.depth,
        reason=f"fact:{fact.name}",
        at=fact.received_at,
        since=min(fact.occurred_at, fact.received_at),
    )
