"""Feeds for a batch of messages: asked once per address before the batch is rendered, and put among the variables.

What cannot be had now and has no fallback makes its message wait, and no other.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from common import http
from messaging.feed import kept
from messaging.feed.address import fill
from messaging.feed.fetch import SECONDS, Call, Got, fetch
from messaging.feed.flight import await_others, flight
from messaging.feed.kept import Key, Value, digest
from messaging.models.feeds import Feed
from messaging.outbox.ledger import Change
from messaging.render.contract import Rendered, RenderError, RenderJob
from messaging.render.versions import versions

Render = Callable[[Sequence[RenderJob]], Sequence[Rendered | RenderError]]
WAIT = timedelta(minutes=2)  # until a message whose feed is silent is tried again
REASON = "feed"


class FeedMissing(RenderError):
    """There is no answer, none kept and no fallback: nothing is wrong with the message."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the feed '{key}' gives no answer", permanent=False)
        self.key = key


@dataclass
class Feeding:
    """A renderer that first gives each job its feeds. `waiting` remembers whose feed was silent, by delivery."""

    render: Render
    now: datetime
    resolve: http.Resolve = http.resolve
    waiting: dict[int, str] = field(default_factory=dict)

    def __call__(self, jobs: Sequence[RenderJob]) -> list[Rendered | RenderError]:
        """As the renderer within: one Rendered or RenderError per job, in order. Statements only if a feed is used."""
        wanted = [feeds_used(job) for job in jobs]
        if not any(wanted):
            return list(self.render(jobs))
        fed = _feed(jobs, wanted, self.now, self.resolve)
        self.waiting |= {
            job.delivery: one.key for job, one in zip(jobs, fed, strict=True) if isinstance(one, FeedMissing)
        }
        ready = [one for one in fed if isinstance(one, RenderJob)]
        pages = iter(self.render(ready) if ready else [])
        return [next(pages) if isinstance(one, RenderJob) else one for one in fed]

    def held(self, changes: Sequence[Change]) -> list[Change]:
        """The changes of what could not be rendered; a message whose feed was silent is held: it costs it nothing."""
        return [
            Change(one.id, "held", f"{REASON}:{self.waiting[one.id]}", not_before=self.now + WAIT)
            if one.id in self.waiting
            else one
            for one in changes
        ]


def feeds_used(job: RenderJob) -> frozenset[str]:
    """Keys of the feeds that this message's variant shows."""
    version = versions({job.version}).get(job.version)
    try:
        return version.variant(job.locale).feeds if version is not None else frozenset()
    except RenderError:  # it will be said by the renderer
        return frozenset()


def _feed(
    jobs: Sequence[RenderJob], wanted: Sequence[frozenset[str]], now: datetime, resolve: http.Resolve
) -> list[RenderJob | RenderError]:
    """Each job with its feeds in its variables, or why it cannot have them."""
    feeds = kept.feeds_of(frozenset().union(*wanted))
    asked = [
        {key: fill(feeds[key].url, {**job.context, "locale": job.locale}) for key in keys if key in feeds}
        for job, keys in zip(jobs, wanted, strict=True)
    ]
    addresses = {(key, url) for one in asked for key, url in one.items() if url is not None}
    values = obtain({(key, url): feeds[key] for key, url in addresses}, now=now, resolve=resolve)
    return [_given(job, keys, urls, feeds, values) for job, keys, urls in zip(jobs, wanted, asked, strict=True)]


def _given(
    job: RenderJob,
    keys: frozenset[str],
    urls: Mapping[str, str | None],
    feeds: Mapping[str, Feed],
    values: Mapping[tuple[str, str], Any],
) -> RenderJob | RenderError:
    found: dict[str, Any] = {}
    for key in sorted(keys):
        feed, url = feeds.get(key), urls.get(key)
        if feed is None:
            return RenderError(f"there is no feed '{key}'")
        if url is not None and (key, url) in values:
            found[key] = values[key, url]
        elif feed.fallback is not None:
            found[key] = feed.fallback
        elif url is None:
            return RenderError(f"the feed '{key}' needs what this person does not have, and has no fallback")
        else:
            return FeedMissing(key)
    return replace(job, context={**job.context, "feeds": found}) if found else job


