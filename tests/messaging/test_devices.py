"""Devices: registered with the person's token, told of messages, forgotten when their service knows them no more."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from django.test import Client

from messaging import devices, tokens
from messaging.models import Address, Attempt, Consent, Delivery, Device, Template
from messaging.outbox.send import send_due
from messaging.permission import lift_suppression, withdraw
from messaging.publish import publish_template
from segments import erase
from segments.merge import merge
from segments.models import Profile
from tests.messages import OFFERS, make_account, make_topic, make_version, queue_to, render_plainly
from tests.messaging.channels.conftest import gateway
from tests.messaging.channels.gateway import Gateway
from tests.messaging.channels.test_push import PEM, UNREGISTERED, WHO, Google
from tests.messaging.channels.test_webpush import OURS, SUBJECT, Browser, service
from tests.people import make_profile

__all__ = ["gateway"]
pytestmark = pytest.mark.django_db(transaction=True)
LIMIT = 10


def app(person: Profile, now: datetime) -> Client:
    return Client(
        HTTP_AUTHORIZATION=f"Bearer {tokens.inbox_token(person.pk, now=now)}", HTTP_USER_AGENT="Shop/1 (Phone)"
    )


def post(client: Client, body: Any, method: str = "post") -> Any:
    return getattr(client, method)("/inbox/devices", json.dumps(body), content_type="application/json")


@pytest.fixture
def mei(now: datetime) -> Profile:
    return make_profile(email="mei@example.com", first_name="Mei", now=now)


@pytest.fixture(autouse=True)
def _clock(now: datetime) -> Any:
    with time_machine.travel(now, tick=False):
        yield


def test_an_app_registers_is_seen_again_and_leaves(mei: Profile, now: datetime) -> None:
    client = app(mei, now)
    make_topic()
    answer = post(client, {"channel": "push", "token": "tok-1", "topics": [OFFERS]})
    assert (answer.status_code, answer.json()) == (201, {"registered": True, "topics": [OFFERS]})
    assert answer["Access-Control-Allow-Origin"] == "*"
    address = Address.objects.get(channel="push")
    assert (address.value, address.profile, address.consents) == (str(mei.public_id), mei, [OFFERS])
    assert Consent.objects.get().evidence["user_agent"] == "Shop/1 (Phone)"
    with time_machine.travel(now + timedelta(days=1), tick=False):
        assert post(client, {"channel": "push", "token": "tok-1"}).status_code == 201
    device = Device.objects.get()
    assert (device.registered_at, device.seen_at, device.label) == (now, now + timedelta(days=1), "Shop/1 (Phone)")
    told = client.get("/inbox/devices").json()["devices"]
    assert [sorted(one) for one in told] == [["channel", "label", "registered_at", "seen_at"]]
    assert post(client, {"channel": "push", "token": "tok-1"}, "delete").status_code == 204
    assert post(client, {"channel": "push", "token": "tok-1"}, "delete").status_code == 404
    assert client.get("/inbox/devices").json() == {"devices": []}
    assert devices.addresses_of([("push", mei.pk)]) == {}


def test_a_device_belongs_to_whoever_registered_it_last(mei: Profile, now: datetime) -> None:
    bo = make_profile(email="bo@example.com", now=now)
    for who in (mei, bo):
        post(app(who, now), {"channel": "push", "token": "shared"})
    assert devices.addresses_of([("push", mei.pk), ("push", bo.pk)]).keys() == {("push", bo.pk)}
    assert post(app(mei, now), {"channel": "push", "token": "shared"}, "delete").status_code == 404


def test_the_longest_unseen_of_many_devices_goes(mei: Profile, now: datetime) -> None:
    for n in range(LIMIT + 2):
        devices.register(mei, "push", f"tok-{n}", keys={}, now=now + timedelta(minutes=n))
    address = devices.addresses_of([("push", mei.pk)])["push", mei.pk]
    live = [one.token for one in devices.behind([address])[address]]
    assert live == [f"tok-{n}" for n in range(LIMIT + 1, 1, -1)]


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ("nonsense", "body"),
        ([], "body"),
        ({"channel": "push"}, "token"),
        ({"channel": "push", "token": ""}, "token"),
        ({"channel": "push", "token": "a\x00b"}, "token"),
        ({"channel": "push", "token": "x" * 4097}, "token"),
        ({"channel": "email", "token": "x"}, "channel"),
        ({"channel": "pigeon", "token": "x"}, "channel"),
        ({"channel": "push", "token": "x", "topics": ["no-such"]}, "topics"),
        ({"channel": "push", "token": "x", "topics": "offers"}, "topics"),
        ({"channel": "webpush", "subscription": {"endpoint": "ftp://x/", "keys": {}}}, "token"),
        ({"channel": "webpush", "subscription": {"endpoint": "https://x/"}}, "token"),
        ({"channel": "webpush", "subscription": "https://x/"}, "token"),
        ({"channel": "webpush", "token": "tok-1"}, "token"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(mei: Profile, now: datetime, body: Any, attr: str) -> None:
    answer = post(app(mei, now), body)
    assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, attr)
    assert not Device.objects.exists()
    assert not Address.objects.exists()


@pytest.mark.parametrize("header", ["", "Bearer x", "Basic x"])
def test_without_the_persons_token_nothing_is_told_or_kept(header: str, mei: Profile) -> None:
    client = Client(HTTP_AUTHORIZATION=header)
    assert client.get("/inbox/devices").status_code == 401
    assert post(client, {"channel": "push", "token": "x"}).status_code == 401
    assert not Device.objects.exists()
    assert client.options("/inbox/devices")["Access-Control-Allow-Methods"] == "GET, POST, DELETE, OPTIONS"


def test_a_browser_learns_the_key_it_subscribes_with(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Client().get("/inbox/push-key").status_code == 404
    monkeypatch.setenv("VAPID", OURS)
    make_account("web", channel="webpush", transport="vapid", settings={"private_key_env": "VAPID", "subject": SUBJECT})
    key = Client().get("/inbox/push-key").json()["key"]
    assert len(key) == 87


# --- the whole way ---


def account(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Google:
    file = {
        "project_id": "shop-1", "private_key_id": "kid-1", "private_key": PEM, "client_email": WHO,
        "token_uri": f"{gateway.url}/token",
    }  # fmt: skip
    monkeypatch.setenv("FCM_FILE_TEXT", json.dumps(file))
    settings = {"url": gateway.url, "service_account_env": "FCM_FILE_TEXT"}
    make_account("fcm", channel="push", transport="fcm", sender="", settings=settings)
    gateway.play = google = Google()
    return google


def send(now: datetime) -> dict[str, int]:
    return send_due(worker="test", now_fn=lambda: now, render=render_plainly).states


def test_one_message_reaches_every_device_and_what_is_gone_is_forgotten(
    gateway: Gateway, mei: Profile, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    google = account(gateway, monkeypatch)
    google.answers = {"old": UNREGISTERED}
    client = app(mei, now)
    bo = make_profile(email="bo@example.com", now=now)
    version = make_version("push", channel="push", now=now)
    for token in ("old", "phone", "tablet"):
        post(client, {"channel": "push", "token": token, "topics": [OFFERS]})
    queue_to([mei, bo], version, now=now)
    assert send(now) == {"accepted": 1, "skipped": 1}
    assert sorted(one["token"] for one in google.messages) == ["phone", "tablet"]
    row = Delivery.objects.get(profile=mei)
    assert google.messages[0]["data"] == {"delivery": str(row.public_id)}
    assert Attempt.objects.get().code == "200 (2 of 3)"
    assert Delivery.objects.get(profile=bo).reason == "no_address"
    gone = Device.objects.get(token="old")
    assert (gone.gone_at, gone.gone_because) == (now, "unknown to the provider")
    assert Address.objects.get(channel="push").suppressed == ""


def test_the_last_device_gone_leaves_no_address_until_another_comes(
    gateway: Gateway, mei: Profile, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    google = account(gateway, monkeypatch)
    google.answers = {"old": UNREGISTERED}
    version = make_version("push", channel="push", klass="transactional", topic="", now=now)
    post(app(mei, now), {"channel": "push", "token": "old"})
    queue_to([mei], version, now=now)
    assert send(now) == {"rejected": 1}
    queue_to([mei], version, now=now, prefix="b")
    assert send(now) == {"skipped": 1}
    assert Delivery.objects.latest("pk").reason == "no_address"
    post(app(mei, now), {"channel": "push", "token": "new"})
    queue_to([mei], version, now=now, prefix="c")
    assert send(now) == {"accepted": 1}
    assert [one["token"] for one in google.messages] == ["new"]


def test_who_refuses_gets_nothing_on_any_device(
    gateway: Gateway, mei: Profile, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    google = account(gateway, monkeypatch)
    version = make_version("push", channel="push", now=now)
    for token in ("phone", "tablet"):
        post(app(mei, now), {"channel": "push", "token": token, "topics": [OFFERS]})
    queue_to([mei], version, now=now)
    withdraw(Address.objects.get(channel="push"), OFFERS, now=now, source="test")
    assert send(now) == {"skipped": 1}
    assert google.messages == []
    lift_suppression(Address.objects.get(channel="push"))


def test_a_browser_reads_a_message_of_the_ledger(
    gateway: Gateway, mei: Profile, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.play = service
    monkeypatch.setenv("VAPID", OURS)
    make_account("web", channel="webpush", transport="vapid", settings={"private_key_env": "VAPID", "subject": SUBJECT})
    browser = Browser()
    made = browser.device(gateway)
    answer = post(
        app(mei, now), {"channel": "webpush", "subscription": {"endpoint": made.token, "keys": dict(made.keys)}}
    )
    assert answer.status_code == 201
    version = make_version("web", channel="webpush", klass="transactional", topic="", now=now)
    queue_to([mei], version, now=now, expires_at=now + timedelta(hours=1))
    assert send(now) == {"accepted": 1}
    row = Delivery.objects.get()
    said = json.loads(browser.read(gateway.asked[0].body))
    assert said == {"title": "Hello", "body": "Hi", "delivery": str(row.public_id)}


def test_devices_follow_a_merge_and_go_with_an_erasure(mei: Profile, now: datetime) -> None:
    visitor = make_profile(anonymous_id="a-1", now=now)
    post(app(visitor, now), {"channel": "push", "token": "phone"})
    merge(visitor, mei, now=now, actor="test", reason="one person")
    assert devices.addresses_of([("push", mei.pk)]).keys() == {("push", mei.pk)}
    post(app(mei, now), {"channel": "push", "token": "tablet"})
    assert Address.objects.filter(channel="push", profile=mei).count() == 1, "what a merge brought is used"
    erase.erase(mei, now=now)
    assert not Device.objects.exists()


def test_a_tap_leads_through_our_redirect_with_utm(
    gateway: Gateway, mei: Profile, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    google = account(gateway, monkeypatch)
    post(app(mei, now), {"channel": "push", "token": "phone"})
    content = {"title": "Hello {{ profile.first_name }}\n", "body": "Gift", "url": "https://shop.example/gift?a=1#top"}
    template = Template.objects.create(
        key="tap",
        name="Tap",
        channel="push",
        klass="transactional",
        content={"en": content},
        sample={"profile": {"first_name": "Mei"}},
    )
    version = publish_template(template, now=now)
    utm = {"utm_source": "shop", "utm_medium": "push", "utm_campaign": "gift"}
    queue_to([mei], version, now=now, utm=utm)
    assert send_due(worker="test", now_fn=lambda: now).states == {"accepted": 1}
    message = google.messages[0]
    assert message["notification"] == {"title": "Hello Mei", "body": "Gift"}
    tap = urlsplit(message["data"]["url"])
    answer = Client(HTTP_USER_AGENT="Shop/1 (Phone)").get(tap.path)
    assert tap.path.startswith("/c/")
    assert (answer.status_code, answer["Location"]) == (
        302, "https://shop.example/gift?a=1&utm_source=shop&utm_medium=push&utm_campaign=gift#top",
    )  # fmt: skip
