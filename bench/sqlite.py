"""Refresh, scores, ingest and import on SQLite, at a small size, in a process of its own: figures beside PostgreSQL's.

Nothing gates but the memory: what must stay fast is decided on PostgreSQL. There are 20,000 people with 200,000 events
at a scale of 0.1 or more, fewer below.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from bench.data import DAYS, NOW, ORDERS, STATS
from bench.measure import ROUNDS, Board, Line, interleave, seconds
from bench.stage import SCALE

PEOPLE = int(20_000 * min(1, SCALE * 10))
CHUNK = 5_000
NAMES = ["page"] * 50 + ["Product Viewed"] * 22 + ["Product Added"] * 8 + ["Order Completed"] * 20
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def run(board: Board) -> None:
    """Measure in a process whose database is a new SQLite file, and show its lines."""
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3"}
        words = [sys.executable, "-m", "bench.sqlite"]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=env)
    for line in json.loads(done.stdout.splitlines()[-1]):
        board.add(Line(**line))


def measure() -> list[Line]:
    """Everything, in the database of this process."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    _populate()
    board = Board(quiet=True)
    _refresh(board)
    _scores(board)
    _ingest(board)
    board.memory(f"SQLite ({PEOPLE:,} people)")
    return board.lines


def _populate() -> None:
    """The population of bench.data, drawn in Python."""
    from django.db import connection

    from segments.models import Event, Profile, Source

    rng, source = random.Random(42), Source.objects.create(key="bench", name="Bench", kind="http")
    for first in range(1, PEOPLE + 1, CHUNK):
        Profile.objects.bulk_create(
            Profile(
                pk=i, shard=i % 16, bucket=i * 7919 % 10_000, email=f"p{i}@example.com",
                locale="en" if i % 3 else "zh-Hans",
                country=["CN", "US", "DE", "FR", "JP", "GB", "BR", "IN"][i % 8], registered_at=NOW - i % 365 * DAY,
                first_seen_at=NOW - 400 * DAY, last_seen_at=NOW, traits={"plan": ["free", "basic", "pro"][i % 3]},
            )
            for i in range(first, min(PEOPLE + 1, first + CHUNK))
        )  # fmt: skip
    for first in range(0, PEOPLE * 10, CHUNK):
        Event.objects.bulk_create([_event(rng, source.pk, number) for number in range(first, first + CHUNK)])
    with connection.cursor() as cursor:
        for statement in (STATS, ORDERS, "ANALYZE"):
            cursor.execute(statement)


def _event(rng: random.Random, source: int, number: int) -> Any:
    from segments.models import Event

    person, name = 1 + int(rng.random() ** 1.5 * PEOPLE), rng.choice(NAMES)
    at = NOW - timedelta(days=DAYS * rng.random())
    value = 500 + number % 20_000 if name == "Order Completed" else None
    return Event(source_id=source, key=f"e{number}", profile_id=person, shard=person % 16, kind="track", name=name,
                 occurred_at=at, received_at=at, value=value)  # fmt: skip


def _show(board: Board, name: str, ours: float, bare: float) -> None:
    board.add(Line(f"SQLite, {name}", f"{ours:.3f} s", f"{bare:.3f} s", bare / ours, None, f"{PEOPLE:,} people"))


def _refresh(board: Board) -> None:
    """First builds of the ten segments; then a change of one person in a hundred against a pass over everyone."""
    from bench.changes import new_facts
    from bench.questions import RULES
    from segments.models import Segment
    from segments.refresh import refresh_due

    def look(now: datetime) -> float:
        def due() -> None:
            reports = refresh_due(now)
            assert not [report for report in reports if report.mode in ("failed", "busy")], reports

        return seconds(due)

    for key, rule in RULES.items():
        Segment.objects.create(key=key, name=key, rule=rule)
    built, few, full = look(NOW), [], []
    for number in range(1, ROUNDS + 1):
        new_facts(PEOPLE // 100, PEOPLE, NOW + number * MINUTE)
        few.append(look(NOW + number * MINUTE))
        Segment.objects.update(built_number=0)
        full.append(look(NOW + number * MINUTE))
    _show(board, f"refresh after {PEOPLE // 100:,} changed: full pass / ours", median(few), median(full))
    _show(board, "first builds of ten segments: full pass / ours", built, median(full))


def _scores(board: Board) -> None:
    from bench.scores import GROUPED
    from segments import health_scores, scores

    def grouped() -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(GROUPED, [_plain(NOW - timedelta(days=DAYS)), _plain(NOW)])
            cursor.fetchall()

    parts: list[tuple[str, Callable[[datetime], int]]] = [
        ("RFM and stage", scores.score_all), ("health", health_scores.judge_all),
    ]  # fmt: skip
    for name, work in parts:
        bare = median(seconds(grouped) for _ in range(ROUNDS))
        _show(board, f"{name}, from scratch: bare / ours", seconds(lambda: work(NOW)), bare)  # noqa: B023


def _ingest(board: Board) -> None:
    """Batches of 500 calls through ingest, and a file, against executemany into the same table."""
    from bench import ingest as bench
    from segments.ingest import ingest
    from segments.models import Source

    source = Source.objects.create(key="http", name="HTTP", kind="http")

    def taken() -> float:
        batches = [bench._calls(bench.BATCH) for _ in range(bench.ROWS // bench.BATCH)]

        def work() -> None:
            for calls in batches:
                results = ingest(calls, source=source, now=NOW)
                assert {result.status for result in results} == {"stored"}, results[0]

        return bench.ROWS / seconds(work)

    def bare() -> float:
        rows = [tuple(_plain(value) for value in row) for row in bench._rows()]
        return bench.ROWS / seconds(lambda: bench._executemany(rows))

    taken()
    yard, ours = interleave(bare, taken)
    board.add(Line("SQLite, ingest / executemany", f"{ours:,.0f}/s", f"{yard:,.0f}/s", ours / yard, None))
    peaks: list[float] = []
    yard, ours = interleave(bare, lambda: bench._import(peaks))
    board.add(
        Line("SQLite, import of JSONL events / executemany", f"{ours:,.0f}/s", f"{yard:,.0f}/s", ours / yard, None)
    )
    board.memory("SQLite, the importing process", used=max(peaks))


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=None).isoformat(" ") if isinstance(value, datetime) else value


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    print(json.dumps([asdict(line) for line in measure()]))
