"""Fair shares: what waits is found by priority and campaign, and in one priority the campaigns take turns.

Which (priority, campaign) there are is asked of the index, one look for each; what is planned for later or comes with
a lower priority is never walked through. At most LANES campaigns share one claim; the others have the next ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from common.clock import is_postgres
from messaging.models import Delivery

LANES = 8
MOST = 400  # (priority, campaign) pairs that one claim looks at
Head = tuple[int, datetime, int]  # priority, due, id
_WAITING = "state = 'planned' AND channel = %s"
_LOOSE_SCAN = f"""
WITH RECURSIVE lane AS (
    (SELECT priority, campaign FROM messaging_delivery WHERE {_WAITING} ORDER BY priority, campaign LIMIT 1)
    UNION ALL
    SELECT next.priority, next.campaign FROM lane, LATERAL (
        SELECT priority, campaign FROM messaging_delivery
        WHERE {_WAITING} AND (priority, campaign) > (lane.priority, lane.campaign)
        ORDER BY priority, campaign LIMIT 1
    ) AS next
) SELECT priority, campaign FROM lane LIMIT {MOST}
"""


@dataclass(frozen=True)
class Band:
    """One priority: the due rows of each campaign whose turn it is, the longest due first."""

    priority: int
    lanes: Sequence[QuerySet[Delivery]]

    def filtered(self, **lookups: Any) -> Band:
        return Band(self.priority, [rows.filter(**lookups) for rows in self.lanes])


def bands_of(channel: str, rows: QuerySet[Delivery], now: datetime) -> list[Band]:
    """The bands that wait, the highest priority first."""
    campaigns: dict[int, list[str]] = {}
    for priority, campaign in _lanes(channel):
        campaigns.setdefault(priority, []).append(campaign)
    return [
        Band(priority, [rows.filter(priority=priority, campaign=key) for key in _turn(campaigns[priority], now)])
        for priority in sorted(campaigns, reverse=True)
    ]


def _lanes(channel: str) -> list[tuple[int, str]]:
    if not is_postgres():
        return list(_lanes_one_by_one(channel))
    with connection.cursor() as cursor:
        cursor.execute(_LOOSE_SCAN, [channel, channel])
        return list(cursor.fetchall())


def _lanes_one_by_one(channel: str) -> Iterator[tuple[int, str]]:
    """The same, a look for each pair: SQLite has no LATERAL, and its looks cost no way."""
    waiting = Delivery.objects.filter(state="planned", channel=channel).values_list("priority", "campaign")
    lane = waiting.order_by("priority", "campaign").first()
    while lane is not None:
        yield lane
        priority, campaign = lane
        lane = waiting.filter(priority=priority, campaign__gt=campaign).order_by("campaign").first()
        if lane is None:
            lane = waiting.filter(priority__gt=priority).order_by("priority", "campaign").first()


def _turn(campaigns: list[str], now: datetime) -> list[str]:
    """At most LANES of them; which ones moves on every second."""
    if len(campaigns) <= LANES:
        return campaigns
    start = int(now.timestamp()) * LANES % len(campaigns)
    return (campaigns[start:] + campaigns[:start])[:LANES]


def first_of(band: Band, count: int) -> list[Head]:
    """The first so many rows of each lane."""
    return [head for rows in band.lanes for head in _take(band, rows, count)]


def share(band: Band, count: int) -> list[Head]:
    """Up to `count` rows, as many from each lane as there are, the longest due of each first; what one lane does not
    need goes to the others."""
    if len(band.lanes) == 1:
        return _take(band, band.lanes[0], count)
    lanes, quota = list(band.lanes), -(-count // max(1, len(band.lanes)))
    taken = [_take(band, rows, quota) for rows in lanes]
    while sum(map(len, taken)) < count and any(len(one) == quota for one in taken):
        hungry = [number for number, one in enumerate(taken) if len(one) == quota]
        quota += -(-(count - sum(map(len, taken))) // len(hungry))
        for number in hungry:
            taken[number] = _take(band, lanes[number], quota)
    return list(_by_turns(taken))[:count]


def _by_turns(taken: Sequence[Sequence[Head]]) -> Iterator[Head]:
    for place in range(max(map(len, taken), default=0)):
        yield from (one[place] for one in taken if place < len(one))


def _take(band: Band, rows: QuerySet[Delivery], count: int) -> list[Head]:
    return [(band.priority, due, pk) for due, pk in rows.values_list("not_before", "pk")[:count]]
