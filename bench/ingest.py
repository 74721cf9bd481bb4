"""Facts per second over HTTP in batches of 500, against bare COPY and executemany into the same indexed table."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any

from bench.data import NOW
from bench.measure import Board, Line, interleave, peak_mb, seconds
from bench.stage import SCALE, copy_of, populated

ROWS = int(20_000 * min(1, SCALE * 10))
PEOPLE = 5_000
_numbers = count()


def run(board: Board) -> None:
    """Print the ratios of HTTP ingest to COPY and to executemany."""
    people, events = int(100_000 * SCALE), int(1_000_000 * SCALE)
    with copy_of(populated(people, events)), _web() as post:
        _take_in(post)  # people and connections exist before the clock starts
        copy, http = interleave(lambda: ROWS / seconds(_copy), lambda: ROWS / seconds(lambda: _take_in(post)))
        many, again = interleave(lambda: ROWS / seconds(_executemany), lambda: ROWS / seconds(lambda: _take_in(post)))
    board.add(Line("ingest over HTTP / COPY", f"{http:,.0f}/s", f"{copy:,.0f}/s", http / copy, None))
    board.add(Line("ingest over HTTP / executemany", f"{again:,.0f}/s", f"{many:,.0f}/s", again / many, None))
    board.add(Line("ingest: peak memory of the sender, MB", f"{peak_mb():.0f}", "400", 400 / peak_mb(), 1))


def _bodies() -> list[bytes]:
    """Batches of 500 track calls over PEOPLE users, as a stock client sends them."""
    at = (NOW - timedelta(minutes=1)).isoformat()
    bodies = []
    for _ in range(ROWS // 500):
        calls = []
        for _ in range(500):
            number = next(_numbers)
            calls.append(
                {
                    "type": "track",
                    "event": "Product Viewed",
                    "userId": f"u{number % PEOPLE}",
                    "messageId": f"bench-{number}",
                    "timestamp": at,
                    "properties": {"product_id": number % 997, "price": 12.5, "category": "garden"},
                    "context": {"page": {"url": "https://shop.example.com/p"}, "locale": "en-US"},
                }
            )
        bodies.append(json.dumps({"batch": calls, "sentAt": at}).encode())
    return bodies


def _take_in(post: Any) -> None:
    for body in _bodies():
        answer = post(body)
        assert answer.status_code == 200, answer.text


def _rows() -> Iterator[tuple[Any, ...]]:
    said, context = json.dumps({"product_id": 1, "price": 12.5, "category": "garden"}), json.dumps({"locale": "en-US"})
    for _ in range(ROWS):
        number = next(_numbers)
        person = 1 + number % PEOPLE
        placed = (1, f"bare-{number}", person, person % 16, 1, "track", "Product Viewed", NOW, NOW)
        yield (*placed, None, said, context, True, "", 0)


COLUMNS = (
    "source_id, key, profile_id, shard, tx, kind, name, occurred_at, received_at, value, properties, context, live,"
    " flags, depth"
)


def _copy() -> None:
    from django.db import connection, transaction

    statement = f"COPY segments_event ({COLUMNS}) FROM STDIN"
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in _rows():
            copy.write_row(row)


def _executemany() -> None:
    from django.db import connection, transaction

    marks = ", ".join(["%s"] * 15)
    rows = list(_rows())
    for start in range(0, len(rows), 500):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO segments_event ({COLUMNS}) VALUES ({marks})", rows[start : start + 500])


@contextmanager
def _web() -> Iterator[Any]:
    """The production web server on a free port, and a function that posts one batch to it."""
    import httpx

    from common.clock import now
    from common.models import ApiKey
    from segments.models import Source

    source = Source.objects.create(key="http", name="HTTP", kind="http")
    _, secret = ApiKey.issue("bench", ["ingest"], now=now(), subject=f"source:{source.key}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = "--interface wsgi --workers 1 --blocking-threads 1 --log-level error config.wsgi:application"
    server = subprocess.Popen([sys.executable, "-m", "granian", "--port", str(port), *words.split()])
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=(secret, ""), timeout=60) as client:
        try:
            for _ in range(100):
                try:
                    client.get("/readyz")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield lambda body: client.post("/v1/batch", content=body, headers={"content-type": "application/json"})
        finally:
            server.terminate()
            server.wait(20)
