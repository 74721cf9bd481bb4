"""Segments over the whole population: their queries, first build, and a refresh whose cost follows the change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from bench.changes import new_facts, settle
from bench.data import NOW
from bench.measure import ROUNDS, Board, Line, interleave, seconds
from bench.questions import BARE, RULES
from bench.stage import SCALE, copy_of, populated, using

PEOPLE, EVENTS = int(1_000_000 * SCALE), int(10_000_000 * SCALE)
CHANGED = 1_000
AGO = {"week": 7, "month": 30, "two_months": 60, "quarter": 90, "three_days": 3}
MOST = 1.3  # times the best hand-written query that a compiled one may take
MINUTE = timedelta(minutes=1)


def run(board: Board) -> None:
    """Print the ratios of query, build and refresh, at the full population and at a tenth of it."""
    with copy_of(populated(PEOPLE, EVENTS)) as large, copy_of(populated(PEOPLE // 10, EVENTS // 10)) as small:
        for name, shown in ((small, False), (large, True)):
            with using(name):
                _build_all(board, shown=shown)
        _refreshes(board, large, small)
    board.memory("segments")


def _build_all(board: Board, *, shown: bool) -> None:
    from segments.models import Segment

    for key, rule in RULES.items():
        _build(board, key, Segment.objects.create(key=key, name=key, rule=rule), shown=shown)
    settle()
    _refresh(NOW)


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


def _refreshes(board: Board, large: str, small: str) -> None:
    """All ten after a change, at both populations in turn, and a pass over everyone: three rounds."""
    few: dict[str, list[float]] = {large: [], small: []}
    full, now = [], NOW
    for _ in range(ROUNDS):
        for name, people in ((small, PEOPLE // 10), (large, PEOPLE)):
            now += MINUTE
            with using(name):
                few[name].append(_after(CHANGED, people, now, "changed" if people > 40_000 else ""))
        now += MINUTE
        with using(large):
            full.append(_full(now))
    whole, tenth, all_of_them = median(few[large]), median(few[small]), median(full)
    name = f"refresh after {CHANGED:,} changed"
    board.add(Line(f"{name}: a tenth / {PEOPLE:,}", f"{whole:.3f} s", f"{tenth:.3f} s", tenth / whole, 1 / 1.5))
    board.add(Line(f"{name}: full pass / ours", f"{whole:.3f} s", f"{all_of_them:.2f} s", all_of_them / whole, 5))
    with using(large):
        one = _after(PEOPLE // 100, PEOPLE, now + MINUTE, "")
        name = f"refresh after 1 % ({PEOPLE // 100:,}) changed: full pass / ours"
        board.add(Line(name, f"{one:.2f} s", f"{all_of_them:.2f} s", all_of_them / one, 1))
        _many(board, now + 2 * MINUTE)


def _many(board: Board, now: datetime) -> None:
    """Where more than a twentieth changed, refresh takes the full pass and says so; beside it, what it spared."""
    from segments.refresh import candidates

    people = max(PEOPLE * 6 // 100, 1_500)
    _after(people, PEOPLE, now, "full")  # whoever changes sides has done so
    chosen = _after(people, PEOPLE, now + MINUTE, "full")
    before, candidates.SHARE = candidates.SHARE, 1.0
    try:
        spared = _after(people, PEOPLE, now + 2 * MINUTE, "changed")
    finally:
        candidates.SHARE = before
    name = f"refresh after 6 % ({people:,}) changed: one by one / full pass chosen"
    board.add(Line(name, f"{chosen:.2f} s", f"{spared:.2f} s", spared / chosen, None))


def _after(people: int, of: int, now: datetime, mode: str) -> float:
    """Seconds of a refresh after a change; `mode` is the pass that the segment 'latest' must take, and, of a full one,
    the reason that its run must keep."""
    from segments.models import SegmentRun

    new_facts(people, of, now)
    settle()
    reports: dict[str, Any] = {}
    took = seconds(lambda: reports.update(_refresh(now)))
    seen = reports["latest"]
    assert not mode or seen.mode == mode, (seen, mode)
    if seen.mode == "full":
        run = SegmentRun.objects.filter(segment__key="latest").latest("id")
        assert (run.as_of, run.why) == (now, "many"), (run.as_of, run.why)
        assert (run.estimated or 0) > (run.threshold or 0) > 0, (run.estimated, run.threshold)
    else:
        assert seen.candidates >= people, f"the change has passed unseen: {seen}"
    return took


def _full(now: datetime) -> float:
    from segments.models import Segment

    Segment.objects.update(built_number=0)
    return seconds(lambda: _refresh(now))


def _refresh(now: datetime) -> dict[str, Any]:
    from segments.refresh import refresh_due

    reports = {report.segment: report for report in refresh_due(now)}
    assert not [report for report in reports.values() if report.mode in ("failed", "busy")], reports
    return reports
