"""Enrolments advanced per second through waits and a split, against one bare UPDATE of the same rows."""

from __future__ import annotations

from datetime import timedelta

from bench.data import NOW
from bench.measure import Board, Line, interleave, peak_mb, seconds
from bench.stage import SCALE, copy_of, populated

ROWS = int(100_000 * SCALE)
ARMS = [{"key": "a", "weight": 1}, {"key": "b", "weight": 1}]
GRAPH = {
    "trigger": {"type": "fact", "params": {"fact": "Signed Up"}},
    "start": "first",
    "nodes": {
        "first": {"type": "wait", "params": {"for": "1d"}, "next": {"next": "halves"}},
        "halves": {"type": "split", "params": {"arms": ARMS}, "next": {"a": "second", "b": "second"}},
        "second": {"type": "wait", "params": {"for": "2d"}, "next": {"next": "third"}},
        "third": {"type": "wait", "params": {"for": "3d"}, "next": {"next": "fourth"}},
        "fourth": {"type": "wait", "params": {"for": "4d"}, "next": {"next": "done"}},
        "done": {"type": "exit", "params": {}},
    },
}


def run(board: Board) -> None:
    """Print the ratio of the engine to a bare UPDATE, and the statements of one tick."""
    from campaigns.engine import advance

    with copy_of(populated(int(100_000 * SCALE), int(1_000_000 * SCALE))):
        _enrol()

        def update() -> float:
            return ROWS / seconds(_bare_update)

        def engine() -> float:
            _make_due()
            return ROWS / seconds(lambda: advance(NOW))

        bare, ours = interleave(update, engine)
    board.add(Line("engine / one bare UPDATE", f"{ours:,.0f}/s", f"{bare:,.0f}/s", ours / bare, 0.08))
    board.add(Line("engine: peak memory, MB", f"{peak_mb():.0f}", "400", 400 / peak_mb(), 1))


def _enrol() -> None:
    """A published journey with ROWS people at its first wait."""
    from django.db import connection

    from campaigns.models import Campaign, Journey
    from campaigns.publish import publish

    campaign = Campaign.objects.create(key="bench", name="Bench", utm_campaign="bench")
    journey = Journey.objects.create(key="bench", name="Bench", campaign=campaign, draft=GRAPH)
    version = publish(journey, now=NOW)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO campaigns_enrolment (journey_id, version_id, profile_id, entry_key, run_key, state, reason,"
            " ghost, arm, node, visit, due_at, awaiting, awaiting_since, tries, context, depth, entered_at, moved_at)"
            " SELECT %s, %s, id, 'bench', '', 'active', '', false, '', 'first', 1, %s, '', %s, 0, '{}', 0, %s, %s"
            " FROM segments_profile ORDER BY id LIMIT %s",
            [journey.pk, version.pk, NOW, *[NOW - timedelta(days=1)] * 3, ROWS],
        )
        cursor.execute(
            "INSERT INTO campaigns_visit (enrolment_id, journey_id, node, n, entered_at, port, reason)"
            " SELECT id, journey_id, 'first', 1, entered_at, '', '' FROM campaigns_enrolment"
        )
        cursor.execute("ANALYZE campaigns_enrolment")


def _make_due() -> None:
    """Wake everybody wherever they wait (half of the waits of a round are the first, half the later ones)."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE campaigns_enrolment SET due_at = %s WHERE state = 'active'", [NOW])
        cursor.execute("UPDATE campaigns_visit SET entered_at = entered_at - interval '30 days' WHERE left_at IS NULL")
        cursor.execute("VACUUM ANALYZE campaigns_enrolment")
        cursor.execute("VACUUM ANALYZE campaigns_visit")


def _bare_update() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_enrolment SET node = node || '', visit = visit + 0, due_at = due_at + interval '1 ms',"
            " moved_at = %s WHERE state = 'active'",
            [NOW],
        )
