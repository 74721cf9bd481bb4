"""Who asks: of all workers that want one address at the same time, one does; the others take the older answer, or wait
for the new one within bounds.

For shared addresses a row of the database says so, with a lease by the database's clock, so that a worker that dies
holds nobody up. For a person's own address the cache says it, as far as that is shared; no row is left by it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.core.cache import cache
from django.db import connection
from django.db.models import QuerySet

from common import clock
from messaging.feed.address import is_personal
from messaging.feed.fetch import SECONDS
from messaging.feed.kept import Key, Value, recall
from messaging.models.feeds import Feed, FeedCall

LEASE = timedelta(seconds=SECONDS + 2)  # longer than any batch of calls
CLAIM = """
INSERT INTO messaging_feedcall (feed_id, digest, token, until) VALUES {}
ON CONFLICT (feed_id, digest) DO UPDATE SET token = excluded.token, until = excluded.until
WHERE messaging_feedcall.until <= %s
RETURNING feed_id, digest
"""
STEP = 0.05  # seconds between two looks at what another worker brought


@contextmanager
def flight(wanted: Mapping[Key, Feed]) -> Iterator[set[Key]]:
    """Those of the addresses that are ours to ask for the time of the block. Two statements and one when it ends; none
    for people's own addresses."""
    shared = {key for key, feed in wanted.items() if not is_personal(feed.url)}
    own = {key for key in wanted.keys() - shared if cache.add(_name(key), 1, timeout=LEASE.total_seconds())}
    token = uuid4().hex if shared else ""
    try:
        yield own | (_claim(shared, token) if shared else set())
    finally:
        cache.delete_many([_name(key) for key in own])
        if shared:
            FeedCall.objects.filter(token=token).delete()


def _claim(keys: Collection[Key], token: str) -> set[Key]:
    """Take every address that nobody is asking, or whose asker's lease has run out."""
    now = clock.database_now()
    values: list[Any] = []
    for feed, digest in sorted(keys):
        values += [feed, digest, token, now + LEASE]
    with connection.cursor() as cursor:
        cursor.execute(CLAIM.format(", ".join(["(%s, %s, %s, %s)"] * len(keys))), [*values, now])
        return {(feed, digest) for feed, digest in cursor.fetchall()}


def await_others(wanted: Mapping[Key, Feed], *, ends: float) -> dict[Key, Value]:
    """What the other workers bring of these addresses, by `ends` of the monotonic clock; an address that nobody asks
    any more, and that has no answer, is given up at once."""
    found: dict[Key, Value] = {}
    left = dict(wanted)
    while left:
        asked = _asked(left)  # before the look: who ends in between has stored the answer first
        found |= recall(left, None)
        left = {key: feed for key, feed in left.items() if key in asked and key not in found}
        if left and time.monotonic() + STEP > ends:
            break
        time.sleep(STEP if left else 0)
    return found


def _asked(wanted: Mapping[Key, Feed]) -> set[Key]:
    shared = {key for key, feed in wanted.items() if not is_personal(feed.url)}
    names = {_name(key): key for key in wanted.keys() - shared}
    found = {names[name] for name in cache.get_many(list(names))} if names else set()
    if shared:
        rows = _rows(shared).filter(until__gt=clock.database_now())
        found |= shared & set(rows.values_list("feed", "digest"))
    return found


def _rows(keys: Collection[Key]) -> QuerySet[FeedCall]:
    return FeedCall.objects.filter(feed__in={feed for feed, _ in keys}, digest__in={one for _, one in keys})


def _name(key: Key) -> str:
    return f"feed-asked:{key[0]}:{key[1]}"
