"""Sources: keys that overlap, refused rows that are taken in again once, and what is known of events."""

from __future__ import annotations

import base64
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from common import clock
from common.buckets import SHARDS
from common.models import ApiKey, AuditEntry
from segments.event_schema import learn_events, learn_from_log, learn_shard, report
from segments.facts.append import append_engine_facts
from segments.facts.names import LEVEL_REACHED
from segments.imports.options import Options
from segments.imports.run import make_job, run_import
from segments.ingest import ingest
from segments.ingest.body import Poison
from segments.keys import keys_of, revoke, rotate
from segments.models import Event, EventProperty, Order, Profile, RejectedRow, Source
from segments.replay import replay
from tests.people import NOW, make_fact, make_profile, make_source
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)


def send(secret: str) -> int:
    """The status of one call under a write key."""
    token = base64.b64encode(f"{secret}:".encode()).decode()
    body = {"event": "Viewed", "anonymousId": "a"}
    return Client().post("/v1/track", body, "application/json", headers={"authorization": f"Basic {token}"}).status_code


def test_keys_overlap_for_as_long_as_was_said_and_are_refused_afterwards() -> None:
    now, web = clock.now(), make_source()
    first, old = rotate(web, overlap=timedelta(0), now=now)
    _, fresh = rotate(web, overlap=timedelta(hours=2), now=now)
    assert (send(old), send(fresh)) == (200, 200)
    first.refresh_from_db()
    assert (first.expires_at, first.scopes, first.subject) == (now + timedelta(hours=2), ["ingest"], "source:web")
    assert keys_of(web)[0].last_used_at is not None
    rotate(web, overlap=timedelta(0), now=now)
    assert (send(old), send(fresh)) == (401, 401)
    assert AuditEntry.objects.filter(action="key.rotate", subject="source:web").count() == 3


def test_a_key_that_ends_sooner_is_not_given_longer() -> None:
    now, web = clock.now(), make_source()
    first, _ = rotate(web, overlap=timedelta(0), now=now)
    ApiKey.objects.filter(pk=first.pk).update(expires_at=now + timedelta(minutes=5))
    rotate(web, overlap=DAY, now=now)
    first.refresh_from_db()
    assert first.expires_at == now + timedelta(minutes=5)


def test_a_source_revokes_only_its_own_keys() -> None:
    now, web, shop = clock.now(), make_source(), make_source("shop")
    key, secret = rotate(web, overlap=DAY, now=now)
    assert not revoke(shop, key.pk, now=now)
    assert send(secret) == 200
    assert revoke(web, key.pk, now=now)
    assert not revoke(web, key.pk, now=now)
    assert send(secret) == 401


def test_rows_are_taken_in_again_once_their_cause_is_mended() -> None:
    web = make_source()
    RejectedRow.objects.create(
        source=web, received_at=NOW, code="unknown_type", reason="'trak' is none of …",
        payload=json.dumps({"type": "track", "event": "Viewed", "userId": "u1", "messageId": "m1"}),
    )  # fmt: skip
    RejectedRow.objects.create(
        source=web, received_at=NOW, code="x", reason="old", payload='{"type": "trak", "userId": "u2"}'
    )
    RejectedRow.objects.create(source=web, received_at=NOW, code="too_large", reason="cut", payload='{"type": "tra')
    ids = list(RejectedRow.objects.order_by("pk").values_list("pk", flat=True))
    later = NOW + 9 * DAY
    assert replay(ids, now=later) == {"stored": 1, "rejected": 2}
    rows = list(RejectedRow.objects.order_by("pk").values_list("replayed_as", "code", "replayed_at"))
    assert rows == [
        ("stored", "unknown_type", later),
        ("rejected", "unknown_type", later),
        ("rejected", "unreadable", later),
    ]
    fact = Event.objects.get()
    assert (fact.key, fact.occurred_at, fact.received_at, fact.live) == ("m1", NOW, later, False)
    assert replay(ids, now=later) == {"gone": 1, "rejected": 2}
    assert (Event.objects.count(), RejectedRow.objects.count()) == (1, 3)


def test_what_the_stored_row_no_longer_holds_is_not_made_up() -> None:
    web = make_source()

    def call(key: str, value: Any) -> dict[str, Any]:
        return {"type": "track", "event": "Viewed", "userId": "u1", "messageId": key, "properties": {"x": value}}

    said = [call("m1", Poison("number_too_large")), call("m2", "half \ud800"), call("m3", "nul \x00")]
    assert [row.status for row in ingest(said, source=web, now=NOW)] == ["rejected"] * 3
    ids = list(RejectedRow.objects.values_list("pk", flat=True))
    for _ in range(2):
        assert replay(ids, now=NOW) == {"rejected": 3}
    assert list(RejectedRow.objects.order_by("pk").values_list("code", flat=True)) == [
        "unfaithful",
        "unfaithful",
        "nul",
    ]
    Source.objects.update(lenient=True)
    assert replay(ids, now=NOW)["stored"] == 2
    assert Event.objects.filter(key="m3").values_list("properties", flat=True)[0] == {"x": "nul \ufffd"}
    assert not Event.objects.filter(key="m1").exists()


def test_what_was_sent_again_in_the_meantime_is_known() -> None:
    web = make_source()
    said = {"type": "track", "event": "Viewed", "userId": "u1", "messageId": "m1"}
    row = RejectedRow.objects.create(source=web, received_at=NOW, code="x", reason="x", payload=json.dumps(said))
    ingest([said], source=web, now=NOW)
    assert replay([row.pk], now=NOW) == {"known": 1}
    assert Event.objects.count() == 1


