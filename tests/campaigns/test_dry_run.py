"""Dry runs: one person through a draft, step by step, with what is assumed of them; nothing is sent or written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from campaigns.install import install_recipe
from campaigns.models import Enrolment, Journey
from campaigns.rehearsal import scratch
from campaigns.rehearsal.trial import MOST_ASSUMED, dry_run
from common.models import AuditEntry
from common.params import Invalid
from messaging.consents import read_consents
from messaging.models import Account, Delivery
from segments.ingest import ingest
from segments.models import Coupon, Event, Profile, Source

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = 86400
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rehearsals")


@pytest.fixture
def journey(settings: Any, shelf: Path) -> Journey:
    settings.VAR = shelf
    Account.objects.create(
        key="mail", name="Mail", channel="email", transport="smtp", sender="Shop <shop@example.com>",
        settings={"host": "192.0.2.1", "port": 25}, is_default=True,
    )  # fmt: skip
    made = install_recipe("churn-winback", now=NOW - timedelta(days=60)).journey
    assert made is not None
    made.holdout = 0
    made.save()
    return made


@pytest.fixture
def person() -> Profile:
    """Somebody in Shanghai who agreed to offers."""
    source = Source.objects.create(key="shop", name="Shop", kind=Source.Kind.HTTP)
    traits = {"email": "lin@example.com", "first_name": "Lin", "timezone": "Asia/Shanghai", "locale": "zh-Hans"}
    calls = [
        {"type": "identify", "userId": "lin", "traits": traits},
        {"type": "track", "event": "Subscribed", "userId": "lin", "properties": {"topic": "offers"}},
    ]
    assert all(one.ok for one in ingest(calls, source=source, now=NOW - timedelta(days=40)))
    read_consents(NOW - timedelta(days=40))
    return Profile.objects.get(email="lin@example.com")


def test_somebody_who_does_nothing_walks_to_the_end(journey: Journey, person: Profile) -> None:
    before = (Enrolment.objects.count(), Delivery.objects.count(), Coupon.objects.count(), Event.objects.count())
    told = dry_run(journey, person, now=NOW, days=40)
    steps = [(one["node"], one["port"]) for one in told["steps"]]
    assert steps == [
        ("remind", "next"), ("return", "timeout"), ("offer-coupon", "next"), ("offer", "next"),
        ("last-chance", "timeout"), ("gone", ""),
    ]  # fmt: skip
    assert told["walk"]["state"] == "completed"
    sent = [(one["template"], one["state"]) for one in told["messages"]]
    assert sent == [("winback-reminder", "accepted"), ("winback-offer", "accepted")]
    assert [one["what"] for one in told["given"]] == ["winback-20"]
    first = datetime.fromisoformat(told["messages"][0]["at"])
    assert first >= NOW
    second = datetime.fromisoformat(told["messages"][1]["at"])
    assert timedelta(days=7) <= second - NOW < timedelta(days=8), "the wait is as long as it says"
    after = (Enrolment.objects.count(), Delivery.objects.count(), Coupon.objects.count(), Event.objects.count())
    assert before == after
    assert not list(scratch.folder().glob("dry-*"))
    assert AuditEntry.objects.get(action="journey.dry_run").detail == {"person": str(person.public_id)}


def test_what_is_assumed_of_them_happens(journey: Journey, person: Profile) -> None:
    order = {"order_id": "1", "total": 20, "currency": "USD"}
    told = dry_run(
        journey, person, now=NOW, days=40,
        assumed=[{"fact": "Order Completed", "after": 2 * DAY, "properties": order}],
    )  # fmt: skip
    assert [one["node"] for one in told["steps"]] == ["remind", "return"]
    assert told["walk"]["state"] == "exited"
    assert told["walk"]["converted_at"] == (NOW + timedelta(days=2)).isoformat()
    assert [one["template"] for one in told["messages"]] == ["winback-reminder"]


def test_why_nothing_would_be_sent_is_told(journey: Journey, person: Profile) -> None:
    """A gate says no: the reason is that of a real message."""
    from messaging.permission import suppress_value

    suppress_value("email", "lin@example.com", "complaint", NOW)
    told = dry_run(journey, person, now=NOW, days=3)
    assert [(one["state"], one["reason"].partition(":")[0]) for one in told["messages"]] == [("skipped", "suppressed")]


def test_what_is_asked_wrongly_is_told_at_once(journey: Journey, person: Profile) -> None:
    with pytest.raises(Invalid) as wrong:
        dry_run(journey, person, now=NOW, days=400, assumed=[{"fact": "@x", "after": -1}, {"fact": "", "after": "x"}])
    assert [one.path for one in wrong.value.problems] == [
        "days", "assumed.0.fact", "assumed.0.after", "assumed.1.fact", "assumed.1.after",
    ]  # fmt: skip
    with pytest.raises(Invalid):
        dry_run(journey, person, now=NOW, assumed=[{"fact": "A", "after": 1}] * (MOST_ASSUMED + 1))
    journey.draft["nodes"]["remind"]["params"]["template"] = "nobody-wrote-it"
    with pytest.raises(Invalid, match="nobody-wrote-it"):
        dry_run(journey, person, now=NOW)