def obtain(
    wanted: Mapping[tuple[str, str], Feed], *, now: datetime, resolve: http.Resolve = http.resolve
) -> dict[tuple[str, str], Any]:
    """Values by (feed's key, address): fresh ones from what is kept, others asked for, stale ones where that fails.

    Raises RuntimeError inside a transaction: nothing goes over the network there.
    """
    if transaction.get_connection().in_atomic_block:
        raise RuntimeError("feeds are never asked inside a transaction")
    ends = time.monotonic() + SECONDS
    keys: dict[tuple[str, str], Key] = {one: (feed.pk, digest(one[1])) for one, feed in wanted.items()}
    feeds = {keys[one]: feed for one, feed in wanted.items()}
    old = kept.recall(feeds, now)
    due = {key: feed for key, feed in feeds.items() if _is_due(feed, old.get(key), now)}
    if due:
        new, others = _ask(due, {key: one for one, key in keys.items()}, now, resolve)
        old |= new
        old |= await_others({key: feed for key, feed in others.items() if key not in old}, ends=ends)
    return {one: old[key].value for one, key in keys.items() if key in old}


def _ask(
    due: Mapping[Key, Feed], addresses: Mapping[Key, tuple[str, str]], now: datetime, resolve: http.Resolve
) -> tuple[dict[Key, Value], dict[Key, Feed]]:
    """What there is now of the addresses that nobody else is asking, and those that somebody is."""
    with flight(due) as ours:
        found = kept.recall({key: due[key] for key in ours}, now)  # another may have ended since we looked
        calls = [key for key in due if key in ours and _is_due(due[key], found.get(key), now)]
        got = dict(zip(calls, fetch([_call(addresses[key], due[key]) for key in calls], resolve=resolve), strict=True))
        _remember({addresses[key]: one for key, one in got.items()}, {addresses[key]: due[key] for key in calls}, now)
    found |= {key: Value(one.value, now) for key, one in got.items() if not one.error}
    return found, {key: feed for key, feed in due.items() if key not in ours}


def _is_due(feed: Feed, old: Value | None, now: datetime) -> bool:
    if not feed.active or kept.is_resting(feed, now):
        return False
    return old is None or not kept.is_fresh(old, feed, now)


def _call(one: tuple[str, str], feed: Feed) -> Call:
    """A feed that failed before is probed by one call."""
    trip = 1 if feed.failures >= kept.TRIP else kept.TRIP
    return Call(feed.pk, one[1], feed.headers, feed.pick, feed.timeout / 1000, trip)


def _remember(got: Mapping[tuple[str, str], Got], wanted: Mapping[tuple[str, str], Feed], now: datetime) -> None:
    """Store values and health, feed by feed."""
    by_feed: dict[int, dict[str, Got]] = defaultdict(dict)
    feeds = {}
    for one, answer in got.items():
        if not answer.later:
            feeds[wanted[one].pk] = wanted[one]
            by_feed[wanted[one].pk][one[1]] = answer
    for pk, answers in by_feed.items():
        good = {url: answer.value for url, answer in answers.items() if not answer.error}
        if good:
            kept.keep(feeds[pk], good, now)
        kept.note(feeds[pk], [answer.error for answer in answers.values() if answer.error], bool(good), now)


def try_now(feed: Feed, variables: Mapping[str, Any], *, now: datetime, resolve: http.Resolve = http.resolve) -> Got:
    """Ask a feed once, whatever is kept, with sample variables; a good answer becomes its sample. For operators."""
    url = fill(feed.url, variables)
    if url is None:
        return Got(error="the sample data lack a variable of the address")
    (got,) = fetch([_call((feed.key, url), feed)], resolve=resolve)
    _remember({(feed.key, url): got}, {(feed.key, url): feed}, now)
    if not got.error:
        Feed.objects.filter(pk=feed.pk).update(sample=got.value)
    return got
