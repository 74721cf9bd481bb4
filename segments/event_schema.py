"""Which properties each event has, in which types, and since when: learnt from what comes in, for whoever maps it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from segments.bulk import insert
from segments.facts.fact import Fact
from segments.facts.read import ANY, process_shard
from segments.ingest.schema import type_of
from segments.models import Event, EventProperty

READER = "event_schema"
ROUNDS = 50  # pages of one shard that one look reads
FRESH = timedelta(days=1)  # last seen moves at most once a day: most calls then cost one query and no write
MOST = 300  # properties of one event; more are a sender's mistake (an id as a key) and are not learnt
PIECE = 2000
COLUMNS = (
    ("event", "varchar"), ("key", "varchar"), ("type", "varchar"), ("first_seen_at", "timestamptz"),
    ("last_seen_at", "timestamptz"),
)  # fmt: skip
_CONFLICT = "(event, key, type) DO UPDATE SET last_seen_at = excluded.last_seen_at"
Said = Iterable[tuple[str, Mapping[str, Any]]]  # event name, properties


@dataclass(frozen=True)
class PropertyReport:
    """One property of one event: its types, by how lately each was seen."""

    key: str
    types: tuple[str, ...]
    first_seen_at: datetime
    last_seen_at: datetime

    @property
    def mixed(self) -> bool:
        """Whether senders disagree about the type."""
        return len(self.types) > 1


def learn_events(said: Said, *, now: datetime) -> int:
    """Note the events and properties of a batch: one query, and one upsert when there is something new.

    Returns how many rows were written.
    """
    seen: set[tuple[str, str, str]] = set()
    for event, properties in said:
        seen.add((event, "", ""))
        seen.update((event, key, str(type_of(value))) for key, value in properties.items() if value is not None)
    if not seen:
        return 0
    rows = EventProperty.objects.filter(event__in=sorted({event for event, _, _ in seen}))
    known: dict[tuple[str, str, str], datetime] = {}
    keys: dict[str, set[str]] = defaultdict(set)
    for event, key, kind, last in rows.values_list("event", "key", "type", "last_seen_at"):
        known[event, key, kind] = last
        keys[event].add(key)
    wanted = []
    for event, key, kind in sorted(seen):
        last_seen = known.get((event, key, kind))
        if last_seen is not None and last_seen > now - FRESH:
            continue
        if last_seen is None and key not in keys[event]:
            if len(keys[event]) > MOST or len(key) > 64:
                continue
            keys[event].add(key)
        wanted.append((event, key, kind, now, now))
    if wanted:
        insert("segments_eventproperty", COLUMNS, wanted, conflict=_CONFLICT)
    return len(wanted)


def learn_shard(shard: int, now: datetime) -> int:
    """Learn from the facts of one shard that have come since the last look; returns how many were read."""

    def handle(facts: Sequence[Fact]) -> None:
        learn_events(((fact.name, fact.properties) for fact in facts), now=now)

    total = 0
    for _ in range(ROUNDS):
        read = process_shard(READER, shard, handle, now=now, limit=PIECE, names={ANY})
        total += read
        if read < PIECE:
            break
    return total


def learn_from_log(*, after: int = 0) -> int:
    """Learn from the facts that are there already, by the times they were received; returns how many were read."""
    rows = Event.objects.filter(pk__gt=after).exclude(kind=Event.Kind.SYSTEM).order_by("pk")
    batch: list[tuple[str, Mapping[str, Any]]] = []
    total, last = 0, None
    for name, properties, received in rows.values_list("name", "properties", "received_at").iterator(PIECE):
        if batch and (len(batch) >= PIECE or (last is not None and received - last > FRESH)):
            learn_events(batch, now=last or received)
            batch = []
        batch.append((name, properties))
        total, last = total + 1, received
    if batch and last is not None:
        learn_events(batch, now=last)
    return total


def report(event: str) -> list[PropertyReport]:
    """The properties of one event, by name."""
    found: dict[str, list[EventProperty]] = defaultdict(list)
    for row in EventProperty.objects.filter(event=event).exclude(key="").order_by("key", "-last_seen_at"):
        found[row.key].append(row)
    return [
        PropertyReport(
            key,
            tuple(row.type for row in rows),
            min(row.first_seen_at for row in rows),
            max(row.last_seen_at for row in rows),
        )
        for key, rows in found.items()
    ]
