"""No question about facts reads the whole log: both databases find them by name, time or person."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from segments.facts import names
from segments.models import Event, EventStats, Profile
from segments.rules.compile import living, people
from segments.rules.operators import At
from segments.rules.parse import parse_rule
from tests.people import make_source
from tests.segments.rules.persons import EVENTS
from tests.segments.rules.world import BASE, LEAVES, ZONE

ENGINE = [names.SEGMENT_ENTERED, names.SEGMENT_LEFT, names.MISSION_COMPLETED, names.MESSAGE_CLICKED]
NAMES = [*EVENTS, *ENGINE, *(f"Filler {number}" for number in range(33))]
ASKED = [
    "event_count", "event_first_last", "event_measure", "event_not_followed", "event_sequence", "mission",
    "segment_history",
]  # fmt: skip


@pytest.fixture
def log(db: None) -> None:
    """400 people and 16,000 facts of 40 names over 100 days."""
    source, rng = make_source(), random.Random(3)
    rows = [Profile(shard=0, bucket=n, first_seen_at=BASE, last_seen_at=BASE) for n in range(400)]
    crowd = [row.pk for row in Profile.objects.bulk_create(rows)]
    Event.objects.bulk_create(
        [
            Event(
                source=source, key=str(number), profile_id=rng.choice(crowd), shard=0, kind="track",
                name=NAMES[number % len(NAMES)], occurred_at=BASE - timedelta(minutes=number * 9), received_at=BASE,
            )
            for number in range(16_000)
        ],
        batch_size=2000,
    )  # fmt: skip
    EventStats.objects.bulk_create(
        [EventStats(profile_id=pk, name=name, first_at=BASE, last_at=BASE, count=1) for pk in crowd for name in NAMES],
        batch_size=4000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def whole_scans(rows: QuerySet[Any]) -> list[str]:
    """The steps of the plan that walk the log from end to end."""
    plan = rows.explain()
    if connection.vendor == "postgresql":
        return [line for line in plan.splitlines() if "Seq Scan on segments_event " in line]
    aliases = {"segments_event", *re.findall(r'"segments_event" (\w+)', str(rows.query))}
    return [line for line in plan.splitlines() if re.search(rf"\bSCAN ({'|'.join(sorted(aliases))})\b", line)]


def test_facts_are_found_by_index(log: None, rng: random.Random, prove: bool) -> None:
    assert whole_scans(Event.objects.filter(context__has_key="x")), "a walk through the log would be seen"
    assert living().count() == 400
    clicks = [
        {"what": "clicked", "op": op, "count": count, "days": 30, "journey": "vip"}
        for op, count in (("at_least", 1), ("exactly", 0), ("more_than", 2))
    ]
    asked = [(op, LEAVES[op](rng)) for op in ASKED for _ in range(60 if prove else 8)]
    for op, params in [*asked, *(("message", params) for params in clicks)]:
        for raw in ({"op": op, "params": params}, {"not": {"op": op, "params": params}}):
            found = people(parse_rule(raw), At(BASE, ZONE))
            assert whole_scans(found) == [], (raw, found.explain())


NAMED = [
    ("badge", {"badge": "hero"}), ("in_list", {"list": "vip"}), ("in_segment", {"segment": "one"}),
    ("in_journey", {"journey": "welcome"}), ("journey_history", {"journey": "welcome"}),
    ("level", {"levels": ["gold", "silver"]}), ("mission", {"mission": "task", "how": "progress"}),
    ("segment_history", {"segment": "one", "how": "was_in", "days": 3}),
]  # fmt: skip


LOOKED_UP = re.compile(r'\(SELECT \w+\."(id|generation)" AS "\w+" FROM "\w+" \w+ WHERE \w+\."key" = \w+\)')


@pytest.mark.django_db  # what a segment's own rule asks is read from it
@pytest.mark.parametrize(("op", "params"), NAMED)
def test_a_row_named_by_its_key_is_looked_up_by_itself(op: str, params: dict[str, Any]) -> None:
    """Never by a join, of which PostgreSQL would guess how many rows point to the row with this key."""
    asked = str(people(parse_rule({"op": op, "params": params}), At(BASE, ZONE)).query)
    found = LOOKED_UP.findall(asked)
    assert len(found) == asked.count('."key"'), asked
    assert found.count("id") == len(params.get("levels", ["one"])), asked
