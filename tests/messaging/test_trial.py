"""Test sends: every channel that leads somewhere takes one, and none of them is a send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from common.params import Invalid
from messaging.channels import channels
from messaging.devices import register
from messaging.models import Account, Delivery, Device, Link, Template
from messaging.trial import Reach, context_for, reach_of, send_trial
from tests.messages import make_topic
from tests.messaging.channels.gateway import Gateway, Said, serving
from tests.messaging.channels.test_webpush import OURS, SUBJECT, Browser
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(settings: Any) -> Iterator[Gateway]:
    settings.OUTBOUND_HTTP, settings.OUTBOUND_PRIVATE = True, ["127.0.0.0/8"]
    with serving(lambda asked: Said(500)) as running:
        yield running


def trial(channel: str, parts: dict[str, str], settings: dict[str, Any], *, to: str = "", **account: Any) -> str:
    """A test of a draft with these parts over an account with these settings."""
    fields = {"transport": channels.get(channel).transports[0], "is_default": True, "sender": "", **account}
    Account.objects.create(key=f"{channel}-1", name=channel, channel=channel, settings=settings, **fields)
    template = Template.objects.create(
        key="t", name="T", channel=channel, klass="marketing", topic=make_topic(), content={"en": parts}
    )
    return send_trial(template, to=to, profile=None, locale="en", now=NOW)


def test_where_a_test_can_go() -> None:
    assert {key: str(reach_of(key)) for key, _ in channels.items()} == {
        "email": "address", "sms": "address", "wecom": "address", "console": "account", "push": "devices",
        "webpush": "devices", "dingtalk": "account", "feishu": "account", "wecom_robot": "account",
        "webhook": "account", "apprise": "account", "inbox": "nowhere",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("channel", "parts", "given", "answer", "said"),
    [
        (
            "feishu",
            {"text": "Hi {{ profile.first_name }}"},
            {"token": "t", "secret": "s"},
            {"code": 0},
            "[Test] Hi Mei",
        ),
        ("dingtalk", {"text": "Hi"}, {"token": "t", "secret": "s"}, {"errcode": 0}, "[Test] Hi"),
        ("wecom_robot", {"markdown": "**Hi**"}, {"key": "k"}, {"errcode": 0}, "[Test] **Hi**"),
        ("webhook", {"body": '{"a": 1}'}, {"secret": "whsec_c2VjcmV0"}, {}, '{"a": 1}'),
    ],
)
def test_a_group_and_another_system_take_a_test(
    provider: Gateway, channel: str, parts: dict[str, str], given: dict[str, Any], answer: Any, said: str
) -> None:
    provider.play = lambda asked: Said(200, answer)
    assert trial(channel, parts, {"url": provider.url, **given}) == ""
    assert said in provider.asked[0].body.decode()
    if channel == "webhook":
        assert provider.asked[0].headers["webhook-id"].startswith("test-")
    assert not Delivery.objects.exists()
    assert not Link.objects.exists()


def test_sms_by_both_providers(provider: Gateway) -> None:
    provider.play = lambda asked: Said(201, {"sid": "SM1", "status": "queued"})
    keys = {"url": provider.url, "account_sid": "AC1", "auth_token": "t"}
    assert trial("sms", {"text": "Hi"}, keys, to="+1 415 555 2671", sender="+14155550000") == ""
    assert (provider.asked[0].form["To"], provider.asked[0].form["Body"]) == ("+14155552671", "[Test] Hi")
    Account.objects.all().delete()
    Template.objects.all().delete()
    provider.play = lambda asked: Said(200, {"Code": "OK", "BizId": "1"})
    keys = {"url": provider.url, "access_key_id": "k", "access_key_secret": "s", "sign_name": "Ferns"}
    assert trial("sms", {"template": "SMS_1"}, keys, to="+8613800138000", transport="aliyun") == ""
    assert provider.asked[1].query["PhoneNumbers"] == "13800138000"
    assert not Delivery.objects.exists()


def test_what_the_provider_says_is_told(provider: Gateway) -> None:
    provider.play = lambda asked: Said(200, {"errcode": 310000, "errmsg": "sign not match"})
    told = trial("dingtalk", {"text": "Hi"}, {"url": provider.url, "token": "t", "secret": "s"})
    assert told == "transient: errcode 310000"


def test_push_goes_to_the_devices_of_a_person_and_forgets_those_that_are_gone(provider: Gateway) -> None:
    browser, person = Browser(), make_profile(email="mei@example.com")
    there, gone = (browser.device(provider, path=path) for path in ("there", "gone"))
    for one in (there, gone):
        register(person, "webpush", one.token, keys=one.keys, now=NOW)
    provider.play = lambda asked: Said(410 if asked.path.endswith("gone") else 201)
    keys = {"private_key": OURS, "subject": SUBJECT}
    assert trial("webpush", {"title": "Hi"}, keys, to="mei@example.com") == ""
    assert sorted(asked.path for asked in provider.asked) == ["/push/gone", "/push/there"]
    assert b'"[Test] Hi"' in next(browser.read(asked.body) for asked in provider.asked)
    assert list(Device.objects.filter(gone_at__isnull=True).values_list("token", flat=True)) == [there.token]
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(("to", "reason"), [("nobody@example.com", "nobody"), ("bo@example.com", "no device")])
def test_push_to_nobody_or_to_no_device_is_told(to: str, reason: str) -> None:
    make_profile(email="bo@example.com")
    with pytest.raises(Invalid, match=reason):
        trial("push", {"title": "Hi"}, {}, to=to)


def test_an_inbox_takes_no_test() -> None:
    assert reach_of("inbox") is Reach.NOWHERE
    template = Template.objects.create(key="t", name="T", channel="inbox", content={"en": {"title": "Hi", "body": "x"}})
    with pytest.raises(Invalid, match="cannot send a test"):
        send_trial(template, to="mei@example.com", profile=None, locale="en", now=NOW)


def test_what_can_never_be_sent_is_told_before_anybody_is_called(provider: Gateway) -> None:
    with pytest.raises(Invalid, match="markdown needs a title"):
        trial("dingtalk", {"markdown": "**Hi**"}, {"url": provider.url, "token": "t", "secret": "s"})
    assert provider.asked == []


@pytest.mark.parametrize(("klass", "plan"), [("marketing", None), ("transactional", "gold")])
def test_who_refuses_profiling_is_shown_what_they_would_get(klass: str, plan: str | None) -> None:
    """Marketing is written from plain facts about them alone, in a preview as in the message."""
    person = make_profile(
        email="mei@example.com", first_name="Mei", traits={"plan": "gold"}, no_profiling=True, now=NOW
    )
    template = Template.objects.create(key="t", name="T", channel="email", klass=klass, topic=make_topic())
    shown = context_for(template, profile=person, locale="en")["profile"]
    assert (shown.get("plan"), shown["first_name"]) == (plan, "Mei")
