"""Feeds: asked once per address and batch, cached, bounded, fenced in; what cannot be had makes its message wait."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections, transaction

from common import clock
from common.http import Answer
from messaging.feed import kept
from messaging.feed.address import faults, fill, is_allowed, is_personal
from messaging.feed.answer import DEPTH, OCTETS, PARTS, Unusable, read
from messaging.feed.feeding import WAIT, Feeding, feeds_used, obtain, try_now
from messaging.feed.fetch import AT_ONCE, Call, ask, fetch, secrets_read
from messaging.feed.flight import await_others
from messaging.linting import find_all
from messaging.models import Delivery, Feed, FeedCall, FeedValue
from messaging.outbox.ledger import Change
from messaging.outbox.parcels import read_parcels
from messaging.publish import preview_template, publish_template
from messaging.render import Rendered, RenderError, RenderJob, render_group
from tests.messages import make_topic
from tests.messaging.feeds import HOST, FeedServer, feed_server, home, make_feed, sleeping
from tests.messaging.mails import draft, publish, sent
from tests.people import NOW, make_profile

db = pytest.mark.django_db
real = pytest.mark.django_db(transaction=True)
PAGE = '<html><body><p>{}</p><a href="{{{{ links.unsubscribe }}}}">Leave</a></body></html>'
INSIDE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0", "::1", "::",
    "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def server(settings: Any) -> Iterator[FeedServer]:
    with feed_server(settings) as running:
        yield running


def call(url: str, **fields: Any) -> Call:
    return Call(
        fields.pop("feed", 1),
        url,
        fields.pop("headers", {}),
        fields.pop("pick", ""),
        fields.pop("patience", 0.5),
        **fields,
    )


def words(jobs: Sequence[RenderJob]) -> list[Rendered | RenderError]:
    """A renderer that shows the feeds it was given."""
    return [Rendered({"text": repr(job.context.get("feeds"))}) for job in jobs]


def jobs_of(version: int, people: Sequence[Mapping[str, Any]], **context: Any) -> list[RenderJob]:
    return [
        RenderJob(n + 1, f"m{n}", version, "en", {"profile": dict(person), **context})
        for n, person in enumerate(people)
    ]


def texts(pages: Sequence[Rendered | RenderError]) -> list[str]:
    return [page.parts["text"] if isinstance(page, Rendered) else f"! {page}" for page in pages]


# The fence: which addresses there may be, and where they may lead.


@pytest.mark.parametrize(
    ("entry", "host", "port", "allowed"),
    [
        ("api.shop.example", "api.shop.example", None, True),
        ("api.shop.example", "API.Shop.Example.", 443, True),
        ("api.shop.example", "x.api.shop.example", None, False),
        ("api.shop.example", "api.shop.example.evil.example", None, False),
        ("api.shop.example", "evilapi.shop.example", None, False),
        (".shop.example", "a.b.shop.example", None, True),
        (".shop.example", "shop.example", None, False),
        (".shop.example", "evilshop.example", None, False),
        ("api.shop.example", "api.shop.example", 8443, False),
        ("api.shop.example:8443", "api.shop.example", 8443, True),
        ("api.shop.example:8443", "api.shop.example", None, False),
        ("bücher.example", "xn--bcher-kva.example", None, True),
        ("", "api.shop.example", None, False),
        (".", "api.shop.example", None, False),
        ("*", "api.shop.example", None, False),
    ],
)
def test_only_listed_hosts_are_asked(settings: Any, entry: str, host: str, port: int | None, allowed: bool) -> None:
    settings.FEED_HOSTS = [entry]
    assert is_allowed(host, port) is allowed


def test_without_a_list_no_host_is_allowed(settings: Any) -> None:
    settings.FEED_HOSTS = []
    assert not is_allowed("api.shop.example", None)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.shop.example/x", "only https"),
        ("ftp://api.shop.example/x", "only https"),
        ("file:///etc/passwd", "only https"),
        ("https://user:pw@api.shop.example/", "no user name"),
        ("https:///x", "a host is needed"),
        ("https://{profile.city}.shop.example/", "never in the host"),
        ("https://api.shop.example:{event.port}/", "address"),
        ("{profile.scheme}://api.shop.example/", "never in the host"),
        ("https://api.shop.example@evil.example/", "no user name"),
        ("https://api.shop.example\\@evil.example/", "backslash"),
        ("https://api.shop.example/ x", "blank"),
        ("https://api.shop.example/#x", "#"),
        ("https://api.shop.example/{profile}", "no variable"),
        ("https://api.shop.example/{settings.SECRET_KEY}", "no variable"),
        ("https://api.shop.example/{profile.city", "brace"),
        ("https://127.0.0.1/x", "FEED_HOSTS"),
        ("https://2130706433/x", "FEED_HOSTS"),
        ("https://[::1]/x", "FEED_HOSTS"),
        ("https://evil.example/x", "FEED_HOSTS"),
        ("https://api.shop.example:22/x", "FEED_HOSTS"),
        ("https://[bad/x", "not an address"),
    ],
)
def test_an_address_that_could_lead_elsewhere_is_refused(settings: Any, url: str, reason: str) -> None:
    settings.FEED_HOSTS = ["api.shop.example"]
    assert any(reason in fault for fault in faults(url)), faults(url)


def test_a_good_address_has_no_fault(settings: Any) -> None:
    settings.FEED_HOSTS = ["api.shop.example"]
    for url in (
        "https://api.shop.example/v1/{profile.city}?l={locale}&e={event.properties.sku}",
        "https://api.shop.example",
    ):
        assert faults(url) == []


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("Suzhou", "https://a.example/c/Suzhou?q=1"),
        ("a/../b", "https://a.example/c/a%2F..%2Fb?q=1"),
        ("a?x=1&y#z", "https://a.example/c/a%3Fx%3D1%26y%23z?q=1"),
        ("苏州", "https://a.example/c/%E8%8B%8F%E5%B7%9E?q=1"),
        ("@evil.example", "https://a.example/c/%40evil.example?q=1"),
        ("x\r\nHost: evil", "https://a.example/c/x%0D%0AHost%3A%20evil?q=1"),
        ("{locale}", "https://a.example/c/%7Blocale%7D?q=1"),
        (7, "https://a.example/c/7?q=1"),
        ("..", None), (".", None), ("", None), ("  ", None), (None, None), (["a"], None), (True, None), ("x" * 201, None),
    ],
)  # fmt: skip
def test_a_persons_value_stays_where_it_was_put(value: Any, url: str | None) -> None:
    assert fill("https://a.example/c/{profile.city}?q=1", {"profile": {"city": value}}) == url


def test_only_the_language_is_nobodys_own() -> None:
    assert not is_personal("https://a.example/?l={locale}")
    assert is_personal("https://a.example/?l={locale}&c={profile.city}")


@pytest.mark.parametrize("address", INSIDE)
def test_a_listed_host_that_lies_inside_is_not_asked(settings: Any, address: str) -> None:
    settings.FEED_HOSTS = ["api.shop.example"]
    got = ask(call("https://api.shop.example/"), seconds=1, resolve=lambda host, port: [address])
    assert got.error == "the host lies inside a private network"


def test_a_name_that_changes_its_mind_is_asked_where_it_was_checked(server: FeedServer) -> None:
    server.says("/", {"n": 1})
    seen = []

    def rebinding(host: str, port: int) -> list[str]:
        seen.append(host)
        return ["127.0.0.1"] if len(seen) == 1 else ["10.0.0.1"]

    assert ask(call(server.url()), seconds=1, resolve=rebinding).value == {"n": 1}
    assert seen == [HOST]
    assert server.asked[0][1]["Host"] == f"{HOST}:{server.port}"


def test_a_redirect_is_not_followed(server: FeedServer) -> None:
    server.says("/", b"", 302, Location=server.url("/secret"))
    got = ask(call(server.url()), seconds=1, resolve=home)
    assert got.error == "HTTP 302 (a redirect is not followed)"
    assert server.paths == ["/"]


def test_a_row_older_than_the_list_is_not_asked(server: FeedServer, settings: Any) -> None:
    settings.FEED_HOSTS = ["other.example"]
    assert ask(call(server.url()), seconds=1, resolve=home).error == "the host is not in FEED_HOSTS"
    assert server.asked == []


# Secrets.


def test_a_secret_comes_from_the_environment_and_only_from_feeds_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("FEED_SHOP_KEY", "Bearer s3cret")
    monkeypatch.setenv("SECRET_KEY", "the house's own")
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("FEED_FILE_KEY_FILE", str(tmp_path / "key"))
    said = secrets_read({"Authorization_env": "FEED_SHOP_KEY", "X-Key_env": "FEED_FILE_KEY", "X-Plain": "1"})
    assert said == {"Authorization": "Bearer s3cret", "X-Key": "from a file", "X-Plain": "1"}
    for name in ("SECRET_KEY", "FEED_NOT_SET"):
        with pytest.raises(Unusable, match="not set in the environment"):
            secrets_read({"Authorization_env": name})


def test_a_secret_reaches_the_server_and_no_error(server: FeedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEED_SHOP_KEY", "Bearer s3cret")
    server.says("/", {}, 500)
    got = ask(call(server.url(), headers={"Authorization_env": "FEED_SHOP_KEY"}), seconds=1, resolve=home)
    assert server.asked[0][1]["Authorization"] == "Bearer s3cret"
    assert got.error == "HTTP 500"


# What comes back.


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "not JSON"), (b"", "not JSON"), (b"\xff\xfe", "not JSON"), (b'{"a": NaN}', "not JSON"),
        (b'{"a": 1e999}', "too large"), (b"1" * 5000, "not JSON"), (b'{"a": 10000000000000001}', "too large"),
        (nested(100_000)[:OCTETS].encode(), "not JSON"), (nested(DEPTH + 1).encode(), "deeper than 8"),
        (("[" + ",".join(["1"] * PARTS) + "]").encode(), "more than 5000"),
    ],
)  # fmt: skip
def test_an_answer_out_of_bounds_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        read(Answer(200, {}, body, False), "")


def test_an_answer_at_the_bounds_is_taken_and_cleaned() -> None:
    assert read(Answer(200, {}, nested(DEPTH).encode(), False), "") == [[[[[[[[]]]]]]]]
    assert read(Answer(200, {}, b'\xef\xbb\xbf{"a\\u0000": "\\ud800\\u0000x"}', False), "") == {
        "a\ufffd": "\ufffd\ufffdx"
    }


def test_a_part_is_taken() -> None:
    answer = Answer(200, {}, b'{"data": {"items": [{"n": 1}, {"n": 2}]}}', False)
    assert read(answer, "data.items.1.n") == 2
    assert read(answer, "data.items") == [{"n": 1}, {"n": 2}]
    for wrong in ("data.nothing", "data.items.7", "data.items.-1", "data.items.x"):
        with pytest.raises(Unusable, match="there is no"):
            read(answer, wrong)


def test_size_is_bounded_also_unpacked(server: FeedServer) -> None:
    server.says("/large", b'"' + b"x" * OCTETS + b'"')
    server.says("/bomb", gzip.compress(b"x" * 30_000_000), 200, Content_Encoding="gzip")
    for path in ("/large", "/bomb"):
        assert ask(call(server.url(path)), seconds=2, resolve=home).error == "longer than 64 KiB"


# Time.


def test_a_batch_ends_in_its_time_however_slow_the_server(server: FeedServer) -> None:
    server.does("/", sleeping(3))
    began = time.monotonic()
    got = fetch([call(server.url(f"/?n={n}"), trip=99) for n in range(40)], seconds=1.0, resolve=home)
    assert time.monotonic() - began < 2
    assert len(got) == 40
    assert {one.error for one in got} <= {
        "the answer took too long",
        "ReadTimeout",
        "not asked: no time left, or the server fails",
    }
    assert sum(one.later for one in got) >= 20


def test_a_failing_server_is_not_asked_a_hundred_times(server: FeedServer) -> None:
    server.says("/", {}, 503)
    got = fetch([call(server.url(f"/?n={n}")) for n in range(100)], resolve=home)
    assert kept.TRIP <= sum(not one.later for one in got) <= kept.TRIP + AT_ONCE
    assert len(server.asked) <= kept.TRIP + AT_ONCE
    assert all(one.error for one in got)


def test_calls_of_a_batch_go_side_by_side(server: FeedServer) -> None:
    server.does("/", sleeping(0.5))
    began = time.monotonic()
    got = fetch([call(server.url(f"/?n={n}"), patience=5) for n in range(8)], resolve=home)
    assert [one.value for one in got] == [{}] * 8
    assert time.monotonic() - began < 3  # one after another: 4


# Several workers at once.


def slowly(value: Any, seconds: float) -> Any:
    """An answer that takes its time."""

    def act(handler: Any) -> None:
        time.sleep(seconds)
        body = json.dumps(value).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return act


def at_once(count: int, work: Callable[[], Any]) -> list[Any]:
    """What `count` threads, each with a connection of its own and all let go together, got."""
    gate = Barrier(count)

    def one(_: int) -> Any:
        try:
            gate.wait()
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


@real
@pytest.mark.parametrize("path", ["/news", "/news?c={profile.city}"])
def test_of_many_workers_one_asks_and_the_others_wait(server: FeedServer, path: str) -> None:
    server.does("/news", slowly({"title": "Ferns"}, 0.6))
    make_feed("news", server.url(path), timeout=4000)
    version = publish(PAGE.format("{{ feeds.news.title }}")).pk
    jobs = jobs_of(version, [{"city": "Suzhou"}])
    got = at_once(6, lambda: texts(Feeding(words, NOW, home)(jobs)))
    assert got == [["{'news': {'title': 'Ferns'}}"]] * 6
    assert len(server.asked) == 1
    assert not FeedCall.objects.exists()


@real
def test_while_one_asks_the_others_take_the_older_answer(server: FeedServer) -> None:
    feed = make_feed("news", server.url("/news"), ttl=60, timeout=4000)
    wanted = {("news", feed.url): feed}
    server.says("/news", "old")
    assert list(obtain(wanted, now=NOW, resolve=home).values()) == ["old"]
    server.does("/news", slowly("new", 0.6))
    got = at_once(6, lambda: list(obtain(wanted, now=NOW + timedelta(seconds=61), resolve=home).values()))
    assert sorted(got) == [["new"], *[["old"]] * 5]
    assert len(server.asked) == 2
    assert list(obtain(wanted, now=NOW + timedelta(seconds=62), resolve=home).values()) == ["new"]


@real
def test_a_failure_of_the_one_who_asks_ends_the_waiting(server: FeedServer) -> None:
    def failing(handler: Any) -> None:
        time.sleep(0.6)
        handler.send_error(503)

    server.does("/news", failing)
    feed = make_feed("news", server.url("/news"), timeout=4000)
    got = at_once(4, lambda: obtain({("news", feed.url): feed}, now=NOW, resolve=home))
    assert got == [{}] * 4
    feed.refresh_from_db()
    assert (len(server.asked), feed.failures) == (1, 1)


@real
def test_a_worker_that_died_while_it_asked_holds_nobody_up(server: FeedServer) -> None:
    server.says("/news", "new")
    feed = make_feed("news", server.url("/news"))
    wanted = {("news", feed.url): feed}
    digest = kept.digest(feed.url)
    FeedCall.objects.create(feed=feed, digest=digest, token="dead", until=clock.database_now() - timedelta(seconds=1))
    assert list(obtain(wanted, now=NOW, resolve=home).values()) == ["new"]
    assert not FeedCall.objects.exists()
    FeedCall.objects.create(feed=feed, digest=digest, token="dead", until=clock.database_now() + timedelta(minutes=5))
    assert await_others({(feed.pk, "0" * 64): feed}, ends=time.monotonic() + 60) == {}
    assert await_others({(feed.pk, digest): feed}, ends=0)[feed.pk, digest].value == "new"


# Feeds for a batch.


@real
def test_a_shared_feed_is_asked_once_for_all_and_again_when_it_is_old(server: FeedServer) -> None:
    server.says("/news", {"title": "Ferns"})
    make_feed("news", server.url("/news"), ttl=300)
    version = publish(PAGE.format("{{ feeds.news.title }}")).pk
    people = [{"first_name": f"N{n}"} for n in range(30)]
    feeding = Feeding(words, NOW, home)
    assert texts(feeding(jobs_of(version, people))) == ["{'news': {'title': 'Ferns'}}"] * 30
    assert server.paths == ["/news"]
    server.says("/news", {"title": "Moss"})
    later = Feeding(words, NOW + timedelta(seconds=299), home)
    assert texts(later(jobs_of(version, people[:1]))) == ["{'news': {'title': 'Ferns'}}"]
    later = Feeding(words, NOW + timedelta(seconds=300), home)
    assert texts(later(jobs_of(version, people[:1]))) == ["{'news': {'title': 'Moss'}}"]
    assert server.paths == ["/news", "/news"]
    feed = Feed.objects.get()
    assert (feed.failures, feed.error, feed.answered_at) == (0, "", NOW + timedelta(seconds=300))
    assert FeedValue.objects.get().value == {"title": "Moss"}


@real
def test_a_personal_feed_is_asked_once_per_address_and_leaves_no_row(server: FeedServer) -> None:
    server.says("/weather", {"sky": "clear"})
    make_feed("weather", server.url("/weather?c={profile.city}&l={locale}"))
    version = publish(PAGE.format("{{ feeds.weather.sky }}")).pk
    people = [{"city": ["Suzhou", "Kiel", "Leeds"][n % 3]} for n in range(60)]
    assert set(texts(Feeding(words, NOW, home)(jobs_of(version, people)))) == {"{'weather': {'sky': 'clear'}}"}
    assert sorted(server.paths) == ["/weather?c=Kiel&l=en", "/weather?c=Leeds&l=en", "/weather?c=Suzhou&l=en"]
    Feeding(words, NOW + timedelta(seconds=10), home)(jobs_of(version, people))
    assert len(server.asked) == 3
    assert FeedValue.objects.count() == 0


@db
def test_what_was_asked_for_a_person_is_kept_a_day_at_most() -> None:
    mine = make_feed("mine", "https://api.shop.example/?c={profile.city}", ttl=300, stale=7 * 86400)
    shared = make_feed("shared", "https://api.shop.example/", ttl=300, stale=7 * 86400)
    assert (kept.usable(mine), kept.usable(shared)) == (timedelta(days=1), timedelta(days=7, seconds=300))
    kept.keep(mine, {"https://api.shop.example/?c=Kiel": {"sky": "clear"}}, NOW)
    key = (mine.pk, kept.digest("https://api.shop.example/?c=Kiel"))
    assert kept.recall({key: mine}, NOW + timedelta(hours=23))[key].value == {"sky": "clear"}
    assert kept.recall({key: mine}, NOW + timedelta(hours=25)) == {}
    assert FeedValue.objects.count() == 0


@real
def test_a_person_without_what_the_address_needs_gets_the_fallback_or_an_error(server: FeedServer) -> None:
    server.says("/w", {"sky": "clear"})
    feed = make_feed("w", server.url("/w?c={profile.city}"), fallback={"sky": "any"})
    version = publish(PAGE.format("{{ feeds.w.sky }}")).pk
    jobs = jobs_of(version, [{"city": "Kiel"}, {"city": ""}, {}])
    assert texts(Feeding(words, NOW, home)(jobs)) == ["{'w': {'sky': 'clear'}}"] + ["{'w': {'sky': 'any'}}"] * 2
    Feed.objects.filter(pk=feed.pk).update(fallback=None)
    said = Feeding(words, NOW, home)(jobs)
    assert texts(said)[1] == "! the feed 'w' needs what this person does not have, and has no fallback"
    assert isinstance(said[1], RenderError)
    assert said[1].permanent


@real
def test_a_stale_value_serves_while_the_server_fails_but_not_for_ever(server: FeedServer) -> None:
    server.says("/", {"n": 1})
    make_feed("f", server.url(), ttl=60, stale=3600)
    version = publish(PAGE.format("{{ feeds.f.n }}")).pk
    jobs = jobs_of(version, [{}])
    Feeding(words, NOW, home)(jobs)
    server.says("/", {}, 500)
    for after in (61, 3659):
        assert texts(Feeding(words, NOW + timedelta(seconds=after), home)(jobs)) == ["{'f': {'n': 1}}"]
    feeding = Feeding(words, NOW + timedelta(seconds=3661), home)
    assert texts(feeding(jobs)) == ["! the feed 'f' gives no answer"]
    assert feeding.waiting == {1: "f"}
    assert Feed.objects.get().error == "HTTP 500"


@real
def test_the_breaker_opens_rests_probes_once_and_heals(server: FeedServer) -> None:
    server.says("/", {}, 500)
    make_feed("f", server.url("/?c={profile.city}"), fallback={"n": 0})
    version = publish(PAGE.format("{{ feeds.f.n }}")).pk

    def look(now: datetime, count: int) -> set[str]:
        return set(texts(Feeding(words, now, home)(jobs_of(version, [{"city": f"c{n}"} for n in range(count)]))))

    for n in range(kept.TRIP):
        assert look(NOW + timedelta(seconds=n), 1) == {"{'f': {'n': 0}}"}
    opened = NOW + timedelta(seconds=kept.TRIP - 1)
    assert Feed.objects.get().open_until == opened + kept.REST
    asked = len(server.asked)
    look(opened + timedelta(seconds=59), 20)
    assert len(server.asked) == asked == kept.TRIP
    look(opened + kept.REST, 1)
    assert (len(server.asked), Feed.objects.get().failures) == (asked + 1, kept.TRIP + 1)
    assert Feed.objects.get().open_until == opened + kept.REST + 2 * kept.REST
    server.says("/", {"n": 1})
    assert look(opened + 4 * kept.REST, 3) == {"{'f': {'n': 1}}"}
    feed = Feed.objects.get()
    assert (feed.failures, feed.open_until, feed.error) == (0, None, "")


@real
def test_only_the_message_whose_feed_is_silent_waits(server: FeedServer) -> None:
    make_feed("dead", server.url("/dead"))
    dead = publish(PAGE.format("{{ feeds.dead.n }}"), key="one").pk
    plain = publish(PAGE.format("Hello"), key="two").pk
    jobs = [RenderJob(1, "a", dead, "en", {}), RenderJob(2, "b", plain, "en", {}), RenderJob(3, "c", 999_999, "en", {})]
    feeding = Feeding(words, NOW, home)
    assert texts(feeding(jobs)) == ["! the feed 'dead' gives no answer", "None", "None"]
    given = [Change(1, "planned", "render:FeedMissing"), Change(3, "render_failed", "no version")]
    assert feeding.held(given) == [Change(1, "held", "feed:dead", not_before=NOW + WAIT), given[1]]


@real
def test_a_feed_that_is_off_or_unknown_is_not_asked(server: FeedServer) -> None:
    feed = make_feed("f", server.url(), fallback={"n": 0}, active=False)
    version = publish(PAGE.format("{{ feeds.f.n }}")).pk
    assert texts(Feeding(words, NOW, home)(jobs_of(version, [{}]))) == ["{'f': {'n': 0}}"]
    feed.delete()
    assert texts(Feeding(words, NOW, home)(jobs_of(version, [{}]))) == ["! there is no feed 'f'"]
    assert server.asked == []


@real
def test_messages_without_feeds_cost_no_statement(django_assert_num_queries: Any) -> None:
    version = publish(PAGE.format("Hello")).pk
    feeding, jobs = Feeding(words, NOW, home), jobs_of(version, [{}] * 50)
    feeding(jobs)
    with django_assert_num_queries(0):
        feeding(jobs)


@real
def test_statements_of_a_batch_do_not_grow_with_its_people(
    server: FeedServer, django_assert_max_num_queries: Any
) -> None:
    server.says("/", {"n": 1})
    make_feed("a", server.url("/?p={profile.public_id}"))
    make_feed("b", server.url("/?l={locale}"))
    version = publish(PAGE.format("{{ feeds.a.n }}{{ feeds.b.n }}")).pk
    jobs = jobs_of(version, [{"public_id": f"p{n}"} for n in range(100)])
    with django_assert_max_num_queries(15):  # three of them say who asks
        assert set(texts(Feeding(words, NOW, home)(jobs))) == {"{'a': {'n': 1}, 'b': {'n': 1}}"}
    assert len(server.asked) == 101


@db
def test_nothing_is_asked_inside_a_transaction(server: FeedServer) -> None:
    feed = make_feed("f", server.url())
    with pytest.raises(RuntimeError, match="inside a transaction"), transaction.atomic():
        obtain({("f", server.url()): feed}, now=NOW, resolve=home)
    assert server.asked == []


# Templates with feeds.


@real
def test_a_message_shows_its_feed_escaped_and_the_page_in_the_browser_shows_it_again(server: FeedServer) -> None:
    server.says("/news", {"items": [{"t": "<b>Ferns</b>"}, {"t": "{{ 7 * 7 }}"}]})
    make_feed("news", server.url("/news"), pick="items", sample=[{"t": "Sample"}])
    version = publish(PAGE.format("{% for item in feeds.news %}<i>{{ item.t }}</i>{% endfor %}"))
    row = sent(make_profile(email="a@example.com"), version)
    (job,) = [parcel.job for parcel in read_parcels([row.pk])]
    assert feeds_used(job) == {"news"}
    (page,) = Feeding(render_group, NOW, home)([job])
    assert isinstance(page, Rendered), page
    assert "<i>&lt;b&gt;Ferns&lt;/b&gt;</i><i>{{ 7 * 7 }}</i>" in page.parts["html"]
    (again,) = render_group([job])
    assert isinstance(again, Rendered)
    assert "Ferns" in again.parts["html"]
    assert server.paths == ["/news"]
    FeedValue.objects.all().delete()
    (lost,) = render_group([job])
    assert isinstance(lost, RenderError), "a sample is never shown to a person"


@db
def test_a_draft_is_tried_with_the_sample_and_lints_say_what_is_missing() -> None:
    template = draft(PAGE.format("{{ feeds.news.title }} {{ feeds.gone.x | default('') }}"), topic=make_topic())
    feed = make_feed("news", "https://api.shop.example/", sample={"title": "Sample"})
    said = {(one.severity.value, one.message) for one in find_all(template) if one.lint == "feeds"}
    assert said == {
        ("error", "there is no feed 'gone'"),
        ("warning", "the feed 'news' has no fallback: while its server is silent these messages wait"),
    }
    template.content["en"]["html"] = PAGE.format("{{ feeds.news.title }}")
    assert "Sample" in preview_template(template, locale="en").parts["html"]
    template.sample = {"feeds": {"news": {"title": "Own sample"}}}
    assert "Own sample" in preview_template(template, locale="en").parts["html"]
    template.sample, feed.sample, feed.fallback, feed.active = {}, None, {"title": "Fallback"}, False
    feed.save()
    assert "Fallback" in preview_template(template, locale="en").parts["html"]
    assert [one.message for one in find_all(template) if one.lint == "feeds"] == ["the feed 'news' is switched off"]
    template.save()
    assert publish_template(template, now=NOW).number == 1


@db
def test_a_feed_that_cannot_be_read_beforehand_is_an_error() -> None:
    template = draft(PAGE.format("{% for one in feeds %}{{ one }}{% endfor %}"), topic=make_topic())
    said = [one.message for one in find_all(template) if one.lint == "feeds"]
    assert said == ["say which feed: feeds.key"]


@real
def test_an_operator_asks_once_with_sample_data_and_keeps_the_answer_as_sample(server: FeedServer) -> None:
    server.says("/w", {"sky": "clear"})
    feed = make_feed("w", server.url("/w?c={profile.city}"))
    assert (
        try_now(feed, {"profile": {}}, now=NOW, resolve=home).error == "the sample data lack a variable of the address"
    )
    assert try_now(feed, {"profile": {"city": "Suzhou"}}, now=NOW, resolve=home).value == {"sky": "clear"}
    assert server.paths == ["/w?c=Suzhou"]
    assert Feed.objects.get().sample == {"sky": "clear"}
    server.says("/w", {}, 500)
    assert try_now(feed, {"profile": {"city": "Suzhou"}}, now=NOW, resolve=home).error == "HTTP 500"
    feed.refresh_from_db()
    assert (feed.sample, feed.error, feed.failures) == ({"sky": "clear"}, "HTTP 500", 1)


@db
def test_values_of_a_shared_feed_stay_few() -> None:
    feed = make_feed("f", "https://api.shop.example/?l={locale}")
    for n in range(kept.MOST_VALUES + 5):
        kept.keep(feed, {f"https://api.shop.example/?l=x{n}": n}, NOW + timedelta(seconds=n))
    assert FeedValue.objects.count() == kept.MOST_VALUES
    assert FeedValue.objects.order_by("fetched_at").values_list("value", flat=True)[0] == 5
    assert Delivery.objects.count() == 0
