"""What feeds said before, and how they are doing: shared values in the database, people's in the cache, and a breaker.

A value that was asked for a person is never written to the database: it lives in Django's cache, under a hash of the
address and for a day at most, so that erasing a person leaves no row behind.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db.models import F
from django.utils.dateparse import parse_datetime

from messaging.feed.address import is_personal
from messaging.models.feeds import Feed, FeedValue

TRIP = 5  # failures in a row
REST = timedelta(seconds=60)  # the first pause; it doubles with every failure after it
LONGEST_REST = timedelta(minutes=15)
PERSONAL = timedelta(days=1)
SKEW = timedelta(seconds=60)  # that another worker's "now" may be ahead of ours
MOST_VALUES = 60  # per shared feed, that is languages
Key = tuple[int, str]  # feed, hash of the address


@dataclass(frozen=True)
class Value:
    """A value and when it was fetched."""

    value: Any
    at: datetime


def digest(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()


def feeds_of(keys: Collection[str]) -> dict[str, Feed]:
    """Feeds by key, one statement."""
    return {feed.key: feed for feed in Feed.objects.filter(key__in=keys)} if keys else {}


def recall(wanted: Mapping[Key, Feed], now: datetime | None) -> dict[Key, Value]:
    """What is kept and still usable, stale or fresh (without `now`, of any age): one statement, and one look into the
    cache."""
    shared = {key for key, feed in wanted.items() if not is_personal(feed.url)}
    found = _from_database(shared)
    named = {_name(key): key for key in wanted.keys() - shared}
    for name, kept in (cache.get_many(list(named)) if named else {}).items():
        at = parse_datetime(str(kept[0]))
        if at is not None:
            found[named[name]] = Value(kept[1], at)
    return {key: value for key, value in found.items() if now is None or value.at + usable(wanted[key]) > now}


def _from_database(keys: Collection[Key]) -> dict[Key, Value]:
    if not keys:
        return {}
    rows = FeedValue.objects.filter(feed__in={feed for feed, _ in keys}, digest__in={one for _, one in keys})
    said = rows.values_list("feed", "digest", "value", "fetched_at")
    return {(feed, one): Value(value, at) for feed, one, value, at in said if (feed, one) in keys}


def usable(feed: Feed) -> timedelta:
    """How long a value may be shown at all; what was asked for a person, a day at most."""
    span = timedelta(seconds=feed.ttl + feed.stale)
    return min(span, PERSONAL) if is_personal(feed.url) else span


def is_fresh(value: Value, feed: Feed, now: datetime) -> bool:
    return value.at - SKEW <= now < value.at + timedelta(seconds=feed.ttl)


def keep(feed: Feed, values: Mapping[str, Any], now: datetime) -> None:
    """Store what was fetched, by address. Two statements for a shared feed, none for a personal one."""
    if is_personal(feed.url):
        said = {_name((feed.pk, digest(url))): (now.isoformat(), value) for url, value in values.items()}
        cache.set_many(said, timeout=int(usable(feed).total_seconds()))
        return
    rows = [FeedValue(feed=feed, digest=digest(url), value=value, fetched_at=now) for url, value in values.items()]
    FeedValue.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["feed", "digest"], update_fields=["value", "fetched_at"]
    )
    rows_of = FeedValue.objects.filter(feed=feed).order_by("-fetched_at", "-pk")
    if old := list(rows_of.values_list("pk", flat=True)[MOST_VALUES:]):
        FeedValue.objects.filter(pk__in=old).delete()


def _name(key: Key) -> str:
    return f"feed:{key[0]}:{key[1]}"


def is_resting(feed: Feed, now: datetime) -> bool:
    """Whether the feed failed so often that it is left alone for now."""
    return feed.open_until is not None and feed.open_until > now


def note(feed: Feed, errors: Iterable[str], answered: bool, now: datetime) -> None:
    """Remember how the calls of a batch went: a good one heals, failures add up across workers and open the breaker."""
    row, failed = Feed.objects.filter(pk=feed.pk), list(errors)
    if answered:
        row.update(failures=0, open_until=None, asked_at=now, answered_at=now, error=failed[-1] if failed else "")
        return
    if not failed:
        return
    row.update(failures=F("failures") + len(failed), asked_at=now, error=failed[-1])
    count = row.values_list("failures", flat=True).first() or 0
    if count >= TRIP:
        row.update(open_until=now + min(REST * 2 ** min(count - TRIP, 10), LONGEST_REST))
