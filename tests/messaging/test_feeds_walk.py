"""A message with feeds on its whole way through the outbox: shown, held while a server is silent, sent when it speaks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache

from messaging.feed.feeding import WAIT
from messaging.models import Delivery, Feed
from messaging.outbox.send import SendReport, send_due
from messaging.outbox.sweep import sweep
from messaging.reasons import in_words
from tests.messages import make_account, make_readers, queue_to
from tests.messaging.feeds import FeedServer, feed_server, known_here, make_feed
from tests.messaging.mails import publish

pytestmark = pytest.mark.django_db(transaction=True)
LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}
PAGE = '<html><body><p>{}</p><a href="{{{{ links.unsubscribe }}}}">Leave</a></body></html>'


@pytest.fixture
def server(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedServer]:
    cache.clear()
    known_here(monkeypatch)
    with feed_server(settings) as running:
        yield running
    cache.clear()


def send(now: datetime) -> SendReport:
    return send_due(worker="test", now_fn=lambda: now)


def test_each_person_gets_their_own_and_all_share_the_rest(server: FeedServer, now: datetime) -> None:
    server.says("/news", {"title": "Ferns & moss"})
    server.does("/sky", _echo)
    make_feed("news", server.url("/news"))
    make_feed("weather", server.url("/sky?c={profile.city}"))
    make_account(transport="backend", settings=LOCMEM)
    people = make_readers(2, now=now, prefix="kiel", city="Kiel") + make_readers(
        1, now=now, prefix="suzhou", city="苏州"
    )
    version = publish(PAGE.format("{{ feeds.news.title }}: {{ feeds.weather.sky }}"), now=now)
    queue_to(people, version, now=now)
    assert send(now).states == {"accepted": 3}
    bodies = {message.to[0].rpartition("<")[2].split("-")[0]: message.alternatives[0][0] for message in mail.outbox}
    assert "Ferns &amp; moss: c=Kiel" in bodies["kiel"]
    assert "Ferns &amp; moss: c=%E8%8B%8F%E5%B7%9E" in bodies["suzhou"]
    assert sorted(server.paths) == ["/news", "/sky?c=%E8%8B%8F%E5%B7%9E", "/sky?c=Kiel"]


def _echo(handler: Any) -> None:
    body = b'{"sky": "%s"}' % handler.path.partition("?")[2].encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_silent_feed_holds_its_message_and_costs_it_nothing(server: FeedServer, now: datetime) -> None:
    server.says("/news", {}, 503)
    make_feed("news", server.url("/news"))
    make_account(transport="backend", settings=LOCMEM)
    with_feed = publish(PAGE.format("{{ feeds.news.title }}"), now=now, key="with")
    without = publish(PAGE.format("Hello"), now=now, key="without")
    first, second = make_readers(2, now=now)
    queue_to([first], with_feed, now=now)
    queue_to([second], without, now=now)
    assert send(now).states == {"held": 1, "accepted": 1}
    row = Delivery.objects.get(profile=first)
    assert (row.state, row.reason, row.not_before, row.attempts) == ("held", "feed:news", now + WAIT, 0)
    assert in_words(row.reason) == "its feed gives no answer: news"
    claims = row.claims
    for n in range(1, 8):
        sweep(now + n * WAIT)
        assert send(now + n * WAIT).states == {"held": 1}
    assert len(mail.outbox) == 1
    server.says("/news", {"title": "Ferns"})
    later = now + timedelta(hours=2)
    sweep(later)
    assert send(later).states == {"accepted": 1}
    row.refresh_from_db()
    assert (row.state, row.attempts, row.claims) == ("accepted", 1, claims)
    assert "Ferns" in mail.outbox[1].alternatives[0][0]
    assert Feed.objects.get().failures == 0


def test_a_message_whose_feed_stays_silent_expires(server: FeedServer, now: datetime) -> None:
    make_feed("news", server.url("/nothing"))
    make_account(transport="backend", settings=LOCMEM)
    version = publish(PAGE.format("{{ feeds.news.title }}"), now=now)
    queue_to(make_readers(1, now=now), version, now=now, expires_at=now + timedelta(minutes=3))
    assert send(now).states == {"held": 1}
    sweep(now + timedelta(minutes=4))
    assert Delivery.objects.get().state == "expired"
    assert mail.outbox == []


def test_a_fallback_is_sent_when_there_is_no_answer(server: FeedServer, now: datetime) -> None:
    make_feed("news", server.url("/nothing"), fallback={"title": "See what is new"})
    make_account(transport="backend", settings=LOCMEM)
    queue_to(make_readers(1, now=now), publish(PAGE.format("{{ feeds.news.title }}"), now=now), now=now)
    assert send(now).states == {"accepted": 1}
    assert "See what is new" in mail.outbox[0].alternatives[0][0]
