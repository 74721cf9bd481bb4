"""Queueing a message for everybody in a segment, against one bare INSERT … SELECT of the same rows.

Both write into the ledger with all its indexes. Ours also finds each person's address, refuses a key that was used for
another message, and commits in batches, so that memory is flat and nobody waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bench.measure import Board, Line, interleave, seconds
from bench.stage import SCALE

PEOPLE = int(1_000_000 * SCALE)
BATCH = 2000
UTM = {"utm_source": "perennial", "utm_medium": "email", "utm_campaign": "bench"}
CONTEXT = {"event": {"name": "Spring"}}
COLUMNS = (
    "dedupe_key, public_id, body_digest, klass, channel, topic, profile_id, address_id, version_id, campaign, journey,"
    " node, variant, context, utm, ghost, priority, planned_at, not_before, state, reason, claims, attempts, reached"
)
BARE = f"""
INSERT INTO messaging_delivery ({COLUMNS})
SELECT 'spring:' || p.id, gen_random_uuid(), repeat('0', 64), v.klass, v.channel, v.topic, p.id, a.id, v.id, 'bench',
    'bench', 'send', '', %s::jsonb, %s::jsonb, false, 0, now(), now(), 'planned', '', 0, 0, 0
FROM segments_membership m JOIN segments_profile p ON p.id = m.profile_id
    JOIN messaging_address a ON a.channel = 'email' AND a.value = p.email
    CROSS JOIN messaging_templateversion v
WHERE m.segment_id = %s AND v.id = %s
"""


def run(board: Board) -> None:
    """Print the ratio; it gates at 0.3."""
    segment, version = _everybody()
    bare, ours = interleave(
        lambda: _rate(lambda: _bare(segment, version)), lambda: _rate(lambda: _queue(segment, version)), rounds=3
    )
    board.add(Line("queueing / bare INSERT … SELECT", f"{ours:,.0f}/s", f"{bare:,.0f}/s", ours / bare, 0.3))
    board.memory("queueing", limit=160)


def _rate(work: Any) -> float:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE messaging_delivery CASCADE")
        cursor.execute("CHECKPOINT")
    return PEOPLE / seconds(work)


def _everybody() -> tuple[int, int]:
    """A segment that holds everybody, each with an address that agreed, and a published template; their ids."""
    from django.db import connection

    from bench.data import NOW
    from bench.data import PEOPLE as PEOPLE_SQL
    from messaging.models import Template, Topic
    from messaging.publish import publish_template
    from segments.models import Segment

    now = datetime.now(UTC)
    topic, _ = Topic.objects.get_or_create(key="offers", defaults={"name": "Offers"})
    content = {
        "en": {
            "subject": "Spring",
            "html": '<p>x</p><a href="{{ links.unsubscribe }}">leave</a>',
            "text": "{{ links.unsubscribe }}",
        }
    }
    template, _ = Template.objects.get_or_create(
        key="spring", defaults={"name": "Spring", "channel": "email", "topic": topic, "content": content}
    )
    version = publish_template(template, now=now)
    segment, _ = Segment.objects.get_or_create(key="everybody", defaults={"name": "Everybody"})
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE segments_profile CASCADE")
        cursor.execute(PEOPLE_SQL, {"seed": 1, "now": NOW, "first": 1, "last": PEOPLE})
        cursor.execute(
            "INSERT INTO messaging_address"
            " (channel, value, profile_id, consents, refusals, suppressed, soft_bounces, created_at)"
            " SELECT 'email', email, id, '[\"offers\"]', '[]', '', 0, now() FROM segments_profile"
        )
        cursor.execute(
            "INSERT INTO segments_membership (segment_id, profile_id, entered_at)"
            " SELECT %s, id, now() FROM segments_profile",
            [segment.pk],
        )
        cursor.execute("VACUUM ANALYZE")
    return segment.pk, version.pk


def _bare(segment: int, version: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(BARE, [json.dumps(CONTEXT), json.dumps(UTM), segment, version])
        assert cursor.rowcount == PEOPLE


def _queue(segment: int, version: int) -> None:
    from django.db import transaction

    from messaging.outbox.queue import NewDelivery, queue_deliveries

    now = datetime.now(UTC)
    same = {"campaign": "bench", "journey": "bench", "node": "send", "context": CONTEXT, "utm": UTM}
    count = 0
    for people in _members(segment):
        items = [NewDelivery(f"spring:{who}", who, version, now, **same) for who in people]  # type: ignore[arg-type]
        with transaction.atomic():
            count += sum(pk is not None for pk in queue_deliveries(items, now=now))
    assert count == PEOPLE


def _members(segment: int) -> Iterator[list[int]]:
    """The members' ids, page by page."""
    from segments.models import Membership

    members = Membership.objects.filter(segment=segment).order_by("profile_id")
    last = 0
    while page := list(members.filter(profile_id__gt=last).values_list("profile_id", flat=True)[:BATCH]):
        yield page
        last = page[-1]
