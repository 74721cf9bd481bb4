"""Facts per second over HTTP in batches of 500, and from a file, against bare statements into the same indexed table.

The yardsticks are one connection that does nothing else: COPY, `INSERT … SELECT FROM unnest(…)` of 500 rows a
statement and executemany. What is sent, copied or read is made before the clock starts.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from bench.data import NOW
from bench.measure import Board, Line, interleave, peak_mb, seconds
from bench.stage import SCALE, copy_of, populated

ROWS = int(20_000 * min(1, SCALE * 10))
PEOPLE = 5_000
BATCH = 500
MEMORY = 250  # MB that the web server's process and the importing process may take
HTTP_UNNEST, HTTP_COPY, IMPORT_COPY, MIXED_UNNEST = 0.25, 0.15, 0.2, 0.13
_numbers = count()


def run(board: Board) -> None:
    """Print the ratios of HTTP ingest and of an import to the bare statements, and the memory they took."""
    people, events = max(PEOPLE, int(100_000 * SCALE)), int(1_000_000 * SCALE)
    with copy_of(populated(people, events)), _web() as (post, web_mb):
        take_in = _timed(_bodies, lambda bodies: _take_in(post, bodies))
        take_in()  # people and connections exist before the clock starts
        for name, statement, floor in (
            ("unnest", _unnest, HTTP_UNNEST),
            ("executemany", _executemany, None),
            ("COPY", _copy, HTTP_COPY),
        ):
            bare, http = interleave(_timed(_rows, statement), take_in)
            board.add(_rate(f"ingest over HTTP / {name}", http, bare, floor))
        mixed = _timed(_mixed_bodies, lambda bodies: _take_in(post, bodies))
        bare, http = interleave(_timed(_rows, _unnest), mixed)
        board.add(_rate("ingest of traits, visitors, orders / unnest", http, bare, MIXED_UNNEST))
        peaks: list[float] = []
        copy, imported = interleave(_timed(_rows, _copy), lambda: _import(peaks))
        board.add(_rate("import of JSONL events / COPY", imported, copy, IMPORT_COPY))
        for name, peak in (("the web server's process", web_mb()), ("the importing process", max(peaks))):
            board.memory(f"ingest: {name}", limit=MEMORY, used=peak)


def _rate(name: str, subject: float, bare: float, floor: float | None) -> Line:
    return Line(name, f"{subject:,.0f}/s", f"{bare:,.0f}/s", subject / bare, floor)


def _timed(make: Callable[[], Any], work: Callable[[Any], object]) -> Callable[[], float]:
    """A measurement in rows per second: `make` outside the clock, `work` inside."""

    def measure() -> float:
        made = make()
        return ROWS / seconds(lambda: work(made))

    return measure


def _calls(size: int) -> list[dict[str, Any]]:
    """Track calls over PEOPLE users, as a stock client sends them."""
    at = (NOW - timedelta(minutes=1)).isoformat()
    return [
        {
            "type": "track",
            "event": "Product Viewed",
            "userId": f"u{number % PEOPLE}",
            "messageId": f"bench-{number}",
            "timestamp": at,
            "properties": {"product_id": number % 997, "price": 12.5, "category": "garden"},
            "context": {"page": {"url": "https://shop.example.com/p"}, "locale": "en-US"},
        }
        for number, _ in zip(_numbers, range(size), strict=False)
    ]


def _bodies() -> list[bytes]:
    return _packed([_calls(BATCH) for _ in range(ROWS // BATCH)])


def _mixed_bodies() -> list[bytes]:
    """The same, where each fifth call describes its person, brings a visitor, tells an order or comes by a campaign."""
    return _packed([[_told_more(call) for call in _calls(BATCH)] for _ in range(ROWS // BATCH)])


def _told_more(call: dict[str, Any]) -> dict[str, Any]:
    number = int(call["messageId"].rpartition("-")[2])
    who = call["userId"]
    match number % 5:
        case 0:
            traits = {"email": f"{who}@example.com", "plan": "pro", "visits": number}
            return {**call, "type": "identify", "traits": traits}
        case 1:
            return {**call, "userId": None, "anonymousId": f"visitor-{number}"}
        case 2:
            order = {"order_id": f"order-{number}", "total": 19.5, "products": [{"product_id": 1, "price": 19.5}]}
            return {**call, "event": "Order Completed", "properties": order}
        case 3:
            url = "https://shop.example.com/p?utm_source=news&utm_campaign=spring"
            return {**call, "type": "page", "context": {"page": {"url": url}}}
    return call


def _packed(batches: Sequence[list[dict[str, Any]]]) -> list[bytes]:
    at = (NOW - timedelta(minutes=1)).isoformat()
    return [json.dumps({"batch": calls, "sentAt": at}).encode() for calls in batches]


def _take_in(post: Any, bodies: Sequence[bytes]) -> None:
    for body in bodies:
        answer = post(body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["stored"] == BATCH, answer.text


def _rows() -> list[tuple[Any, ...]]:
    """The same facts as finished rows of the table."""
    said = json.dumps({"product_id": 1, "price": 12.5, "category": "garden"})
    context = json.dumps({"page": {"url": "https://shop.example.com/p"}, "locale": "en-US"})
    rows = []
    for number, _ in zip(_numbers, range(ROWS), strict=False):
        person = 1 + number % PEOPLE
        placed = (1, f"bare-{number}", person, person % 16, 1, "track", "Product Viewed", NOW, NOW)
        rows.append((*placed, None, said, context, True, "", 0))
    return rows


COLUMNS = (
    "source_id, key, profile_id, shard, tx, kind, name, occurred_at, received_at, value, properties, context, live,"
    " flags, depth"
)
KINDS = (
    "bigint, text, bigint, smallint, bigint, text, text, timestamptz, timestamptz, bigint, jsonb, jsonb, boolean,"
    " text, smallint"
)


def _copy(rows: Sequence[tuple[Any, ...]]) -> None:
    from django.db import connection, transaction

    statement = f"COPY segments_event ({COLUMNS}) FROM STDIN"
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _unnest(rows: Sequence[tuple[Any, ...]]) -> None:
    """The cheapest telling: array literals joined as text, half of what lists cost in psycopg."""
    from segments.arrays import literal

    kinds = [kind.strip() for kind in KINDS.split(",")]
    arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
    statement = f"INSERT INTO segments_event ({COLUMNS}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"
    _each_batch(
        rows, lambda cursor, part: cursor.execute(statement, list(map(literal, kinds, zip(*part, strict=True))))
    )


def _executemany(rows: Sequence[tuple[Any, ...]]) -> None:
    statement = f"INSERT INTO segments_event ({COLUMNS}) VALUES ({', '.join(['%s'] * 15)})"
    _each_batch(rows, lambda cursor, part: cursor.executemany(statement, part))


def _each_batch(rows: Sequence[tuple[Any, ...]], write: Callable[[Any, Sequence[tuple[Any, ...]]], object]) -> None:
    from django.db import connection, transaction

    for start in range(0, len(rows), BATCH):
        with transaction.atomic(), connection.cursor() as cursor:
            write(cursor, rows[start : start + BATCH])


def _import(peaks: list[float]) -> float:
    """Rows per second of an import in a process of its own, the start of Python left out; notes its memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        path.write_text("".join(json.dumps(call) + "\n" for call in _calls(ROWS)), encoding="utf-8")
        words = [sys.executable, "-m", "bench.ingest", str(path)]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["stored"] == ROWS, said
    peaks.append(said["peak_mb"])
    return ROWS / float(said["seconds"])


def import_file(path: Path) -> dict[str, float]:
    """What the importing process says of itself: facts stored, seconds, peak memory."""
    import django

    django.setup()
    from common.clock import now
    from segments.imports.options import Options
    from segments.imports.run import make_job, run_import
    from segments.models import Source

    source, _ = Source.objects.get_or_create(key="files", defaults={"name": "Files", "kind": Source.Kind.IMPORT})
    job = make_job(path, "events", source, Options())
    took = seconds(lambda: run_import(job, now=now()))
    job.refresh_from_db()
    return {"stored": job.rows_stored, "seconds": took, "peak_mb": peak_mb()}


@contextmanager
def _web() -> Iterator[tuple[Any, Callable[[], float]]]:
    """The production web server on a free port: a function that posts one batch to it, one that tells its memory."""
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
            headers = {"content-type": "application/json"}
            yield (
                lambda body: client.post("/v1/batch", content=body, headers=headers),
                lambda: max(_peak_of(child) for child in _children(server.pid)),
            )
        finally:
            server.terminate()
            server.wait(20)


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _peak_of(process: int) -> float:
    """The largest resident memory of another process so far, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    print(json.dumps(import_file(Path(sys.argv[1]))))
