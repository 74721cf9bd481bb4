"""A sample's own facts, told again in the order in which they occurred, by the ordinary ingest.

What the engine itself had stated is left out, since it will state anew what follows. A person's traits are those of
today, save what identify calls say again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from campaigns.rehearsal.scratch import LIVE, NAMES, SOURCE
from common.money import to_major
from segments.facts.names import RESERVED
from segments.ingest import ingest
from segments.models import Event, Source

PAGE = 500
TOLD = ("track", "page", "screen", "identify", "group")
FIELDS = ("id", "profile_id", "kind", "name", "occurred_at", "source_id", "key", "value", "properties", "context")
KNOWN_AS = frozenset({"email", "phone"})  # of an identify's traits: they could only bring two people together


@dataclass(frozen=True, slots=True)
class Told:
    """A fact of the installation as a call to ingest, and when it occurred."""

    at: datetime
    call: dict[str, Any]


def facts(people: Sequence[int], *, after: datetime | None, until: datetime) -> Iterator[Told]:
    """The people's facts that occurred in (after, until], in order; streamed. `after` None: from the first."""
    rows: QuerySet[Event] = Event.objects.using(LIVE).filter(profile__in=people, kind__in=TOLD)
    rows = rows.filter(occurred_at__lte=until).exclude(name__startswith=RESERVED)
    if after is not None:
        rows = rows.filter(occurred_at__gt=after)
    for row in rows.order_by("occurred_at", "id").values_list(*FIELDS).iterator(PAGE):
        yield Told(row[4], call_of(row))


def take_in(told: Sequence[Told], *, now: datetime, historical: bool) -> int:
    """Ingest them, as having arrived at `now`; returns how many were refused."""
    source, refused = Source.objects.get(key=SOURCE), 0
    for start in range(0, len(told), PAGE):
        calls = [one.call for one in told[start : start + PAGE]]
        done = ingest(calls, source=source, now=now, historical=historical, size=0)
        refused += sum(row.status == "rejected" for row in done)
    return refused


def call_of(row: tuple[Any, ...]) -> dict[str, Any]:
    """The call by which a fact would be told."""
    _pk, profile, kind, name, at, source, key, value, properties, context = row
    call = {
        "type": kind, "userId": f"{NAMES}{profile}", "messageId": f"{source}:{key}"[:255],
        "timestamp": at.isoformat(), "context": {k: v for k, v in context.items() if k != "traits"},
    }  # fmt: skip
    if kind == "identify":
        return call | {"traits": {k: v for k, v in properties.items() if k not in KNOWN_AS}}
    if kind == "group":
        return call | {
            "groupId": properties.get("group_id", ""),
            "traits": {k: v for k, v in properties.items() if k != "group_id"},
        }
    if kind == "track":
        call["event"] = name
    return call | {"properties": _priced(value, properties)}


def _priced(value: int | None, properties: Mapping[str, Any]) -> dict[str, Any]:
    """With the amount that the fact was worth, where its properties do not say it any more."""
    said = dict(properties)
    if value is not None and "order_id" in said and not {"total", "revenue", "value"} & said.keys():
        said |= {"total": str(to_major(abs(value), settings.CURRENCY)), "currency": settings.CURRENCY}
    return said
