"""Receipts: signed or unread, kept once however often they come, and only ever raising what a message reached."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
import time_machine
from django.test import Client

from messaging.models import Address, Consent, Delivery, Receipt, Suppression
from messaging.permission import give_consent, is_suppressed
from messaging.receipts import Call, Receiver, receivers
from messaging.receipts._signature import sign
from messaging.words import match_receipts
from segments.facts import names
from segments.models import Event
from tests.messages import make_account
from tests.messaging.mails import BROWSER, ONE_LINK, publish, sent
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
OLD, NEW = "whsec_b2xkIHNlY3JldA==", "whsec_bmV3IHNlY3JldA=="
PATH = "/receipts/mail"


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MAIL_RECEIPTS", f"{NEW} {OLD}")
    with time_machine.travel(NOW, tick=False):
        yield make_account(settings={"receipt_secrets_env": "MAIL_RECEIPTS"})


def headers(body: bytes, *, secret: str = NEW, at: datetime = NOW, identifier: str = "msg_1") -> dict[str, str]:
    return {
        "HTTP_WEBHOOK_ID": identifier,
        "HTTP_WEBHOOK_TIMESTAMP": str(int(at.timestamp())),
        "HTTP_WEBHOOK_SIGNATURE": sign(secret, identifier=identifier, at=at, body=body),
    }


def post(body: bytes, *, path: str = PATH, **given: str) -> Any:
    return Client().post(path, body, content_type="application/json", **given)


def tell(*events: dict[str, Any], identifier: str = "") -> Any:
    body = json.dumps({"events": events}).encode()
    return post(body, **headers(body, identifier=identifier or f"msg_{uuid.uuid4().hex}"))


def word(row: Delivery, kind: str, *, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    return {"delivery": str(row.public_id), "kind": kind, "at": at.isoformat(), **more}


def message(n: int = 0) -> Delivery:
    row = sent(make_profile(email=f"n{n}@example.com"), publish(ONE_LINK, key=f"k{n}"))
    give_consent(row.address_id or 0, "offers", now=NOW, source="form")
    return row


def reached(row: Delivery) -> int:
    return Delivery.objects.values_list("reached", flat=True).get(pk=row.pk)


# the signature


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_either_secret_is_good_while_one_replaces_the_other(secret: str) -> None:
    body = json.dumps(word(message(), "delivered")).encode()
    answer = post(body, **headers(body, secret=secret))
    assert (answer.status_code, answer.json()) == (200, {"received": 1, "new": 1})


def test_several_signatures_in_one_header() -> None:
    body = json.dumps(word(message(), "delivered")).encode()
    given = headers(body)
    given["HTTP_WEBHOOK_SIGNATURE"] = "v1,AAAA v1a,xxxx " + given["HTTP_WEBHOOK_SIGNATURE"]
    assert post(body, **given).status_code == 200


def forged(body: bytes) -> dict[str, dict[str, str]]:
    good = headers(body)
    signature = good["HTTP_WEBHOOK_SIGNATURE"]
    return {
        "missing": {},
        "no signature": {**good, "HTTP_WEBHOOK_SIGNATURE": ""},
        "no id": {**good, "HTTP_WEBHOOK_ID": ""},
        "another id": {**good, "HTTP_WEBHOOK_ID": "msg_2"},
        "id with a dot": headers(body, identifier="msg.1"),
        "wrong secret": headers(body, secret="whsec_d3Jvbmc="),
        "truncated": {**good, "HTTP_WEBHOOK_SIGNATURE": signature[:-1]},
        "other algorithm": {**good, "HTTP_WEBHOOK_SIGNATURE": "v1a" + signature[2:]},
        "old": headers(body, at=NOW - timedelta(minutes=5, seconds=1)),
        "future": headers(body, at=NOW + timedelta(minutes=5, seconds=1)),
        "time without signature": {**good, "HTTP_WEBHOOK_TIMESTAMP": str(int(NOW.timestamp()) + 1)},
        "no time": {**good, "HTTP_WEBHOOK_TIMESTAMP": "now"},
        "odd digits": {**good, "HTTP_WEBHOOK_TIMESTAMP": "１７７２"},
        "duplicate header": {**good, "HTTP_WEBHOOK_SIGNATURE": f"{signature},{signature}"},
        "duplicate time": {**good, "HTTP_WEBHOOK_TIMESTAMP": f"{good['HTTP_WEBHOOK_TIMESTAMP']}, 1"},
        "not ascii": {**good, "HTTP_WEBHOOK_SIGNATURE": "v1,é\udcff"},
    }


@pytest.mark.parametrize("case", list(forged(b"x")))
def test_what_is_not_signed_is_not_read(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Receiver, call: Call, now: datetime) -> Any:
        raise AssertionError("read before it was verified")

    monkeypatch.setattr(type(receivers.get("standard")), "read", never)
    body = json.dumps(word(message(), "complained")).encode()
    answer = post(body, **forged(body)[case])
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (401, "authentication_failed")
    assert not Receipt.objects.exists()


def test_a_changed_body_is_not_read() -> None:
    body = json.dumps(word(message(), "delivered")).encode()
    assert post(body + b" ", **headers(body)).status_code == 401


@pytest.mark.parametrize("path", ["/receipts/other", "/receipts/unset"])
def test_an_account_takes_its_own_secret_only(path: str) -> None:
    make_account("unset", is_default=False)
    body = b"{}"
    assert post(body, path=path, **headers(body)).status_code == 401
    assert post(body, path=path, **headers(body, secret="")).status_code == 401


def test_the_edges_of_the_window_are_inside() -> None:
    body = json.dumps(word(message(), "delivered")).encode()
    for at in (NOW - timedelta(minutes=5), NOW + timedelta(minutes=5)):
        assert post(body, **headers(body, at=at)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[", b"[]", b'"x"', b"\xff", b'{"events": 5}', b'{"events": [5]}', b'{"events": [{}]}', b"[" * 100_000,
        b'{"delivery": "x", "kind": "hard", "at": "yesterday"}', b'{"delivery": "x", "at": 1e300}',
        b'{"delivery": 5}', b'{"events": [' + b'{"delivery":"x"},' * 1000 + b'{"delivery":"x"}]}',
    ],
)  # fmt: skip
def test_a_signed_body_that_cannot_be_read_is_told_so(body: bytes) -> None:
    answer = post(body, **headers(body))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "parse_error")
    assert not Receipt.objects.exists()


def test_a_body_of_more_than_a_mebibyte_is_not_even_verified() -> None:
    assert post(b"x" * (1024 * 1024 + 1)).status_code == 413


def test_poison_is_kept_as_text_or_not_at_all() -> None:
    event = {
        "delivery": "x\x00\ud800",
        "kind": "\x00",
        "a\x00": "b\x00",
        "n": 2**80,
        "deep": {"a": 1},
        "f": float("nan"),
    }
    assert tell(event).status_code == 200
    kept = Receipt.objects.get()
    assert (kept.kind, kept.raw["said"]["a�"], "n" in kept.raw["said"]) == ("other", "b�", False)


@pytest.mark.parametrize("key", receivers.keys())
def test_every_receiver_refuses_what_is_not_signed(key: str) -> None:
    receiver = receivers.get(key)
    assert receiver.key == key
    for given in ({}, {"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": "v1,x"}):
        assert not receiver.verify(Call(b"{}", given, "https://shop.example/receipts/mail"), ["c2VjcmV0"], NOW)
        assert not receiver.verify(Call(b"{}", given, "https://shop.example/receipts/mail"), [], NOW)


# what they do


def test_the_same_word_forty_six_times_is_one_fact() -> None:
    row = message()
    for n in range(46):
        assert tell(word(row, "hard"), identifier=f"msg_{n}").status_code == 200
    assert Receipt.objects.count() == 1
    assert Event.objects.filter(name=names.BOUNCED).count() == 1
    assert Suppression.objects.count() == 1


@pytest.mark.parametrize("order", list(permutations(["delivered", "hard", "complained"])))
def test_what_a_message_reached_only_rises(order: tuple[str, ...]) -> None:
    row = message()
    levels = []
    for kind in order:
        tell(word(row, kind))
        levels.append(reached(row))
    assert levels == sorted(levels)
    assert levels[-1] == Delivery.Reached.COMPLAINED
    row.refresh_from_db()
    assert row.delivered_at is not None


def test_a_complaint_suppresses_at_once_and_is_a_fact() -> None:
    row = message()
    tell(word(row, "complained"))
    assert is_suppressed("email", "n0@example.com")
    assert Address.objects.get(pk=row.address_id).suppressed == "complaint"
    fact = Event.objects.get(name=names.COMPLAINED)
    assert fact.properties == {"channel": "email", "delivery": str(row.public_id)}


def test_soft_bounces_suppress_at_the_fifth_in_a_row() -> None:
    person = make_profile(email="n0@example.com")
    version = publish(ONE_LINK)
    rows = [sent(person, version, prefix=f"p{n}") for n in range(10)]
    for row in rows[:4]:
        tell(word(row, "soft"))
    tell(word(rows[4], "delivered"))
    for row in rows[5:9]:
        tell(word(row, "soft"))
    assert not is_suppressed("email", "n0@example.com")
    tell(word(rows[9], "soft"))
    assert Suppression.objects.get().reason == "soft_bounce"


def test_unsubscribed_at_the_provider_leaves_that_topic() -> None:
    row = message()
    tell(word(row, "unsubscribed"), word(row, "unsubscribed", at=NOW - timedelta(seconds=9)))
    address = Address.objects.get(pk=row.address_id)
    assert address.refusals == ["offers"]
    assert set(Consent.objects.filter(action="withdrawn").values_list("source", "topic")) == {("mail", "offers")}
    assert reached(row) == Delivery.Reached.UNSUBSCRIBED


def test_opens_told_by_a_provider_are_judged_like_our_own() -> None:
    row, other = message(), message(1)
    tell(word(row, "opened", user_agent=BROWSER), word(other, "opened", user_agent="Mozilla/5.0"))
    assert Event.objects.get(name=names.MESSAGE_OPENED).properties["delivery"] == str(row.public_id)
    assert (reached(row), reached(other)) == (Delivery.Reached.OPENED, Delivery.Reached.DELIVERED)


@pytest.mark.parametrize(
    ("kind", "state"),
    [("delivered", "accepted"), ("hard", "accepted"), ("complained", "accepted"), ("rejected", "rejected")],
)
def test_a_word_ends_the_doubt(kind: str, state: str) -> None:
    for number, before in enumerate(("in_doubt", "unknown")):
        row = message(number)
        Delivery.objects.filter(pk=row.pk).update(state=before)
        tell(word(row, kind))
        row.refresh_from_db()
        assert row.state == state


def test_a_late_rejection_does_not_undo_what_was_accepted() -> None:
    row = message()
    tell(word(row, "rejected"))
    row.refresh_from_db()
    assert row.state == "accepted"


def test_a_word_before_our_settlement_waits_for_it() -> None:
    row = message()
    Delivery.objects.filter(pk=row.pk).update(state="attempting", lease_token=uuid.uuid4(), reached=0)
    assert tell(word(row, "delivered")).json() == {"received": 1, "new": 1}
    assert match_receipts(NOW) == 0
    Delivery.objects.filter(pk=row.pk).update(state="accepted", lease_token=None, reached=1)
    assert match_receipts(NOW) == 1
    assert reached(row) == Delivery.Reached.DELIVERED
    kept = Receipt.objects.get()
    assert (kept.delivery_id, kept.matched_at) == (row.pk, NOW)
    assert match_receipts(NOW) == 0


def test_a_word_about_a_stranger_is_kept_and_starts_nothing() -> None:
    assert tell({"delivery": str(uuid.uuid4()), "kind": "complained"}).status_code == 200
    assert Receipt.objects.filter(delivery=None, matched_at=None).count() == 1
    assert not Suppression.objects.exists()
    assert match_receipts(NOW + timedelta(days=8)) == 0


def test_our_message_id_names_the_message() -> None:
    row = message()
    tell({"delivery": f"<{row.public_id}@shop.example>", "kind": "delivered"})
    assert reached(row) == Delivery.Reached.DELIVERED


def test_a_ghost_hears_nothing() -> None:
    row = message()
    Delivery.objects.filter(pk=row.pk).update(ghost=True)
    tell(word(row, "complained"))
    assert not Suppression.objects.exists()
