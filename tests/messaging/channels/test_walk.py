"""SMS, work messages and webhooks on the whole way: published, queued, rendered in the child, sent, settled in the ledger."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging.models import Address, Attempt, Consent, Delivery, Template
from messaging.outbox.reads import balance
from messaging.outbox.send import FRESH, send_due
from messaging.permission import address_for, give_consent
from messaging.publish import publish_template
from segments.models import Profile
from tests.messages import OFFERS, make_account, make_topic, make_version, queue_to
from tests.messaging.channels import test_aliyun, test_twilio, test_webhook
from tests.messaging.channels.gateway import Asked, Gateway, Said
from tests.people import make_profile

NAMES = ["Mei", 'B"o\\', "梅 </b>", "two\nlines"]  # the last cannot stand in JSON as it is
pytestmark = pytest.mark.django_db(transaction=True)


def send(now: datetime) -> dict[str, int]:
    """Send what is due; how many messages stand in which state then. The ledger is asked and not the report: on a busy
    machine a message may not have begun within two seconds of its marker, and goes out with the next group; or its
    rendering was out of time, and it is claimed once more."""
    for _ in range(5):
        send_due(worker="test", now_fn=lambda: now)
        slow = Delivery.objects.filter(state="planned", reason__startswith="render:")  # its child was not quick enough
        if not slow.update(not_before=now):
            break
    return dict(Counter(Delivery.objects.values_list("state", flat=True)))


def write(now: datetime, channel: str, people: list[Profile], **parts: str) -> None:
    """Publish a template of those parts and queue it to everybody."""
    template = Template.objects.create(
        key="t", name="T", channel=channel, klass="marketing", topic=make_topic(), content={"en": parts},
        sample={"profile": {"first_name": "Mei"}},
    )  # fmt: skip
    queue_to(people, publish_template(template, now=now), now=now)


def reader(phone: str, name: str, now: datetime) -> Profile:
    person = make_profile(phone=phone, first_name=name, now=now)
    address = address_for(person, "sms", now)
    assert address is not None
    give_consent(address, OFFERS, now=now, source="test")
    return person


def hook(gateway: Gateway) -> None:
    settings = {"url": f"{gateway.url}/in", "secret_env": "HOOK_SECRET"}
    make_account("hook", channel="webhook", transport="http", sender="", settings=settings)


def outcomes() -> list[tuple[str, str, str, str]]:
    rows = Attempt.objects.order_by("delivery_id").values_list("delivery__state", "outcome", "code", "provider_ref")
    return list(rows)


def test_texts_through_twilio(gateway: Gateway, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.play = test_twilio.twilio
    monkeypatch.setenv("SMS_TOKEN", test_twilio.TOKEN)
    settings = {"url": gateway.url, "account_sid": test_twilio.SID, "auth_token_env": "SMS_TOKEN"}
    make_account("sms", channel="sms", transport="twilio", sender=test_twilio.SHOP, settings=settings)
    numbers = (test_twilio.GOOD, test_twilio.STOPPED, test_twilio.GONE)
    write(
        now,
        "sms",
        [reader(to, "Mei", now) for to in numbers],
        text="Hello {{ profile.first_name }}. Reply STOP to opt out",
    )
    assert send(now) == {"accepted": 1, "rejected": 1, "in_doubt": 1}
    assert outcomes() == [
        ("accepted", "sent", "201", f"SM{test_twilio.GOOD.removeprefix('+')}"),
        ("rejected", "permanent", "twilio 21610", ""),
        ("in_doubt", "unknown", "RemoteProtocolError", ""),
    ]
    assert send_due(worker="test", now_fn=lambda: now + timedelta(hours=30)).claimed == 0
    assert len(gateway.asked) == 3, "what is in doubt is not sent again"
    assert balance().adds_up


def test_a_template_through_aliyun(gateway: Gateway, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.play = test_aliyun.aliyun
    monkeypatch.setenv("SMS_SECRET", test_aliyun.SECRET)
    settings = {"url": gateway.url, "access_key_id": test_aliyun.KEY, "access_key_secret_env": "SMS_SECRET"}
    make_account("sms", channel="sms", transport="aliyun", sender="小店", settings=settings)
    people = [reader(test_aliyun.GOOD, '梅" <b>', now), reader(test_aliyun.OFTEN, "Bo", now)]
    people.append(reader("+8613800138009", "Bo\ncode=43", now))
    write(now, "sms", people, template="SMS_1", variables="code=42\nname={{ profile.first_name }}")
    assert send(now) == {"accepted": 1, "planned": 1, "render_failed": 1}
    rows = Delivery.objects.order_by("id").values_list("state", "reason", "not_before")
    assert list(rows[1:]) == [
        ("planned", "isv.BUSINESS_LIMIT_CONTROL", now + timedelta(hours=1)),
        ("render_failed", "the variable 'code' comes twice", now),
    ]
    queries = [asked.query for asked in gateway.asked]
    assert [query["SignName"] for query in queries] == ["小店"] * 2
    assert [json.loads(query["TemplateParam"]) for query in queries] == [
        {"code": "42", "name": '梅" <b>'},
        {"code": "42", "name": "Bo"},
    ]


def test_what_a_slow_provider_kept_from_beginning_goes_out_with_the_next_group(
    gateway: Gateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_at_first(asked: Asked) -> Said:
        if len(gateway.asked) == 1:
            time.sleep(FRESH + 0.1)
        return test_twilio.twilio(asked)

    gateway.play = slow_at_first
    monkeypatch.setenv("SMS_TOKEN", test_twilio.TOKEN)
    settings = {"url": gateway.url, "account_sid": test_twilio.SID, "auth_token_env": "SMS_TOKEN"}
    make_account("sms", channel="sms", transport="twilio", sender=test_twilio.SHOP, settings=settings)
    numbers = [f"+1500555{n:04}" for n in (101, 102, 103)]
    write(now, "sms", [reader(to, "Mei", now) for to in numbers], text="Hello. Reply STOP to opt out")
    assert send(now) == {"accepted": 3}
    assert [asked.form["To"] for asked in gateway.asked] == numbers, "each once"
    tries = Counter(Attempt.objects.values_list("outcome", flat=True))
    assert tries["sent"] == 3
    assert tries.keys() == {"sent", "not_begun"}, "what did not begin in time surely had not begun"


def test_a_refused_number_and_a_stop_reach_the_address(
    gateway: Gateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.play = test_twilio.twilio
    monkeypatch.setenv("SMS_TOKEN", test_twilio.TOKEN)
    settings = {"url": gateway.url, "account_sid": test_twilio.SID, "auth_token_env": "SMS_TOKEN"}
    make_account("sms", channel="sms", transport="twilio", sender=test_twilio.SHOP, settings=settings)
    numbers = (test_twilio.BAD, test_twilio.STOPPED, test_twilio.LANDLINE, test_twilio.GOOD)
    people = [reader(to, "Mei", now) for to in numbers]
    write(now, "sms", people, text="Hello. Reply STOP to opt out")
    assert send(now) == {"accepted": 1, "rejected": 3}
    rows = Address.objects.order_by("id").values_list("value", "suppressed", "consents", "refusals")
    assert list(rows) == [
        (test_twilio.BAD, "hard_bounce", [OFFERS], []),
        (test_twilio.STOPPED, "", [], ["*"]),
        (test_twilio.LANDLINE, "hard_bounce", [OFFERS], []),
        (test_twilio.GOOD, "", [OFFERS], []),
    ]
    stopped = Consent.objects.get(action="withdrawn")
    message = Delivery.objects.get(address__value=test_twilio.STOPPED)
    assert stopped.source == "provider"
    assert (stopped.evidence["account"], stopped.evidence["code"]) == ("sms", "twilio 21610")
    queue_to(people[:3], message.version, now=now, prefix="again")
    assert send(now) == {"accepted": 1, "rejected": 3, "skipped": 3}
    assert len(gateway.asked) == 4


def test_a_body_by_webhook(gateway: Gateway, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.play = test_webhook.receiver
    monkeypatch.setenv("HOOK_SECRET", test_webhook.SECRET)
    hook(gateway)
    people = [make_profile(email=f"{n}@x.example", first_name=name, now=now) for n, name in enumerate(NAMES)]
    quoted = """{{ profile.first_name | replace('\\\\', '\\\\\\\\') | replace('"', '\\\\"') }}"""
    write(now, "webhook", people, body=f'{{"name": "{quoted}", "vip": false}}')
    assert send(now) == {"accepted": 3, "render_failed": 1}
    assert [json.loads(asked.body) for asked in gateway.asked] == [{"name": n, "vip": False} for n in NAMES[:3]]
    refs = Delivery.objects.filter(state="accepted").order_by("id").values_list("public_id", flat=True)
    assert [asked.headers["webhook-id"] for asked in gateway.asked] == [str(ref) for ref in refs]


def test_text_that_is_not_quoted_cannot_overrule_a_name(
    gateway: Gateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", test_webhook.SECRET)
    hook(gateway)
    person = make_profile(email="bo@x.example", first_name='Bo", "vip": true, "x": "', now=now)
    write(now, "webhook", [person], body='{"vip": false, "name": "{{ profile.first_name }}"}')
    assert send(now) == {"render_failed": 1}
    assert Delivery.objects.get().reason == test_webhook.NO_JSON
    assert gateway.asked == []


def test_a_work_message_reaches_the_person_of_a_trait(
    gateway: Gateway, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = Said(200, {"errcode": 0, "access_token": "a", "expires_in": 7200})
    gateway.play = lambda asked: token if "gettoken" in asked.target else Said(200, {"errcode": 0, "msgid": "m1"})
    monkeypatch.setenv("WECOM_SECRET", "s3cret")
    settings = {"url": gateway.url, "corp_id": "walk", "agent_id": "7", "secret_env": "WECOM_SECRET"}
    make_account("work", channel="wecom", transport="http", sender="", settings=settings)
    mei = make_profile(email="mei@x.example", first_name="Mei", traits={"wecom_userid": "Mei.Li"}, now=now)
    bo = make_profile(email="bo@x.example", first_name="Bo", traits={"wecom_userid": None}, now=now)
    address = address_for(mei, "wecom", now)
    assert address is not None
    assert address_for(bo, "wecom", now) is None
    give_consent(address, OFFERS, now=now, source="test")
    write(now, "wecom", [mei, bo], text="Hello {{ profile.first_name }}. Reply STOP to opt out")
    assert send(now) == {"accepted": 1, "skipped": 1}
    assert outcomes() == [("accepted", "sent", "errcode 0", "m1")]
    assert [json.loads(asked.body)["touser"] for asked in gateway.asked if asked.body] == ["mei.li"]
    assert Delivery.objects.get(profile=bo).address_id is None


def test_the_queue_reads_of_a_person_what_the_channel_reads(now: datetime) -> None:
    person = make_profile(email="mei@x.example", phone="+8613800138000", traits={"wecom_userid": "mei"}, now=now)
    for channel, column in (("email", "email"), ("sms", "phone"), ("wecom", "traits"), ("webhook", "")):
        version = make_version(channel, channel=channel, topic=OFFERS, now=now)
        with CaptureQueriesContext(connection) as asked:
            queue_to([person], version, now=now, prefix=channel)
        reading = [one["sql"] for one in asked if 'FROM "segments_profile"' in one["sql"]]
        found = {name for name in ("email", "phone", "traits") for sql in reading if f'"{name}"' in sql}
        assert found == {column} - {""}
    assert set(Address.objects.values_list("channel", "value")) == {
        ("email", "mei@x.example"), ("sms", "+8613800138000"), ("wecom", "mei"),
    }  # fmt: skip
