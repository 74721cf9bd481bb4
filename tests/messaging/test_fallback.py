"""Push, else SMS, else e-mail: the next way only when the last surely failed, each once and with its reason."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from messaging import devices
from messaging.answers import conclude
from messaging.fallback import Message, fall_back, in_order, queue_with_fallback, wish_of
from messaging.models import Delivery, Fallback, TemplateVersion
from messaging.outbox.queue import KeyReused, NewDelivery
from messaging.outbox.reads import balance
from messaging.outbox.send import send_due
from messaging.permission import address_for, give_consent
from messaging.reasons import in_words
from segments.merge import merge
from segments.models import Profile
from tests.messages import OFFERS, make_account, make_version, render_plainly
from tests.messaging.channels import test_twilio
from tests.messaging.channels.conftest import gateway
from tests.messaging.channels.gateway import DROP, Gateway
from tests.messaging.conftest import sink
from tests.messaging.witness import Witness
from tests.people import make_key, make_profile

__all__ = ["gateway", "sink"]
pytestmark = pytest.mark.django_db(transaction=True)
PHONE = "+15005550123"


@pytest.fixture
def ways(sink: Witness, gateway: Gateway, now: datetime, monkeypatch: pytest.MonkeyPatch) -> list[TemplateVersion]:
    """Accounts and a template for each way, transactional: what decides is the address alone."""
    monkeypatch.setenv("SMS_TOKEN", test_twilio.TOKEN)
    gateway.play = test_twilio.twilio
    settings = {"url": gateway.url, "account_sid": test_twilio.SID, "auth_token_env": "SMS_TOKEN"}
    make_account("sms", channel="sms", transport="twilio", sender=test_twilio.SHOP, settings=settings)
    make_account("fcm", channel="push", transport="fcm", sender="")
    make_account(port=sink.port)
    return versions(now, klass="transactional", topic="")


def versions(now: datetime, **fields: Any) -> list[TemplateVersion]:
    return [make_version(channel, channel=channel, now=now, **fields) for channel in ("push", "sms", "email")]


def plan(
    people: list[Profile], ways: list[TemplateVersion], now: datetime, prefix: str = "k", **fields: Any
) -> list[int | None]:
    first, *others = [version.pk for version in ways]
    messages = [
        Message(NewDelivery(f"{prefix}:{one.pk}", one.pk, first, now, **fields), tuple(others)) for one in people
    ]
    with transaction.atomic():
        return queue_with_fallback(messages, now=now)


def send(now: datetime) -> None:
    send_due(worker="test", now_fn=lambda: now, render=render_plainly)


def tries() -> list[tuple[str, str, str, str]]:
    return list(Delivery.objects.order_by("pk").values_list("dedupe_key", "channel", "state", "reason"))


def test_who_has_no_device_and_no_number_gets_a_mail(ways: list[TemplateVersion], sink: Witness, now: datetime) -> None:
    mei = make_profile(email="mei@example.com", now=now)
    utm = {"utm_source": "shop", "utm_medium": "push", "utm_campaign": "c"}
    plan([mei], ways, now, campaign="c", node="n", context={"coupon": "X1"}, utm=utm)
    for planned in ({"planned": 1}, {"planned": 1}, {"reached": 1}):
        send(now)
        assert fall_back(now) == planned
    assert fall_back(now) == {}
    key = f"k:{mei.pk}"
    assert tries() == [
        (key, "push", "skipped", "no_address"),
        (f"{key}:f1", "sms", "skipped", "no_address"),
        (f"{key}:f2", "email", "accepted", ""),
    ]
    assert len(sink.mails()) == 1
    row, last = Fallback.objects.get(), Delivery.objects.latest("pk")
    assert (row.delivery, row.versions, row.ended_at, row.ended_why) == (last, [], now, "accepted")
    assert [(one["channel"], one["reason"]) for one in row.story] == [("push", "no_address"), ("sms", "no_address")]
    assert (last.campaign, last.node, last.context, last.utm) == (
        "c", "n", {"coupon": "X1"}, {**utm, "utm_medium": "email"},
    )  # fmt: skip
    assert balance().adds_up


def test_a_next_way_says_what_it_stands_for(ways: list[TemplateVersion], now: datetime) -> None:
    plan([make_profile(phone=PHONE, now=now)], ways[:2], now)
    send(now)
    fall_back(now)
    waiting = Delivery.objects.get(state="planned")
    assert waiting.reason == "instead_of:push (no_address)"
    assert in_words(waiting.reason) == "by another way, instead of: push (no_address)"


def test_a_number_that_is_none_is_followed_by_a_mail_at_once(
    ways: list[TemplateVersion], sink: Witness, gateway: Gateway, now: datetime
) -> None:
    plan([make_profile(email="mei@example.com", phone=test_twilio.BAD, now=now)], ways[1:], now)
    send(now)
    fall_back(now)
    send(now)
    assert [(channel, state) for _, channel, state, _ in tries()] == [("sms", "rejected"), ("email", "accepted")]
    assert Fallback.objects.get().story[0]["reason"] == "twilio 21211"
    assert len(sink.mails()) == 1


def test_nothing_follows_doubt_until_proof_comes(
    ways: list[TemplateVersion], sink: Witness, gateway: Gateway, now: datetime
) -> None:
    gateway.play = lambda asked: DROP
    plan([make_profile(email="mei@example.com", phone=PHONE, now=now)], ways[1:], now)
    send(now)
    assert tries()[0][2] == "in_doubt"
    assert fall_back(now + timedelta(days=1)) == {}
    Delivery.objects.update(state="unknown")  # as the sweeper says after 72 hours
    assert fall_back(now + timedelta(days=4)) == {}
    assert sink.mails() == []
    assert Fallback.objects.get().ended_at is None
    conclude(Delivery.objects.get().pk, "rejected", "refused by the provider", now=now)
    assert fall_back(now + timedelta(days=4)) == {"planned": 1}
    send(now + timedelta(days=4))
    assert len(sink.mails()) == 1
    assert len(gateway.asked) == 1


def test_proof_that_it_arrived_ends_it(ways: list[TemplateVersion], gateway: Gateway, now: datetime) -> None:
    gateway.play = lambda asked: DROP
    plan([make_profile(email="mei@example.com", phone=PHONE, now=now)], ways[1:], now)
    send(now)
    conclude(Delivery.objects.get().pk, "accepted", "seen by its receiver", now=now)
    assert fall_back(now) == {"reached": 1}
    assert Delivery.objects.count() == 1


def test_want_of_consent_is_passed_over_and_a_refusal_stays_one(
    ways: list[TemplateVersion], sink: Witness, now: datetime
) -> None:
    marketing = versions(now)
    mei = make_profile(email="mei@example.com", phone=PHONE, now=now)
    mail = address_for(mei, "email", now)
    assert mail is not None
    give_consent(mail, OFFERS, now=now, source="test")
    devices.register(mei, "push", "tok", keys={}, now=now)
    plan([mei], marketing, now)
    for _ in range(3):
        send(now)
        fall_back(now)
    assert [(channel, state, reason) for _, channel, state, reason in tries()] == [
        ("push", "skipped", f"no_consent:{OFFERS}"),
        ("sms", "skipped", f"no_consent:{OFFERS}"),
        ("email", "accepted", ""),
    ]


@pytest.mark.parametrize(
    ("state", "reason", "ghost", "why"),
    [
        ("expired", "expired", False, "expired expired"),
        ("cancelled", "by_hand", False, "cancelled by_hand"),
        ("skipped", "cap:sms:day", False, "skipped cap:sms:day"),
        ("skipped", "holdout", True, "holdout"),
        ("skipped", "no_address", True, "holdout"),
        ("poisoned", "claims", False, "poisoned claims"),
    ],
)
def test_what_ends_otherwise_ends_the_message(
    ways: list[TemplateVersion], now: datetime, state: str, reason: str, ghost: bool, why: str
) -> None:
    plan([make_profile(email="mei@example.com", now=now)], ways, now)
    Delivery.objects.update(state=state, reason=reason, ghost=ghost)
    assert fall_back(now) == {"ended": 1}
    assert Fallback.objects.get().ended_why == why
    assert Delivery.objects.count() == 1


def test_what_comes_too_late_is_not_tried_again(ways: list[TemplateVersion], now: datetime) -> None:
    plan([make_profile(email="mei@example.com", now=now)], ways, now, expires_at=now + timedelta(hours=1))
    send(now)
    assert fall_back(now + timedelta(hours=1)) == {"ended": 1}
    assert Fallback.objects.get().ended_why == "expired"


def test_programs_see_the_ways_tried_and_left(ways: list[TemplateVersion], now: datetime) -> None:
    plan([make_profile(email="mei@example.com", now=now)], ways, now)
    send(now)
    fall_back(now)
    first, second = Delivery.objects.order_by("pk")
    client = Client(HTTP_AUTHORIZATION=f"Bearer {make_key(scopes=['deliveries:read'], now=now)}")
    for row in (first, second):
        said = client.get(f"/api/deliveries/{row.public_id}").json()["fallback"]
        assert said == {
            "tried": [{"delivery": str(first.public_id), "channel": "push", "reason": "no_address"}],
            "current": str(second.public_id), "ways_left": 1, "ended_at": None, "ended_because": "",
        }  # fmt: skip


def test_when_no_way_is_left_it_ends(ways: list[TemplateVersion], now: datetime) -> None:
    plan([make_profile(now=now)], ways, now)
    for _ in range(3):
        send(now)
        fall_back(now)
    assert (Fallback.objects.get().ended_why, Delivery.objects.count()) == ("no way is left", 3)
    assert balance().adds_up


def test_a_person_may_say_what_to_try_first(ways: list[TemplateVersion], sink: Witness, now: datetime) -> None:
    people = [
        make_profile(email="mei@example.com", phone=PHONE, traits={"channel_order": "email,sms"}, now=now),
        make_profile(email="bo@example.com", traits={"channel_order": ["pigeon", "sms"]}, now=now),
        make_profile(email="vip@example.com", traits={"channel_order": None}, now=now),
    ]
    plan(people, ways, now)
    firsts = Delivery.objects.order_by("pk").values_list("channel", flat=True)
    assert list(firsts) == ["email", "sms", "push"]
    channel = {version.pk: version.channel for version in ways}
    rest = {row.key: [channel[pk] for pk in row.versions] for row in Fallback.objects.all()}
    assert rest == {
        f"k:{people[0].pk}": ["sms", "push"], f"k:{people[1].pk}": ["push", "email"], f"k:{people[2].pk}": ["sms", "email"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("sms email", ("sms", "email")), ("sms,email", ("sms", "email")), (["email", 7, "pigeon"], ("email",)),
        ("", ()), (None, ()), ({"sms": 1}, ()),
    ],
)  # fmt: skip
def test_a_wish_names_channels(said: Any, expected: tuple[str, ...]) -> None:
    assert wish_of(said) == expected


def test_order_is_the_senders_but_for_what_is_wished() -> None:
    channel = {1: "push", 2: "sms", 3: "email", 4: "sms"}
    assert in_order([1, 2, 3, 2], channel, ()) == [1, 2, 3]
    assert in_order([1, 2, 3, 4], channel, ("email", "sms")) == [3, 2, 4, 1]


def test_the_same_again_is_the_same_message(ways: list[TemplateVersion], now: datetime) -> None:
    mei = make_profile(email="mei@example.com", now=now)
    assert plan([mei], ways, now) == [Delivery.objects.get().pk]
    Profile.objects.update(traits={"channel_order": "email"})
    assert plan([mei], ways, now) == [None], "also when the person has changed their mind"
    send(now)
    fall_back(now)
    assert plan([mei], ways, now) == [None], "also on the way"
    with pytest.raises(KeyReused):
        plan([mei], ways[:2], now)
    with pytest.raises(KeyReused):
        plan([mei], ways, now, context={"coupon": "X2"})
    assert (Delivery.objects.count(), Fallback.objects.count()) == (2, 1)


def test_one_way_is_an_ordinary_message(ways: list[TemplateVersion], now: datetime) -> None:
    mei = make_profile(email="mei@example.com", now=now)
    plan([mei], ways[2:], now)
    assert plan([mei], ways[2:], now) == [None]
    with pytest.raises(KeyReused):
        plan([mei], [ways[2], ways[1]], now)
    assert (Delivery.objects.count(), Fallback.objects.count()) == (1, 0)
    with pytest.raises(ValueError, match="190"):
        plan([mei], ways, now, prefix="x" * 190)


def test_many_cost_no_more_statements_than_few(ways: list[TemplateVersion], now: datetime) -> None:
    costs = []
    for count in (2, 40):
        people = [make_profile(email=f"{count}-{n}@example.com", now=now) for n in range(count)]
        with CaptureQueriesContext(connection) as planning:
            plan(people, ways, now, prefix=f"c{count}")
        send(now)
        with CaptureQueriesContext(connection) as falling:
            assert fall_back(now) == {"planned": count}
        send(now)
        costs.append((len(planning), len(falling)))
        Fallback.objects.update(ended_at=now)
    assert costs[0] == costs[1]


def test_two_workers_plan_one_next_try(ways: list[TemplateVersion], now: datetime) -> None:
    people = [make_profile(email=f"{n}@example.com", now=now) for n in range(20)]
    plan(people, ways, now)
    send(now)
    found: list[dict[str, int]] = []

    def work() -> None:
        try:
            found.append(fall_back(now))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.get("planned", 0) for one in found) == 20
    assert Delivery.objects.filter(channel="sms").count() == 20
    keys = Delivery.objects.filter(channel="sms").values_list("dedupe_key", flat=True)
    assert set(keys) == {f"k:{one.pk}:f1" for one in people}


def test_a_merge_between_two_tries_goes_on_for_the_one_person(ways: list[TemplateVersion], now: datetime) -> None:
    visitor, mei = make_profile(anonymous_id="a", now=now), make_profile(email="mei@example.com", now=now)
    plan([visitor], [ways[0], ways[2]], now)
    send(now)
    merge(visitor, mei, now=now, actor="test", reason="one person")
    fall_back(now)
    send(now)
    last = Delivery.objects.latest("pk")
    assert (last.profile, last.state) == (mei, "accepted")