def test_a_replay_starts_something_only_when_asked_to() -> None:
    web = make_source()
    said = {"type": "track", "event": "Viewed", "userId": "u1", "messageId": "m1"}
    row = RejectedRow.objects.create(source=web, received_at=NOW, code="x", reason="x", payload=json.dumps(said))
    assert replay([row.pk], now=NOW, historical=False) == {"stored": 1}
    assert Event.objects.get().live


def test_rows_of_a_file_are_read_by_its_mapping(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("who,id,sum,at\nu1,o1,12.50,2026-01-05\nu2,o2,a lot,2026-01-06\n")
    options = Options(
        fields={"user_id": "who", "order_id": "id", "total": "sum", "placed_at": "at", "currency": ":USD"}
    )
    run_import(make_job(path, "orders", make_source("import"), options), now=NOW)
    row = RejectedRow.objects.get()
    assert replay([row.pk], now=NOW) == {"rejected": 1}
    RejectedRow.objects.update(payload=row.payload.replace("a lot", "7.25"))
    assert replay([row.pk], now=NOW) == {"stored": 1}
    assert dict(Order.objects.values_list("order_id", "total")) == {"o1": 1250, "o2": 725}
    assert not Event.objects.filter(live=True).exists()


def test_a_reason_that_quotes_what_no_database_stores_is_kept_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text(json.dumps({"who": "u1", "id": "o1", "sum": "1", "at": "so\x00on"}) + "\n")
    fields = {"user_id": "who", "order_id": "id", "total": "sum", "placed_at": "at", "currency": ":USD"}
    run_import(make_job(path, "orders", make_source("import"), Options(fields=fields)), now=NOW)
    row = RejectedRow.objects.get()
    before = row.code, row.path, row.reason
    assert replay([row.pk], now=NOW) == {"rejected": 1}
    row.refresh_from_db()
    assert (row.code, row.path, row.reason) == before
    assert "\x00" not in row.reason


def test_lines_that_belong_together_are_not_replayed_alone(tmp_path: Path) -> None:
    path = tmp_path / "lines.csv"
    path.write_text("who,id,sum,at\nu1,o1,x,2026-01-05\nu1,o1,2,2026-01-05\n")
    fields = {"user_id": "who", "order_id": "id", "total": "sum", "placed_at": "at", "currency": ":USD"}
    run_import(make_job(path, "orders", make_source("import"), Options(fields=fields, group_by="id")), now=NOW)
    row = RejectedRow.objects.get()
    assert replay([row.pk], now=NOW) == {"rejected": 1}
    row.refresh_from_db()
    assert row.code == "grouped"
    assert not Profile.objects.exists()


def test_properties_of_events_with_their_types_and_times(django_assert_num_queries: Any) -> None:
    assert learn_events([("Viewed", {"n": 1, "page": "/a"}), ("Viewed", {"n": 2}), ("Left", {})], now=NOW) == 4
    with django_assert_num_queries(1):
        assert learn_events([("Viewed", {"n": 3, "page": "/b"})], now=NOW + timedelta(hours=1)) == 0
    assert learn_events([("Viewed", {"n": "three", "none": None})], now=NOW + timedelta(hours=2)) == 1
    assert learn_events([("Viewed", {"n": 4})], now=NOW + 2 * DAY) == 2
    found = {row.key: row for row in report("Viewed")}
    assert set(found) == {"n", "page"}
    assert (found["n"].types, found["n"].mixed) == (("number", "string"), True)
    assert (found["n"].first_seen_at, found["n"].last_seen_at) == (NOW, NOW + 2 * DAY)
    assert (found["page"].types, found["page"].last_seen_at) == (("string",), NOW)
    assert EventProperty.objects.filter(event="Left").values_list("key", flat=True)[0] == ""


def test_an_id_as_a_key_is_not_learnt_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segments.event_schema.MOST", 5)
    learn_events([("Viewed", {f"k{n}": 1 for n in range(50)})], now=NOW)
    learn_events([("Viewed", {f"j{n}": 1 for n in range(50)})], now=NOW)
    assert len(report("Viewed")) == 5
    learn_events([("Viewed", {"k" * 65: 1})], now=NOW)
    assert len(report("Viewed")) == 5


def test_the_timetable_learns_what_has_come_since_the_last_look() -> None:
    mei = make_profile(user_id="mei")
    make_fact(mei, "Viewed", n=1)
    with transaction.atomic():
        append_engine_facts([(mei.pk, mei.shard, LEVEL_REACHED, "gold", {"level": "gold"})], now=NOW)
    settle_log()
    assert sum(learn_shard(shard, NOW) for shard in range(SHARDS)) == 1
    assert set(EventProperty.objects.values_list("event", "key")) == {("Viewed", ""), ("Viewed", "n")}
    assert sum(learn_shard(shard, NOW) for shard in range(SHARDS)) == 0
    make_fact(mei, "Viewed", m=True)
    settle_log()
    assert learn_shard(mei.shard, NOW + DAY) == 1
    assert [row.key for row in report("Viewed")] == ["m", "n"]


def test_what_is_in_the_log_already_is_learnt_by_the_command() -> None:
    mei = make_profile(user_id="mei")
    make_fact(mei, "Viewed", n=1)
    make_fact(mei, "Viewed", at=NOW + 3 * DAY, n="x")
    out = io.StringIO()
    call_command("learn_events", stdout=out)
    call_command("learn_events", "Viewed", stdout=out)
    assert out.getvalue().splitlines() == ["2 facts read", "! n: string, number (2026-03-02 to 2026-03-05)"]
    assert learn_from_log() == 2
