"""What people write back by SMS: leaving, coming back, and replies; from both providers' incoming calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from common import parking
from common.models import Parked
from messaging import permission
from messaging.hearing import TRIES, intent_of, obey_waiting
from messaging.models import Address, Consent, Delivery, Receipt
from messaging.permission import address_for, give_consent, withdraw
from messaging.words import match_receipts
from segments.facts import names
from segments.models import Event
from tests.messaging.test_receipts_providers import CHINESE, PHONE, PLAIN, TOKEN, account, aliyun, call, clock, text
from tests.people import NOW, make_profile

__all__ = ["clock"]
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("said", "intent"),
    [
        ("STOP", "stop"), ("stop.", "stop"), ("Stop please!", "stop"), ("ＳＴＯＰ", "stop"), ("TD", "stop"), ("td", "stop"),
        ("Ｔ", "stop"), ("R", "stop"), ("n", "stop"), ("退订", "stop"), (" 退订。", "stop"), ("我要退订", "stop"),
        ("拒收", "stop"), ("UNSUBSCRIBE", "stop"), ("cancel", "stop"), ("opt out", "stop"),
        ("\u3000ＴＤ\u3000", "stop"), ("\u200bSTOP\ufeff", "stop"), ("退\u200b订", "stop"), ("T D", "stop"), ("t.d.", "stop"),
        ("S T O P", "stop"), ("stop\u00a0all", "stop"), ("please stop", "stop"), ("TD 谢谢", "stop"), ("STOP 🙏", "stop"),
        ("退訂", "stop"), ("取消訂閱", "stop"), ("回T退订", "stop"), ("Opt-Out", "stop"), ("\u202eSTOP\u202c", "stop"),
        ("ＳＴＡＲＴ", "start"), (" start! ", "start"), ("please start", "start"), ("恢復訂閱", "start"), ("取消退订", "start"),
        ("never stop", ""), ("which bus stop?", ""), ("thank you", ""), ("谢谢", ""), ("please", ""), ("\u200b", ""),
        ("START", "start"), ("unstop", "start"), ("恢复订阅", "start"),
        ("", ""), ("No thanks, I will come tomorrow", ""), ("Thank you", ""), ("When does the bus stop here?", ""),
        ("T-shirt please", ""), ("请问退订以后积分还在吗，我想先了解一下", ""), ("start me a coffee", ""),
    ],
)  # fmt: skip
def test_what_a_text_wants(said: str, intent: str) -> None:
    assert intent_of(said) == intent


def incoming(said: str, sid: str = "SM9", **more: str) -> Any:
    return call({"MessageSid": sid, "SmsStatus": "received", "From": PHONE, "To": "+15005550099", "Body": said, **more})


def test_stop_over_twilio_refuses_everything_on_that_number_once(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    row = text(make_profile(phone=PHONE))
    for _ in range(3):
        assert incoming("Stop").content.startswith(b"<?xml")
    address = Address.objects.get(channel="sms")
    assert (address.consents, address.refusals) == ([], ["*"])
    said = Consent.objects.get(action="withdrawn")
    assert (said.topic, said.source, said.evidence["said"]) == ("*", "sms:reply", "Stop")
    fact = Event.objects.get(name=names.UNSUBSCRIBED)
    assert fact.properties["delivery"] == str(row.public_id)
    assert Receipt.objects.get().kind == "heard"
    assert not Event.objects.filter(name=names.MESSAGE_REPLIED).exists()


def test_twilios_own_reading_of_the_text_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    text(make_profile(phone=PHONE))
    incoming("arrêt", OptOutType="STOP")
    assert Address.objects.get(channel="sms").refusals == ["*"]


def test_start_gives_back_what_was_agreed_to_before_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    row = text(make_profile(phone=PHONE))
    give_consent(row.address_id or 0, "news", now=NOW - timedelta(hours=2), source="form")
    withdraw(row.address_id or 0, "news", now=NOW - timedelta(hours=1), source="page")
    incoming("STOP", "SM1")
    incoming("START", "SM2")
    address = Address.objects.get(channel="sms")
    assert (address.consents, address.refusals) == (["offers"], ["*"])
    assert Consent.objects.filter(source="sms:reply", action="given").values_list("topic", flat=True).get() == "offers"


def test_start_without_a_stop_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    text(make_profile(phone=PHONE))
    before = Consent.objects.count()
    incoming("START")
    assert Consent.objects.count() == before


def test_start_twice_gives_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    text(make_profile(phone=PHONE))
    for number, word in enumerate(["STOP", "START", "START"]):
        incoming(word, f"SM{number}")
    assert Address.objects.get(channel="sms").consents == ["offers"]
    assert Consent.objects.filter(source="sms:reply", action="given").count() == 1


def break_once(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The ledger of consent fails so many times, then works."""
    right, left = permission.withdraw, [times]

    def withdraw_(*args: Any, **given: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise ValueError("no such row")
        return right(*args, **given)

    monkeypatch.setattr(permission, "withdraw", withdraw_)


def test_a_stop_that_fails_is_parked_and_obeyed_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    text(make_profile(phone=PHONE))
    break_once(monkeypatch, 1)
    assert incoming("STOP").status_code == 200
    parked = Parked.objects.get(reader="heard")
    assert (parked.subject, parked.tries) == (f"receipt:{Receipt.objects.get().pk}", 1)
    assert parked.reason == "ValueError: no such row"
    assert Address.objects.get(channel="sms").refusals == []
    assert match_receipts(NOW + timedelta(seconds=40)) == 0
    assert obey_waiting(NOW + timedelta(seconds=20)) == 0
    assert obey_waiting(NOW + timedelta(seconds=40)) == 1
    assert Address.objects.get(channel="sms").refusals == ["*"]
    parked.refresh_from_db()
    assert (parked.resolved_at, parked.resolved_by) == (NOW + timedelta(seconds=40), "engine")
    incoming("STOP")
    assert obey_waiting(NOW + timedelta(hours=1)) == 0
    assert Consent.objects.filter(action="withdrawn").count() == 1


def test_what_was_kept_by_a_worker_that_died_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    text(make_profile(phone=PHONE))
    raw = {"ref": "", "said": {}, "heard": {"channel": "sms", "sender": PHONE, "text": "TD", "intent": ""}}
    Receipt.objects.create(provider="mail", natural_key="SM7", kind="heard", at=NOW, received_at=NOW, raw=raw)
    assert obey_waiting(NOW + timedelta(seconds=31)) == 1
    assert Address.objects.get(channel="sms").refusals == ["*"]


def test_after_its_last_try_a_stop_waits_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    text(make_profile(phone=PHONE))
    break_once(monkeypatch, TRIES + 1)
    incoming("STOP")
    at = NOW
    for _ in range(TRIES + 2):
        at += timedelta(hours=1)
        assert obey_waiting(at) == 0
    parked = Parked.objects.get(reader="heard")
    assert parked.tries == TRIES
    assert parking.retry(parked, now=at, by="mei") == "ValueError: no such row"
    assert parking.retry(Parked.objects.get(), now=at, by="mei") == ""
    assert Parked.objects.get().resolved_by == "mei"
    assert Address.objects.get(channel="sms").refusals == ["*"]


def test_a_stranger_may_refuse_before_we_know_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    incoming("STOP")
    assert Address.objects.get(channel="sms", value=PHONE).refusals == ["*"]
    found = address_for(make_profile(phone=PHONE), "sms", NOW)
    assert found is not None
    assert (found.value, found.refusals) == (PHONE, ["*"])


def test_a_reply_is_a_fact_about_the_last_message(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    row = text(make_profile(phone=PHONE))
    incoming("Yes, see you tomorrow")
    fact = Event.objects.get(name=names.MESSAGE_REPLIED)
    assert fact.properties["delivery"] == str(row.public_id)
    assert Delivery.objects.get(pk=row.pk).reached == Delivery.Reached.DELIVERED
    assert Address.objects.get(pk=row.address_id).refusals == []


def test_td_over_aliyun_from_a_number_as_china_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    account("aliyun", PLAIN, monkeypatch, channel="sms", transport="aliyun")
    text(make_profile(phone=CHINESE))
    up = {"phone_number": CHINESE.removeprefix("+86"), "send_time": "2026-03-02 20:00:00", "content": "TD",
          "sign_name": "店", "dest_code": "1069", "sequence_id": "1234567890"}  # fmt: skip
    for _ in range(2):
        assert aliyun(up).json()["code"] == 0
    assert Address.objects.get(channel="sms").refusals == ["*"]
    assert Consent.objects.filter(action="withdrawn").count() == 1


def test_forged_calls_stop_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    account("twilio", TOKEN, monkeypatch, channel="sms", transport="twilio")
    text(make_profile(phone=PHONE))
    said = {"MessageSid": "SM9", "SmsStatus": "received", "From": PHONE, "Body": "STOP"}
    assert call(said, token="wrong").status_code == 401
    assert Address.objects.get(channel="sms").refusals == []
