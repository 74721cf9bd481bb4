"""What a million due messages cost a sender that ten thousand do not: its memory, and the time of its claims.

One sender works for a while on each; what it sends is the mail of the outbox's bench. Both queues are written by SQL.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from time import process_time
from typing import Any

from bench.mail import ENVIRON, make_account, plan, sink
from bench.measure import Board, Line, peak_mb
from bench.stage import SCALE

SHORT, LONG = int(10_000 * SCALE), int(1_000_000 * SCALE)
SECONDS = 20
WORKER_MB = 160
ADDRESSES = """
INSERT INTO messaging_address (channel, value, profile_id, consents, refusals, suppressed, soft_bounces, created_at)
SELECT 'email', email, id, '["offers"]', '[]', '', 0, now() FROM segments_profile p
WHERE NOT EXISTS (SELECT 1 FROM messaging_address a WHERE a.profile_id = p.id)
"""
DELIVERIES = """
INSERT INTO messaging_delivery (dedupe_key, public_id, body_digest, klass, channel, topic, profile_id, address_id,
    version_id, campaign, journey, node, variant, context, utm, ghost, priority, planned_at, not_before, state, reason,
    claims, attempts, reached)
SELECT 'backlog:' || a.id, gen_random_uuid(), '', d.klass, d.channel, d.topic, a.profile_id, a.id, d.version_id,
    'bench', 'bench', 'send', '', d.context, d.utm, false, 0, now(), now(), 'planned', '', 0, 0, 0
FROM messaging_address a CROSS JOIN (SELECT * FROM messaging_delivery ORDER BY id LIMIT 1) d
WHERE NOT EXISTS (SELECT 1 FROM messaging_delivery b WHERE b.profile_id = a.profile_id)
"""


def run(board: Board) -> None:
    """Print memory and claims of both; they gate."""
    with sink() as server:
        make_account(server.port)
        plan(0, "backlog", 1)
        short, long = (_after(fill) for fill in (SHORT, LONG))
    board.add(_line("backlog: a sender's memory, short / long queue", short["memory"], long["memory"], "MB", 0.8))
    board.memory("backlog: a sender at a long queue", limit=WORKER_MB, used=long["memory"])
    board.add(_line("backlog: a message's claim, short / long queue", short["claim"], long["claim"], "µs", 0.5))


def _line(name: str, short: float, long: float, unit: str, floor: float) -> Line:
    return Line(name, f"{long:,.0f} {unit}", f"{short:,.0f} {unit}", short / long, floor)


def _after(messages: int) -> dict[str, Any]:
    """Fill the queue up to so many messages, let one sender work on it, and return what it says."""
    from django.db import connection

    from bench.data import NOW, PEOPLE

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), coalesce(max(id), 0) FROM segments_profile")
        people, last = cursor.fetchone()
        cursor.execute(PEOPLE, {"seed": 1, "now": NOW, "first": last + 1, "last": last + messages - people})
        cursor.execute(ADDRESSES)
        cursor.execute(DELIVERIES)
        cursor.execute("VACUUM ANALYZE")
    command = [sys.executable, "-m", "bench.backlog"]
    said = subprocess.run(command, env={**os.environ, **ENVIRON}, stdout=subprocess.PIPE, text=True, check=True).stdout
    told: dict[str, Any] = json.loads(said.splitlines()[-1])
    return told


def _work() -> None:
    """One sender."""
    import django

    django.setup()
    from bench import budget
    from common.clock import now
    from messaging.outbox import claim, send

    spent: list[float] = []
    setattr(send, "claim_due", _timed(claim.claim_due, spent, budget.session))  # noqa: B010
    report = send.send_due(worker="bench", now_fn=now, seconds=SECONDS)
    print(json.dumps({"memory": peak_mb(), "claim": 1e6 * sum(spent) / max(report.claimed, 1)}))


def _timed(work: Callable[..., Any], spent: list[float], session: Callable[[], float]) -> Callable[..., Any]:
    """The same function; what processors it and the database's session took goes into `spent`."""

    @wraps(work)
    def timed(*args: Any, **named: Any) -> Any:
        began = process_time() + session()
        try:
            return work(*args, **named)
        finally:
            spent.append(process_time() + session() - began)

    return timed


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    _work()
