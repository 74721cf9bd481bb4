"""Canaries in every table: an export holds all of a person and nobody else's, and after an erasure nothing is left."""

from __future__ import annotations

import hashlib
import io
import json
import uuid
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from common.faults import install
from common.models import AuditEntry
from messaging.channels import _smtp
from messaging.models import Address, Delivery, Suppression
from messaging.outbox.send import send_due
from messaging.permission import address_for, digest
from segments.erase import erase
from segments.export import write_json, write_zip
from segments.holdings import Person, holdings
from segments.ingest import ingest
from segments.merge import merge
from segments.models import Coupon, Event, ImportJob, Membership, Profile, RejectedRow, Segment
from segments.models.groups import ListMember, StaticList
from tests.messages import make_account, make_readers, make_version, queue_to, render_plainly
from tests.messaging.witness import witness
from tests.people import NOW, make_profile, make_source
from tests.whole import live_a_life, make_ground

pytestmark = pytest.mark.django_db(transaction=True)
LATER = NOW + timedelta(hours=3)


def tables_with(word: str) -> list[str]:
    """Every table in which a row holds the word, whatever the column."""
    found = []
    for model in apps.get_models():
        for row in model._default_manager.values():
            if word in json.dumps(row, default=str, ensure_ascii=False).lower():
                found.append(model._meta.label)
                break
    return found


@pytest.fixture
def two() -> tuple[Profile, Profile]:
    """A person to be erased, with a visitor merged in, and another one in the same places."""
    ground = make_ground()
    mei, bo = live_a_life("xmeix", ground), live_a_life("xbox", ground)
    visitor = live_a_life("xghostx", ground, known=False)
    merge(visitor, mei, now=NOW, actor="root", reason="the same, says xmeix")
    return mei, bo


def test_the_canaries_are_in_every_table_that_can_hold_a_person(two: Any) -> None:
    mei, _ = two
    person = Person.of(mei)
    empty = {one.name for one in holdings() if not one.rows(person.ids).exists()}
    assert empty == set()
    assert {"segments.pointdraw", "messaging.attempt", "campaigns.credit", "segments.merge"} <= {
        one.name for one in holdings()
    }
    named = set(tables_with("xmeix"))
    assert {
        "segments.RejectedRow",
        "segments.ImportJob",
        "segments.Trait",
        "common.Parked",
        "common.AuditEntry",
    } <= named


def test_after_an_erasure_nothing_is_left_in_any_table(two: Any) -> None:
    mei, bo = two
    done = erase(mei, now=LATER)
    assert done.waiting == 0
    assert tables_with("xmeix") == []
    assert tables_with("xghostx") == []
    person = Person.of(Profile.objects.get(pk=mei.pk))
    left = {one.name: one.rows(person.ids).count() for one in holdings() if one.rows(person.ids).exists()}
    assert left == {"segments.event": 2}
    assert set(Event.objects.filter(profile__in=person.ids).values_list("name", flat=True)) == {"@erased"}
    mei.refresh_from_db()
    assert (mei.erased_at, mei.email, mei.traits, mei.first_seen_at) == (LATER, "", {}, LATER)
    entry = AuditEntry.objects.get(action="person.erase")
    assert (entry.subject, entry.reason, set(entry.detail)) == (f"person:{mei.public_id}", "", {"rows"})
    assert Coupon.objects.get(claim_key__startswith="erased", profile=None, code="C0").state == "void"
    assert bo.email == "xbox@example.com"


def test_nobody_else_loses_a_row(two: Any) -> None:
    mei, bo = two

    def held() -> dict[str, list[Any]]:
        ids = frozenset({bo.pk})
        return {one.name: list(one.rows(ids).order_by("pk").values()) for one in holdings()}

    before, rejected = held(), RejectedRow.objects.filter(payload__contains="xbox").count()
    audits = AuditEntry.objects.filter(reason__contains="xbox").count()
    erase(mei, now=LATER)
    assert held() == before
    assert RejectedRow.objects.filter(payload__contains="xbox").count() == rejected == 1
    assert AuditEntry.objects.filter(reason__contains="xbox").count() == audits == 1


def test_sizes_count_who_is_left(two: Any) -> None:
    mei, bo = two
    kept = Segment.objects.get(key="all"), StaticList.objects.get(key="list")
    erase(mei, now=LATER)
    for row in kept:
        row.refresh_from_db()
        assert row.size == 1, row
    assert [row.profile for row in Membership.objects.all()] == [bo]
    assert [row.profile for row in ListMember.objects.all()] == [bo]


