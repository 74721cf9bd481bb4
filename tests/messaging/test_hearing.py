"""What people write back by SMS: leaving, coming back, and replies; from both providers' incoming calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from messaging.hearing import intent_of
from messaging.models import Address, Consent, Delivery, Receipt
from messaging.permission import address_for, give_consent, withdraw
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
