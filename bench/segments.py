"""Segments over the whole population: their queries, first build, and a refresh whose cost follows the change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from statistics import median
from typing import Any

from bench.data import NOW
from bench.measure import ROUNDS, Board, Line, interleave, peak_mb, seconds
from bench.questions import BARE, RULES
from bench.stage import SCALE, copy_of, populated

PEOPLE, EVENTS = int(1_000_000 * SCALE), int(10_000_000 * SCALE)
CHANGED = 1_000
AGO = {"week": 7, "month": 30, "two_months": 60, "quarter": 90, "three_days": 3}
MOST = 1.3  # times the best hand-written query that a compiled one may take
_keys = count()


def run(board: Board) -> None:
    """Print the ratios of query, build and refresh, at the full population and at a tenth of it."""
    large = _act(board, PEOPLE, EVENTS, whole=True)
    small = _act(board, PEOPLE // 10, EVENTS // 10, whole=False)
    board.add(
        Line(f"refresh of {CHANGED} changed: tenth / whole", f"{large:.3f} s", f"{small:.3f} s", small / large, 1 / 1.5)
    )
    board.add(Line("segments: peak memory, MB", f"{peak_mb():.0f}", "400", 400 / peak_mb(), 1))


def _act(board: Board, people: int, events: int, *, whole: bool) -> float:
    """One population; returns the seconds in which all ten segments take in CHANGED people."""
    from segments.models import Segment

    with copy_of(populated(people, events)):
        for key, rule in RULES.items():
            segment = Segment.objects.create(key=key, name=key, rule=rule)
            _build(board, key, segment, shown=whole)
        now, few = NOW, []
        for _ in range(ROUNDS):
            now += timedelta(minutes=1)
            _change(CHANGED, people, now)
            few.append(seconds(lambda at=now: _refresh(at)))  # type: ignore[misc]
        if whole:
            _against_full_pass(board, people, now + timedelta(minutes=1), median(few))
    return median(few)


def _against_full_pass(board: Board, people: int, now: datetime, few: float) -> None:
    """Refresh after 1 % changed, and a pass over everyone: what following the change saves."""
    from segments.models import Segment

    share = people // 100
    _change(share, people, now)
    some = seconds(lambda: _refresh(now))
    Segment.objects.update(built_number=0)
    full = seconds(lambda: _refresh(now))
    board.add(Line(f"refresh of {CHANGED} / full pass", f"{few:.3f} s", f"{full:.2f} s", full / few, 5))
    board.add(Line(f"refresh of 1 % ({share:,}) / full pass", f"{some:.2f} s", f"{full:.2f} s", full / some, 1))


def _build(board: Board, key: str, segment: Any, *, shown: bool) -> None:
    """The compiled query against the best hand-written one, then the first build."""
    from django.db import connection

    from segments.refresh import refresh_segment

    bare = BARE[key].format(now=NOW, **{name: NOW - timedelta(days=days) for name, days in AGO.items()})
    compiled, given = _compiled(segment)
    with connection.cursor() as cursor:

        def counted(sql: str, params: Sequence[Any]) -> int:
            cursor.execute(f"SELECT count(*) FROM ({sql}) AS asked", params)
            return int(cursor.fetchone()[0])

        expected = counted(bare, ())  # warms the pages for both
        assert counted(compiled, given) == expected, (key, counted(compiled, given), expected)
        yard, ours = interleave(
            lambda: seconds(lambda: counted(bare, ())), lambda: seconds(lambda: counted(compiled, given))
        )
    built = seconds(lambda: refresh_segment(segment, NOW))
    segment.refresh_from_db()
    assert segment.size == expected, (key, segment.size, expected)
    if shown:
        name = f"'{key}' ({expected:,} people): by hand / compiled"
        board.add(Line(name, f"{ours:.3f} s", f"{yard:.3f} s", yard / ours, 1 / MOST, f"first build {built:.2f} s"))


def _compiled(segment: Any) -> tuple[str, Sequence[Any]]:
    """The SQL of the rule and its parameters."""
    from django.conf import settings

    from common.periods import zone
    from segments.rules.compile import people
    from segments.rules.operators import At
    from segments.rules.parse import parse_rule

    rows = people(parse_rule(segment.rule), At(NOW, zone(settings.WORKSPACE_ZONE))).values_list("pk", flat=True)
    return rows.query.sql_with_params()


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
