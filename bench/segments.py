"""Segments over the whole population: first build, refresh of the changed, and that its cost follows the change."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from statistics import median
from typing import Any

from bench.data import NOW
from bench.measure import ROUNDS, Board, Line, peak_mb, seconds
from bench.stage import SCALE, copy_of, populated

PEOPLE, EVENTS = int(1_000_000 * SCALE), int(10_000_000 * SCALE)
CHANGED = 1_000
RULES: dict[str, dict[str, Any]] = {
    "plain": {"op": "trait", "params": {"trait": "country", "op": "equals", "value": "CN"}},
    "lapsing": {
        "all": [
            {"op": "event_count", "params": {"event": "Product Viewed", "op": "at_least", "count": 3, "days": 30}},
            {"op": "event_count", "params": {"event": "Order Completed", "op": "exactly", "count": 0, "days": 60}},
        ]
    },
    "nested": {
        "all": [
            {"op": "in_segment", "params": {"segment": "plain"}},
            {"op": "order_count", "params": {"op": "at_least", "count": 2}},
        ]
    },
}
BARE = {
    "plain": "SELECT id FROM segments_profile WHERE country = 'CN'",
    "lapsing": (
        "SELECT profile_id FROM segments_event WHERE name = 'Product Viewed' AND occurred_at > '{month}'"
        " AND occurred_at <= '{now}' GROUP BY 1 HAVING count(*) >= 3 EXCEPT SELECT profile_id FROM segments_event"
        " WHERE name = 'Order Completed' AND occurred_at > '{two}' AND occurred_at <= '{now}'"
    ),
    "nested": (
        "SELECT p.id FROM segments_profile p WHERE country = 'CN' AND EXISTS (SELECT 1 FROM segments_order o"
        " WHERE o.profile_id = p.id AND o.state <> 'cancelled' OFFSET 1)"
    ),
}
_keys = count()


def run(board: Board) -> None:
    """Print the ratios of build and refresh, at the full population and at a tenth of it."""
    large = _act(board, PEOPLE, EVENTS, build=True)
    small = _act(board, PEOPLE // 10, EVENTS // 10, build=False)
    board.add(
        Line(f"refresh of {CHANGED} changed: tenth / whole", f"{small:.3f} s", f"{large:.3f} s", small / large, 0.5)
    )
    board.add(Line("segments: peak memory, MB", f"{peak_mb():.0f}", "400", 400 / peak_mb(), 1))


def _act(board: Board, people: int, events: int, *, build: bool) -> float:
    """One population; returns the seconds in which all three segments take in CHANGED people."""
    from segments.models import Segment

    with copy_of(populated(people, events)):
        segments = {key: Segment.objects.create(key=key, name=key, rule=rule) for key, rule in RULES.items()}
        for key, segment in segments.items():
            _build(board, key, segment, shown=build)
        now, few = NOW, []
        for _ in range(ROUNDS):
            now += timedelta(minutes=1)
            _change(CHANGED, people, now)
            few.append(seconds(lambda at=now: _refresh(at)))  # type: ignore[misc]
        if build:
            now += timedelta(minutes=1)
            share = people // 100
            _change(share, people, now)
            some = seconds(lambda: _refresh(now))
            Segment.objects.update(built_number=0)
            whole = seconds(lambda: _refresh(now))
            board.add(
                Line(f"refresh of 1 % ({share:,}) / full pass", f"{some:.2f} s", f"{whole:.2f} s", whole / some, 1)
            )
    return median(few)


def _build(board: Board, key: str, segment: Any, *, shown: bool) -> None:
    """The first build, against a bare INSERT … SELECT of the best hand-written statement into a like table."""
    from django.db import connection

    from segments.refresh import refresh_segment

    given = {"now": NOW, "month": NOW - timedelta(days=30), "two": NOW - timedelta(days=60)}
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bare (LIKE segments_membership INCLUDING INDEXES INCLUDING IDENTITY)")
        bare = seconds(
            lambda: cursor.execute(
                f"INSERT INTO bare (segment_id, profile_id, entered_at) SELECT {segment.pk}, m.id, now()"
                f" FROM ({BARE[key].format(**given)}) AS m(id)"
            )
        )
        cursor.execute("SELECT count(*) FROM bare")
        rows = cursor.fetchone()[0]
        cursor.execute("DROP TABLE bare")
    ours = seconds(lambda: refresh_segment(segment, NOW))
    segment.refresh_from_db()
    assert segment.size == rows, (key, segment.size, rows)
    if shown:
        name = f"first build of '{key}' ({rows:,} people): bare / ours"
        board.add(Line(name, f"{ours:.2f} s", f"{bare:.2f} s", bare / ours, None))


def _change(people: int, of: int, now: datetime) -> None:
    """One new fact each for `people` people spread over the population."""
    from django.db import transaction

    from segments.facts.append import append_facts
    from segments.facts.fact import NewFact
    from segments.models import Source

    source, step = Source.objects.get(key="bench").pk, max(1, of // people)
    ids = range(1, of + 1, step)
    with transaction.atomic():
        append_facts([NewFact(one, one % 16, "Product Viewed", now, f"c{next(_keys)}", source) for one in ids], now=now)


def _refresh(now: datetime) -> None:
    from segments.refresh import refresh_due

    for report in refresh_due(now):
        assert report.mode != "failed", report
