"""Scores of everybody: RFM, stage and health from scratch, again with nothing new, and for those who changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count
from statistics import median

from bench.data import NOW
from bench.measure import ROUNDS, Board, Line, peak_mb, seconds
from bench.stage import SCALE, copy_of, populated

PEOPLE, EVENTS = int(1_000_000 * SCALE), int(10_000_000 * SCALE)
CHANGED = 1_000
GROUPED = (
    "SELECT profile_id, max(placed_at), count(*), sum(net_reporting) FROM segments_order"
    " WHERE state IN ('placed', 'paid') AND placed_at > %s AND placed_at <= %s GROUP BY profile_id"
)
_keys = count()


def run(board: Board) -> None:
    """Print what scoring costs against one bare grouped statement over the orders, fetched."""
    from segments import health_scores, scores

    with copy_of(populated(PEOPLE, EVENTS)):
        bare = median(seconds(lambda: _grouped(NOW)) for _ in range(ROUNDS))
        for name, work in (("RFM and stage", scores.score_all), ("health", health_scores.judge_all)):
            _line(board, f"{name}, from scratch", lambda work=work: work(NOW), bare)  # type: ignore[misc]
        _line(board, "RFM and stage, again, nothing new", lambda: scores.score_all(NOW), bare, floor=0.04)
        _line(board, "RFM and stage, a day later", lambda: scores.score_all(NOW + timedelta(days=1)), bare)
        now = NOW + timedelta(days=1)
        scores.score_changed(now)
        health_scores.judge_changed(now)
        _change(CHANGED, PEOPLE, now)
        few = f"{CHANGED:,} changed"
        _line(board, f"RFM and stage, {few}", lambda: scores.score_changed(now), bare)
        _line(board, f"health, {few}", lambda: health_scores.judge_changed(now), bare)
    board.add(Line("scores: peak memory, MB", f"{peak_mb():.0f}", "400", 400 / peak_mb(), 1))


def _line(board: Board, name: str, work: Callable[[], object], bare: float, *, floor: float | None = None) -> None:
    ours = seconds(work)
    board.add(Line(f"{name} ({PEOPLE:,} people): bare / ours", f"{ours:.2f} s", f"{bare:.3f} s", bare / ours, floor))


def _grouped(now: datetime) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(GROUPED, [now - timedelta(days=365), now])
        while cursor.fetchmany(5000):
            pass


def _change(people: int, of: int, now: datetime) -> None:
    """One new order each for `people` people spread over the population."""
    from django.db import transaction

    from segments.facts.append import append_facts
    from segments.facts.fact import NewFact
    from segments.models import Order, Source

    source, ids = Source.objects.get(key="bench").pk, list(range(1, of + 1, max(1, of // people)))[:people]
    keys = [f"s{next(_keys)}" for _ in ids]
    with transaction.atomic():
        Order.objects.bulk_create(
            Order(source_id=source, order_id=key, profile_id=one, placed_at=now, currency="USD", total=5,
                  net_reporting=5)
            for one, key in zip(ids, keys, strict=True)
        )  # fmt: skip
        append_facts(
            [NewFact(one, one % 16, "Order Completed", now, key, source) for one, key in zip(ids, keys, strict=True)],
            now=now,
        )
