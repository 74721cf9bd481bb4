"""Scores of everybody: RFM, stage and health from scratch, again with nothing new, and for those who changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from bench.changes import new_orders, settle
from bench.data import NOW
from bench.measure import ROUNDS, Board, Line, interleave, seconds
from bench.stage import SCALE, copy_of, populated, using

PEOPLE, EVENTS = int(1_000_000 * SCALE), int(10_000_000 * SCALE)
CHANGED = 1_000
SCRATCH, NOTHING_NEW, HEALTH = 0.03, 0.04, 0.015  # of the bare statement
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
GROUPED = (
    "SELECT profile_id, max(placed_at), count(*), sum(net_reporting) FROM segments_order"
    " WHERE state IN ('placed', 'paid') AND placed_at > %s AND placed_at <= %s GROUP BY profile_id"
)
FORGET = (
    "TRUNCATE segments_scores, segments_stagechange, segments_rfmedges, segments_health, segments_healthchange,"
    " segments_healthrules CASCADE",
    "DELETE FROM segments_cursor WHERE reader LIKE 'scores%%' OR reader LIKE 'health%%'",
    "DELETE FROM segments_event WHERE kind = 'system'",
)


def run(board: Board) -> None:
    """Print what scoring costs against one bare grouped statement over the orders, fetched."""
    with copy_of(populated(PEOPLE, EVENTS)) as large, copy_of(populated(PEOPLE // 10, EVENTS // 10)) as small:
        with using(large):
            whole = _whole(board)
        for name in (large, small):
            with using(name):
                _catch_up()
        _changed(board, large, small, whole)
    board.memory("scores")


def _whole(board: Board) -> dict[str, float]:
    """From scratch, and again; returns the seconds from scratch."""
    from segments import scores

    took = {}
    for name, work, floor in (("RFM and stage", _scores, SCRATCH), ("health", _health, HEALTH)):
        took[name] = _line(board, f"{name}, from scratch", work, floor, before=_forget)
    _forget()
    _scores(NOW)
    _line(board, "RFM and stage, again, nothing new", lambda now: scores.score_all(now), NOTHING_NEW)
    days = iter(range(1, 10))
    _line(board, "RFM and stage, a day later", lambda _: scores.score_all(NOW + next(days) * DAY), None)
    return took


def _line(
    board: Board, name: str, work: Callable[[datetime], Any], floor: float | None, *, before: Callable[[], object] = int
) -> float:  # fmt: skip
    def ours() -> float:
        before()
        return seconds(lambda: work(NOW))

    bare, took = interleave(lambda: seconds(_grouped), ours)
    board.add(Line(f"{name} ({PEOPLE:,} people): bare / ours", f"{took:.2f} s", f"{bare:.3f} s", bare / took, floor))
    return took


def _changed(board: Board, large: str, small: str, whole: dict[str, float]) -> None:
    """A look after a change, at both populations in turn: three rounds."""
    took: dict[tuple[str, str], list[float]] = {}
    for number in range(ROUNDS):
        for name, people in ((small, PEOPLE // 10), (large, PEOPLE)):
            with using(name):
                for what, seen in _looks(people, number).items():
                    took.setdefault((what, name), []).append(seen)
    for what, full in whole.items():
        ours, tenth = median(took[what, large]), median(took[what, small])
        name = f"{what}, {CHANGED:,} changed"
        board.add(Line(f"{name}: a tenth / {PEOPLE:,}", f"{ours:.3f} s", f"{tenth:.3f} s", tenth / ours, 1 / 1.5))
        board.add(Line(f"{name}: full pass / ours", f"{ours:.3f} s", f"{full:.2f} s", full / ours, None))


def _looks(people: int, turn: int) -> dict[str, float]:
    """Seconds of each look after a change; of few people the same buy in each round, whose health stays the same."""
    from segments import health_scores, scores

    now = NOW + 10 * DAY + (turn + 1) * MINUTE
    new_orders(CHANGED, people, now, turn=turn)
    settle()
    wrote: list[dict[str, int]] = []
    found = {}
    for what, work in (("RFM and stage", scores.score_changed), ("health", health_scores.judge_changed)):
        found[what] = seconds(lambda: wrote.append(work(now)))  # noqa: B023
        assert wrote[-1]["facts"] >= CHANGED // 2 or people < ROUNDS * CHANGED, wrote
    return found


def _catch_up() -> None:
    """Look until nothing is left, as a running installation has."""
    from segments import health_scores, scores

    settle()
    now = NOW + 10 * DAY
    scores.score_all(now)
    health_scores.judge_all(now)
    for _ in range(1000):
        settle()
        wrote = [sum(work(now).values()) for work in (scores.score_changed, health_scores.judge_changed)]
        if not any(wrote) and _all_read():
            break


def _all_read() -> bool:
    """Whether the readers of facts have arrived at the end of the log."""
    from segments.facts.position import horizon
    from segments.models import Cursor

    last = horizon().tx - 10_000  # other databases of the cluster move it on
    return not Cursor.objects.filter(reader__in=["scores", "health"], tx__lt=last).exists()


def _scores(now: datetime) -> None:
    from segments import scores

    scores.score_all(now)


def _health(now: datetime) -> None:
    from segments import health_scores

    health_scores.judge_all(now)


def _forget() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in FORGET:
            cursor.execute(statement, ())


def _grouped() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(GROUPED, [NOW - timedelta(days=365), NOW])
        while cursor.fetchmany(5000):
            pass
