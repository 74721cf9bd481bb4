"""A made-up population in PostgreSQL, the same for the same seed: people, events of which a fifth are
orders, and lifetime rows."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import connection

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAYS = 365

PEOPLE = """
INSERT INTO segments_profile (public_id, shard, bucket, email, phone, first_name, last_name, locale, timezone, country,
  city, gender, registered_at, first_seen_at, last_seen_at, traits, no_profiling)
SELECT md5(%(seed)s::text || i::text)::uuid, i %% 16, (i * 7919) %% 10000, 'p' || i || '@example.com', '', 'P' || i, '',
  CASE WHEN i %% 3 = 0 THEN 'zh-Hans' ELSE 'en' END, 'Asia/Shanghai',
  (ARRAY['CN','US','DE','FR','JP','GB','BR','IN'])[1 + i %% 8], '', '',
  %(now)s::timestamptz - (i %% 365) * interval '1 day', %(now)s::timestamptz - interval '400 days', %(now)s,
  jsonb_build_object('plan', (ARRAY['free','basic','pro'])[1 + i %% 3]), false
FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i
"""

EVENTS = """
INSERT INTO segments_event (source_id, key, profile_id, shard, tx, kind, name, occurred_at, received_at, value,
  properties, context, live, flags, depth)
SELECT %(source)s::bigint, 'e' || i, p, p %% 16, 1, 'track',
  CASE WHEN r < 0.50 THEN 'page' WHEN r < 0.72 THEN 'Product Viewed' WHEN r < 0.80 THEN 'Product Added'
    ELSE 'Order Completed' END,
  at, at, CASE WHEN r >= 0.80 THEN 500 + (i %% 20000) END, '{}', '{}', true, '', 0
FROM (SELECT i, random() AS r, 1 + floor(power(random(), 1.5) * %(people)s::float)::bigint AS p,
        %(now)s::timestamptz - random() * %(days)s::float * interval '1 day' AS at
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS i) AS made
"""

STATS = """
INSERT INTO segments_eventstats (profile_id, name, first_at, last_at, count, amount)
SELECT profile_id, name, min(occurred_at), max(occurred_at), count(*), sum(value) FROM segments_event GROUP BY 1, 2
"""

ORDERS = """
INSERT INTO segments_order (source_id, order_id, profile_id, placed_at, state, currency, total, refunded, net_reporting,
  coupon_code, items)
SELECT source_id, key, profile_id, occurred_at, 'paid', 'USD', value, 0, value, '', '[]'
FROM segments_event WHERE name = 'Order Completed'
"""


def populate(people: int, events: int, *, seed: str = "bench", chunk: int = 1_000_000) -> None:
    """Fill an empty, migrated database. Indexes of the event table are made after its rows."""
    given = {"seed": seed, "now": NOW, "people": people, "days": DAYS}
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.42)")
        cursor.execute(
            "INSERT INTO segments_source (key, name, name_zh, kind, lenient, browser)"
            " VALUES ('bench', 'Bench', '', 'http', false, false) RETURNING id"
        )
        given["source"] = cursor.fetchone()[0]
        for first in range(1, people + 1, chunk):
            cursor.execute(PEOPLE, given | {"first": first, "last": min(people, first + chunk - 1)})
        indexes = _drop_indexes(cursor, "segments_event")
        for first in range(1, events + 1, chunk):
            cursor.execute(EVENTS, given | {"first": first, "last": min(events, first + chunk - 1)})
        for statement in indexes:
            cursor.execute(statement)
        cursor.execute(STATS)
        cursor.execute(ORDERS)
        cursor.execute("VACUUM ANALYZE")


def _drop_indexes(cursor: object, table: str) -> list[str]:
    """Drop a table's secondary indexes; returns the statements that make them again."""
    run = cursor.execute  # type: ignore[attr-defined]
    run(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass AND c.oid IS NULL",
        [table],
    )
    found = cursor.fetchall()  # type: ignore[attr-defined]
    for name, _ in found:
        run(f"DROP INDEX {name}")
    return [statement for _, statement in found]
