"""Calls become people, facts and traits: once each, in sets, and nothing on a replay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from segments.ingest import ingest
from segments.models import Event, EventStats, Identity, Profile, RejectedRow, Trait
from tests.people import NOW, make_profile, make_source

pytestmark = pytest.mark.django_db


def take(*calls: dict[str, Any], now: datetime = NOW, **also: Any) -> list[str]:
    """Status of each call, or its code where it was refused."""
    results = ingest(calls, source=also.pop("source", None) or make_source(), now=now, **also)
    assert [result.index for result in results] == list(range(len(calls)))
    return [result.code or result.status for result in results]


def identify(user: str = "", key: str = "", **traits: Any) -> dict[str, Any]:
    return {"type": "identify", "userId": user, "messageId": key or f"i-{user}-{sorted(traits)}", "traits": traits}


def track(event: str, key: str, **also: Any) -> dict[str, Any]:
    return {"type": "track", "event": event, "messageId": key, "userId": "mei", **also}


def test_a_person_is_made_with_typed_columns_and_open_traits() -> None:
    said = {
        "email": " Mei@Example.COM ",
        "firstName": "Mei",
        "lastName": "Li",
        "phone": "+86 138 0013 8000",
        "language": "zh_hans_cn",
        "timezone": "asia/shanghai",
        "address": {"country": "cn", "city": "上海"},
        "birthday": "1990-02-28",
        "createdAt": "2026-02-01T08:00:00+08:00",
        "plan": "gold",
        "visits": 7,
    }
    assert take(identify("mei", **said)) == ["stored"]
    mei = Profile.objects.get()
    assert (mei.email, mei.first_name, mei.last_name, mei.phone) == ("mei@example.com", "Mei", "Li", "+8613800138000")
    assert (mei.locale, mei.timezone, mei.country, mei.city) == ("zh-Hans-CN", "Asia/Shanghai", "CN", "上海")
    assert mei.birthday is not None
    assert mei.birthday.isoformat() == "1990-02-28"
    assert mei.registered_at == datetime(2026, 2, 1, tzinfo=UTC)
    assert mei.traits == {"plan": "gold", "visits": 7, "address": {"country": "cn", "city": "上海"}}
    assert set(Identity.objects.values_list("kind", "value")) == {
        ("user_id", "mei"),
        ("email", "mei@example.com"),
        ("phone", "+8613800138000"),
    }
    event = Event.objects.get()
    assert (event.name, event.kind, event.profile_id, event.shard) == ("identify", "identify", mei.pk, mei.shard)


def test_values_that_fail_their_column_stay_as_they_came() -> None:
    take(identify("mei", email="not an address", timezone="Mars/Olympus", country="Germany", phone="12", birthday="?"))
    mei = Profile.objects.get()
    assert (mei.email, mei.timezone, mei.country, mei.phone, mei.birthday) == ("", "", "", "", None)
    assert mei.traits == {
        "email": "not an address",
        "timezone": "Mars/Olympus",
        "country": "Germany",
        "phone": "12",
        "birthday": "?",
    }


def test_later_traits_win_null_forgets_and_a_replay_changes_nothing() -> None:
    first = identify("mei", "k1", plan="gold", city="Bonn", size=3)
    assert take(first) == ["stored"]
    assert take(identify("mei", "k2", plan="silver", city=None, size=None)) == ["stored"]
    assert take(first) == ["known"]
    mei = Profile.objects.get()
    assert (mei.traits, mei.city) == ({"plan": "silver"}, "")
    assert Event.objects.count() == 2


def test_a_message_id_counts_once_within_and_across_batches() -> None:
    assert take(track("Viewed", "a"), track("Viewed", "a"), track("Viewed", "b")) == ["stored", "known", "stored"]
    assert take(track("Viewed", "b"), track("Viewed", "c")) == ["known", "stored"]
    assert EventStats.objects.get(name="Viewed").count == 3


def test_without_a_message_id_the_text_is_the_key() -> None:
    call = {"type": "track", "event": "Viewed", "userId": "mei", "timestamp": "2026-03-02T11:00:00Z"}
    assert take(call, dict(call), {**call, "timestamp": "2026-03-02T11:00:01Z"}) == ["stored", "known", "stored"]
    assert take(dict(reversed(call.items()))) == ["known"]


def test_sources_do_not_share_message_ids() -> None:
    assert take(track("Viewed", "a")) == ["stored"]
    assert take(track("Viewed", "a"), source=make_source("app")) == ["stored"]


def test_every_kind_of_call_becomes_a_fact() -> None:
    who = {"userId": "mei"}
    calls = [
        {"type": "page", "messageId": "1", **who, "name": "Home", "properties": {"url": "https://shop.example/"}},
        {"type": "screen", "messageId": "2", **who, "name": "Cart"},
        {"type": "group", "messageId": "3", **who, "groupId": "acme", "traits": {"seats": 4}},
        {"type": "alias", "messageId": "4", **who, "previousId": "anon-1"},
    ]
    assert take(*calls) == ["stored"] * 4
    facts = {event.kind: event for event in Event.objects.all()}
    assert facts["page"].properties == {"url": "https://shop.example/", "name": "Home"}
    assert facts["screen"].properties == {"name": "Cart"}
    assert facts["group"].properties == {"seats": 4, "group_id": "acme"}
    assert set(Identity.objects.values_list("kind", "value")) == {("user_id", "mei"), ("anonymous_id", "anon-1")}


@pytest.mark.parametrize(
    ("said", "at", "flags", "live"),
    [
        ("2026-03-02T11:00:00Z", NOW - timedelta(hours=1), "", True),
        ("2026-03-02T12:04:59Z", NOW + timedelta(minutes=4, seconds=59), "", True),
        ("2026-03-02T12:05:01Z", NOW, "future", False),
        ("2026-01-31T12:00:00Z", NOW - timedelta(days=30), "", True),
        ("2026-01-31T11:59:59Z", NOW - timedelta(days=30, seconds=1), "old", False),
        ("9999-12-31T23:59:59Z", NOW, "future", False),
        ("9999-12-31T23:59:59-14:00", NOW, "absurd", False),
        ("0001-01-01T00:00:00Z", NOW, "absurd", False),
        ("0001-01-01T00:00:00+14:00", NOW, "absurd", False),
        ("1989-12-31T00:00:00Z", NOW, "absurd", False),
        ("2026-03-02T11:00:00", NOW - timedelta(hours=1), "zoneless", True),
        ("2026-03-02T19:00:00+08:00", NOW - timedelta(hours=1), "", True),
    ],
)
def test_times_are_believed_within_reason(said: str, at: datetime, flags: str, live: bool) -> None:
    assert take(track("Viewed", "a", timestamp=said)) == ["stored"]
    event = Event.objects.get()
    assert (event.occurred_at, event.flags, event.live) == (at, flags, live)


def test_a_wrong_clock_is_corrected_by_when_it_sent() -> None:
    calls = [track("Viewed", "a", timestamp="2031-01-01T00:00:00Z")]
    take(*calls, sent_at="2031-01-01T00:10:00Z")
    event = Event.objects.get()
    assert (event.occurred_at, event.flags) == (NOW - timedelta(minutes=10), "")


@pytest.mark.parametrize("sent_at", ["2026-03-02T11:59:57Z", "yesterday", 5, None, "0001-01-01T00:00:00+14:00"])
def test_the_way_here_and_nonsense_correct_nothing(sent_at: Any) -> None:
    take(track("Viewed", "a", timestamp="2026-03-02T11:00:00Z"), sent_at=sent_at)
    assert Event.objects.get().occurred_at == NOW - timedelta(hours=1)


def test_history_starts_nothing() -> None:
    take(track("Viewed", "a"), historical=True)
    assert Event.objects.get().live is False


def test_the_first_campaign_stays_and_the_latest_moves() -> None:
    def visit(key: str, url: str) -> dict[str, Any]:
        context = {"page": {"url": url}, "ip": "203.0.113.9", "locale": "de-DE"}
        return {"type": "page", "userId": "mei", "messageId": key, "context": context}

    take(visit("1", "https://s.example/?utm_source=News%20Letter&utm_campaign=Spring&utm_medium=email"))
    take(visit("2", "https://s.example/?utm_source=ads&utm_term=x"), visit("3", "https://s.example/"))
    traits = Profile.objects.get().traits
    assert {name: traits[name] for name in traits if name.startswith("$utm")} == {
        "$utm_source": "news-letter",
        "$utm_campaign": "spring",
        "$utm_medium": "email",
        "$utm_term": "x",
    }
    assert traits["$latest_utm_source"] == "ads"
    first = Event.objects.get(key="1")
    assert first.context == {
        "page": {"url": "https://s.example/?utm_source=News%20Letter&utm_campaign=Spring&utm_medium=email"},
        "locale": "de-DE",
    }


def test_context_campaign_counts_and_senders_cannot_write_our_copies() -> None:
    campaign = {"source": "x", "medium": "email", "name": "Spring Sale"}
    take({"type": "page", "userId": "mei", "messageId": "1", "context": {"campaign": campaign}})
    take(identify("mei", **{"$utm_source": "forged", "$latest_utm_source": "forged", "@stage": "vip"}))
    traits = Profile.objects.get().traits
    assert traits["$utm_campaign"] == "spring-sale"
    assert traits["$utm_source"] == traits["$latest_utm_source"] == "x"
    assert "@stage" not in traits
    assert Event.objects.get(key="1").context["campaign"] == campaign


def test_traits_are_learnt_with_their_types() -> None:
    take(identify("mei", age=30, vip=True, plan="gold", since="2026-01-05", tags=["a"], nick_email="x@y.example"))
    take(identify("bo", age="about 40", plan="silver"))
    learnt = dict(Trait.objects.values_list("key", "type"))
    assert learnt == {
        "age": "string",
        "vip": "boolean",
        "plan": "string",
        "since": "date",
        "tags": "list",
        "nick_email": "string",
    }
    assert Trait.objects.get(key="plan").examples == ["gold"]
    assert Trait.objects.get(key="nick_email").personal
    assert Trait.objects.get(key="nick_email").examples == []


def test_a_corrected_type_stays() -> None:
    take(identify("mei", zip="01234"))
    Trait.objects.filter(key="zip").update(type="number", corrected=True)
    take(identify("bo", zip="B-4000"), now=NOW + timedelta(days=2))
    assert Trait.objects.get(key="zip").type == "number"


def test_first_and_last_seen_follow_the_facts() -> None:
    take(track("A", "1", timestamp="2026-02-20T00:00:00Z"))
    take(track("A", "2", timestamp="2026-02-10T00:00:00Z"), track("A", "3", timestamp="2026-03-01T00:00:00Z"))
    mei = Profile.objects.get()
    assert mei.first_seen_at == datetime(2026, 2, 10, tzinfo=UTC)
    assert mei.last_seen_at == datetime(2026, 3, 1, tzinfo=UTC)


def test_last_seen_lags_by_less_than_a_minute_and_first_seen_never() -> None:
    def times() -> tuple[datetime, datetime]:
        mei = Profile.objects.get()
        return mei.first_seen_at, mei.last_seen_at

    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    take(track("A", "1", timestamp="2026-03-01T12:00:00Z"))
    take(track("A", "2", timestamp="2026-03-01T12:01:00Z"))
    assert times() == (at, at)
    take(track("A", "3", timestamp="2026-03-01T11:59:59Z"))
    assert times() == (at - timedelta(seconds=1), at + timedelta(0))
    take(track("A", "4", timestamp="2026-03-01T12:01:01Z"), track("A", "5", timestamp="2026-03-01T12:00:59Z"))
    assert times() == (at - timedelta(seconds=1), at + timedelta(seconds=61))


def test_saying_the_same_again_within_a_minute_writes_nothing() -> None:
    take(identify("mei", "1", plan="gold"))
    with CaptureQueriesContext(connection) as queries:
        assert take(identify("mei", "2", plan="gold"), now=NOW + timedelta(seconds=60)) == ["stored"]
    assert not [query["sql"] for query in queries if query["sql"].startswith("UPDATE segments_profile")]
    take(identify("mei", "3", plan="gold"), now=NOW + timedelta(seconds=61))
    assert Profile.objects.get().last_seen_at == NOW + timedelta(seconds=61)


def test_a_replay_of_a_visit_does_not_widen_what_was_seen() -> None:
    take(track("A", "1", timestamp="2026-02-20T00:00:00Z"))
    again = track("A", "1", timestamp="2026-03-01T00:00:00Z")
    assert take(again, track("A", "2", timestamp="2026-02-21T00:00:00Z")) == ["known", "stored"]
    assert Profile.objects.get().last_seen_at == datetime(2026, 2, 21, tzinfo=UTC)
    assert EventStats.objects.get().count == 2


def test_a_replay_makes_nobody_once_its_person_lost_the_name() -> None:
    call = track("A", "1")
    take(call)
    Identity.objects.all().delete()
    assert take(call) == ["known"]
    assert Profile.objects.count() == 1


def test_one_wrong_row_amid_500_fails_alone_and_is_kept() -> None:
    calls = [track("Viewed", f"k{i}") for i in range(500)]
    calls[250] = track("Viewed", "bad", properties={"x": float("nan")})
    assert take(*calls) == ["stored"] * 250 + ["not_a_number"] + ["stored"] * 249
    row = RejectedRow.objects.get()
    assert (row.code, row.path, row.source.key) == ("not_a_number", "properties.x", "web")
    assert '"messageId": "bad"' in row.payload


def test_a_row_that_only_the_database_refuses_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import DataError

    import segments.ingest.flush as room

    real = room.append_facts

    def refuse(facts: Any, *, now: datetime) -> list[int]:
        if any(fact.key == "k7" for fact in facts):
            raise DataError("no")
        return real(facts, now=now)

    monkeypatch.setattr(room, "append_facts", refuse)
    assert take(*[track("Viewed", f"k{i}") for i in range(20)]) == ["stored"] * 7 + ["unstorable"] + ["stored"] * 12
    assert Event.objects.count() == 19
    assert RejectedRow.objects.get().code == "unstorable"


def mixed_batch(size: int, start: int) -> list[dict[str, Any]]:
    """New and known people, merges, orders, refunds, replays, traits and a wrong row."""
    calls: list[dict[str, Any]] = []
    for i in range(start, start + size // 5):
        calls += [
            {"type": "page", "anonymousId": f"a{i}", "messageId": f"p{i}"},
            {**identify(f"u{i}", f"i{i}", email=f"u{i}@example.com", plan=i), "anonymousId": f"a{i}"},
            {**track("Order Completed", f"o{i}", properties={"order_id": f"o{i}", "total": 9.5}), "userId": f"u{i}"},
            {**track("Order Refunded", f"r{i}", properties={"order_id": f"o{i}", "total": 1}), "userId": f"u{i}"},
            {**track("Viewed", "", properties={"i": i}), "userId": f"u{i}"},
        ]
    return calls


def statements_for(size: int, start: int) -> list[str]:
    """What a batch of `size` calls runs, where every visitor merges into a person who was there before."""
    for i in range(start, start + size // 5):
        make_profile(anonymous_id=f"a{i}")
        make_profile(user_id=f"u{i}")
    with CaptureQueriesContext(connection) as queries:
        assert set(take(*mixed_batch(size, start))) == {"stored"}
    return [query["sql"][:150] for query in queries if "SAVEPOINT" not in query["sql"]]


def test_what_known_people_did_takes_three_statements() -> None:
    """Names, locks (on PostgreSQL), facts with lifetime rows (two on SQLite); the insert tells what was there."""
    source = make_source()
    take(track("Viewed", "a"), source=source)
    for size in (5, 500):
        calls = [track("Viewed", f"{size}-{i}", properties={"i": i}) for i in range(size)]
        with CaptureQueriesContext(connection) as queries:
            assert set(take(*calls, source=source)) == {"stored"}
        run = [query["sql"][:150] for query in queries if "SAVEPOINT" not in query["sql"]]
        assert len(run) == 3, "\n".join(run)


@pytest.mark.postgres
def test_keys_and_names_are_looked_up_one_by_one_whatever_the_planner_believes() -> None:
    """A source without statistics once made the planner walk through all of its facts for every batch."""
    take(identify("mei", "1"), {"type": "page", "anonymousId": "v", "messageId": "2"})
    asked = []
    with CaptureQueriesContext(connection) as queries:
        take(identify("mei", "3"), {"type": "page", "anonymousId": "v", "messageId": "4"})
        asked = [query["sql"] for query in queries if "given.value" in query["sql"] or "given.key" in query["sql"]]
    assert len(asked) == 2
    plans = []
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for sql in asked:
            cursor.execute(f"EXPLAIN {sql}")
            plans.append("\n".join(row[0] for row in cursor.fetchall()))
    names, keys = plans
    assert "Index Cond: (((kind)::text = (raw.kind)::text) AND ((value)::text = (raw.value)::text))" in names
    assert "Index Cond: (profile_id = named.profile_id)" in names
    assert "(key)::text = (raw.key)::text" in next(line for line in keys.splitlines() if "Index Cond" in line)
    for plan in plans:
        assert not any(word in plan for word in ("Hash", "Merge", "Seq Scan on segments_")), plan


def test_a_batch_takes_a_constant_number_of_statements() -> None:
    statements_for(10, 0)  # makes the sources
    few, many = statements_for(10, 1000), statements_for(500, 2000)
    assert len(few) == len(many) < 50, "\n".join([*few, "----", *many])