def test_what_another_writer_adds_meanwhile_goes_too(two: Any) -> None:
    """A worker that held a walk when the erasure began commits a message after those were deleted."""
    mei, bo = two
    version, added = Delivery.objects.filter(profile=bo)[0].version, []

    def add(name: str) -> None:
        done = not Delivery.objects.filter(profile=mei).exists() and Profile.objects.get(pk=mei.pk).erased_at
        if name == "between_erase_models" and done and not added:
            added.append(queue_to([mei], version, now=NOW, prefix="late", context={"note": "xmeix"}))

    install(add)
    try:
        erase(mei, now=LATER)
    finally:
        install(None)
    assert added
    assert tables_with("xmeix") == []
    assert not Delivery.objects.filter(profile=mei).exists()


def test_asked_again_it_does_nothing(two: Any) -> None:
    mei, _ = two
    erase(mei, now=LATER)
    before = Event.objects.count(), AuditEntry.objects.count(), Suppression.objects.count()
    again = erase(mei, now=LATER + timedelta(days=1))
    assert again.rows == {}
    assert (Event.objects.count(), AuditEntry.objects.count(), Suppression.objects.count()) == before
    mei.refresh_from_db()
    assert mei.erased_at == LATER


@pytest.mark.parametrize("nth", [1, 2, 9, 17])
def test_interrupted_it_sends_nothing_and_goes_on(two: Any, nth: int) -> None:
    mei, _ = two
    seen = 0

    def fall(name: str) -> None:
        nonlocal seen
        seen += name == "between_erase_models"
        if seen == nth:
            raise InterruptedError(name)

    install(fall)
    try:
        with pytest.raises(InterruptedError):
            erase(mei, now=LATER)
    finally:
        install(None)
    mei.refresh_from_db()
    assert mei.erased_at == LATER
    assert not Delivery.objects.filter(profile=mei, state__in=["planned", "held", "claimed"]).exists()
    erase(mei, now=LATER)
    assert tables_with("xmeix") == tables_with("xghostx") == []
    assert AuditEntry.objects.filter(action="person.erase").count() == 1


def test_what_remains_is_a_keyed_hash_that_stops_the_address(two: Any, settings: Any) -> None:
    mei, _ = two
    erase(mei, now=LATER)
    row = Suppression.objects.get(digest=digest("email", "xmeix@example.com"))
    assert (row.reason, row.note) == ("erased", "")
    assert row.digest != hashlib.sha256(b"email:xmeix@example.com").hexdigest()
    settings.SUPPRESSION_KEY = "another key"
    assert row.digest != digest("email", "xmeix@example.com")
    settings.SUPPRESSION_KEY = "insecure-suppression-key"
    back = make_profile(email="xmeix@example.com", user_id="user-xmeix")
    address = address_for(back, "email", LATER)
    assert address is not None
    assert address.suppressed == "erased"


def test_a_call_about_an_erased_user_speaks_of_a_new_person(two: Any) -> None:
    mei, _ = two
    erase(mei, now=LATER)
    row = {"type": "track", "event": "Viewed", "userId": "user-xmeix", "messageId": "m1"}
    assert ingest([row], source=make_source(), now=LATER)[0].status == "stored"
    assert Event.objects.get(key="m1").profile_id != mei.pk


def test_a_queued_message_is_never_sent_to_an_erased_person(tmp_path: Path) -> None:
    with witness(tmp_path) as server:
        make_account(port=server.port)
        mei, bo = make_readers(2, now=NOW)
        version = make_version(now=NOW)
        queue_to([mei, bo], version, now=NOW)
        erase(mei, now=NOW)
        late = queue_to([mei], version, now=NOW, prefix="late")
        send_due(worker="w", now_fn=lambda: NOW, render=render_plainly)
        _smtp.close_all()
        assert Delivery.objects.get(profile=bo).state == "accepted"
        assert [(row.state, row.reason) for row in Delivery.objects.filter(pk__in=late)] == [("cancelled", "erased")]
        assert server.recipients() == ["reader-1@example.com"]


def test_a_message_on_the_wire_keeps_its_row_until_it_has_its_answer(two: Any) -> None:
    mei, _ = two
    on_wire = Delivery.objects.filter(profile=mei, state="planned")[0]
    Delivery.objects.filter(pk=on_wire.pk).update(state="attempting", lease_token=uuid.uuid4())
    assert erase(mei, now=LATER).waiting >= 1
    assert Delivery.objects.get(profile=mei).pk == on_wire.pk
    Delivery.objects.filter(pk=on_wire.pk).update(state="accepted")
    assert erase(mei, now=LATER).waiting == 0
    assert tables_with("xmeix") == []
    assert not Address.objects.filter(profile=mei).exists()


