"""Marks from the fact log: one query for a batch of people, over the index of a person's facts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.functions import TruncDate

from common.periods import local_date
from common.semijoin import among
from segments.facts import names
from segments.health import About, Mark
from segments.models import Event

TICKET_OPENED = "Ticket Opened"
TICKET_ANSWERED = "Ticket Answered"
TICKET_CLOSED = "Ticket Closed"
NPS_ANSWERED = "NPS Answered"
CSAT_ANSWERED = "CSAT Answered"
# What a sender tells about a person that is no act of that person.
NO_ACTS = frozenset(
    {
        names.IDENTIFY, names.GROUP, names.ALIAS, names.ORDER_REFUNDED, names.ORDER_CANCELLED, names.ORDER_UPDATED,
        TICKET_ANSWERED, TICKET_CLOSED,
    }
)  # fmt: skip


def _of(about: About) -> QuerySet[Event]:
    return Event.objects.filter(among("profile_id", about.ids), occurred_at__gte=about.since).order_by()


def days(about: About, wanted: Collection[str] = ()) -> Iterator[tuple[int, Mark]]:
    """The days on which somebody did one of the wanted things, or anything at all; the name is the word."""
    rows = _of(about)
    if wanted:
        rows = rows.filter(name__in=sorted(wanted))
    else:
        rows = rows.exclude(name__in=sorted(NO_ACTS)).exclude(name__startswith=names.RESERVED)
    day = TruncDate("occurred_at", tzinfo=about.zone)
    fields: tuple[Any, ...] = ("profile_id", "day", "name") if wanted else ("profile_id", "day")
    for pk, at, *name in rows.annotate(day=day).values_list(*fields).distinct().iterator(chunk_size=5000):
        yield pk, Mark(at, *name)


def told(about: About, wanted: Collection[str]) -> Iterator[tuple[int, str, Mark, dict[str, Any]]]:
    """(profile id, name, mark of the day, properties) of every such fact, oldest first."""
    rows = _of(about).filter(name__in=sorted(wanted)).order_by("profile_id", "occurred_at", "pk")
    for pk, name, at, said in rows.values_list("profile_id", F("name"), "occurred_at", "properties"):
        yield pk, name, Mark(local_date(at, about.zone)), said