def test_an_export_holds_every_canary_and_nobody_elses(two: Any) -> None:
    mei, _ = two
    out = io.StringIO()
    rows = write_json(mei, out, now=LATER)
    said = json.loads(out.getvalue())
    assert rows == sum(len(part) for part in said.values() if isinstance(part, list))
    assert "xbox" not in out.getvalue()
    person = Person.of(mei)
    for one in holdings():
        assert len(said.get(one.name, [])) == one.rows(person.ids).count(), one.name
    assert {row["arm_key"] for row in said["campaigns.assignment"]} <= {"a", "b"}
    assert {row["badge_key"] for row in said["segments.award"]} == {"star"}
    bearing = {name for name, part in said.items() if "xmeix" in json.dumps(part, ensure_ascii=False)}
    expected = {name.lower() for name in tables_with("xmeix")} - {
        "common.parked", "common.auditentry", "segments.importjob", "segments.trait",
    }  # fmt: skip
    assert expected <= bearing
    assert {row["anonymousId"] for row in [one["row"] for one in said["segments.rejectedrow"]]} == {
        "anon-xmeix", "anon-xghostx",
    }  # fmt: skip


def test_messages_are_exported_as_they_read(two: Any) -> None:
    mei, _ = two
    out = io.StringIO()
    write_json(mei, out, now=LATER)
    texts = json.loads(out.getvalue())["messages"]
    assert {one["to"] for one in texts} == {"xmeix@example.com", "xghostx@example.com"}
    assert {one["subject"] for one in texts} == {"For xmeix"}
    assert any("note-xmeix" in one["html"] for one in texts)


def test_the_zip_holds_the_same_as_files(two: Any) -> None:
    mei, _ = two
    plain, packed = io.StringIO(), io.BytesIO()
    rows = write_json(mei, plain, now=LATER)
    assert write_zip(mei, packed, now=LATER) == rows
    said = json.loads(plain.getvalue())
    with zipfile.ZipFile(packed) as archive:
        for name in set(said) - {"exported_at"}:
            lines = archive.read(f"{name}.jsonl").decode().splitlines()
            assert [json.loads(line) for line in lines] == said[name], name
        assert json.loads(archive.read("manifest.json"))["rows"]["segments.profile"] == 2


def test_names_are_whole_words() -> None:
    mei = Person.of(make_profile(email="mei@example.com", user_id="7"))
    assert mei.named_in('{"to": "MEI@example.com"}')
    assert not mei.named_in('{"to": "amei@example.com"}')
    assert not mei.named_in('{"to": "mei@example.com.au"}')
    assert mei.named_in('{"userId": "7"}')
    assert mei.named_in('{"userId": 7}')
    assert not mei.named_in('{"userId": "77", "n": 17}')


def test_a_name_in_chinese_is_found_wherever_it_was_written() -> None:
    mei, said = make_profile(user_id="小明"), {"type": "track", "userId": "小明"}
    for user in ("小明", "小明明"):
        AuditEntry.objects.create(at=NOW, action="x", subject="x", detail={"user": user}, reason=f'"{user}"')
        ImportJob.objects.create(
            source=make_source(), kind="events", file="x", mapping={}, report={"first": [{"row": {"user": user}}]}
        )
    RejectedRow.objects.create(source=make_source(), received_at=NOW, payload=json.dumps(said, ensure_ascii=False))
    erase(mei, now=LATER)
    assert not RejectedRow.objects.exists()
    others = AuditEntry.objects.filter(action="x").order_by("pk")
    assert list(others.values_list("detail", "reason")) == [({"erased": True}, ""), ({"user": "小明明"}, '"小明明"')]
    reports = ImportJob.objects.order_by("pk").values_list("report", flat=True)
    assert list(reports) == [{"first": []}, {"first": [{"row": {"user": "小明明"}}]}]


def test_no_transaction_of_an_erasure_lasts(two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows go in pieces: with a step of 1 the facts take as many transactions as there are."""
    mei, _ = two
    facts, gone = Event.objects.filter(profile__in=Person.of(mei).ids).count(), []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if sql.startswith('DELETE FROM "segments_event"'):
            gone.append(context["cursor"].rowcount)
        return answer

    monkeypatch.setattr("segments.erase.STEP", 1)
    with connection.execute_wrapper(watch):
        erase(mei, now=LATER)
    assert tables_with("xmeix") == []
    assert gone == [1] * facts
    assert facts > 1
