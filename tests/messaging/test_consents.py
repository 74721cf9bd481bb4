"""Consent as a fact: the form's own event gives or withdraws it, with itself as evidence."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import transaction

from messaging.consents import read_consents
from messaging.models import Address, Consent, Topic
from messaging.permission import address_for, withdraw
from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from segments.models import Profile
from tests.people import NOW, make_profile, make_source
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)


def says(person: Profile, name: str, key: str, *, at: datetime = NOW, **properties: object) -> None:
    with transaction.atomic():
        append_facts(
            [NewFact(person.pk, person.shard, name, at, key, make_source("web").pk, properties=properties)], now=NOW
        )
    settle_log()
    read_consents(NOW)


def test_subscribing_and_leaving_again() -> None:
    Topic.objects.create(key="offers", name="Offers", purpose="marketing")
    mei = make_profile(email="mei@example.com")
    says(mei, "Subscribed", "a", topic="offers", wording="2026-01")
    row = Address.objects.get(value="mei@example.com")
    assert (row.consents, row.refusals) == (["offers"], [])
    consent = Consent.objects.get()
    assert (consent.wording, consent.action, consent.at) == ("2026-01", "given", NOW)
    assert set(consent.evidence) == {"fact", "ip"}
    says(mei, "Unsubscribed", "b", topic="offers")
    row.refresh_from_db()
    assert (row.consents, row.refusals) == ([], ["offers"])


def test_an_unknown_channel_or_a_missing_address_says_nothing() -> None:
    mei, nobody = make_profile(email="mei@example.com"), make_profile(user_id="u9")
    says(mei, "Subscribed", "b", topic="offers", channel="pigeon")
    says(nobody, "Subscribed", "c", topic="offers")
    assert not Consent.objects.exists()


def state(value: str) -> tuple[list[str], list[str]]:
    row = Address.objects.get(value=value)
    return row.consents, row.refusals


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        (("Subscribed", "offers"), ("Unsubscribed", "offers"), ([], ["offers"])),
        (("Unsubscribed", "offers"), ("Subscribed", "offers"), (["offers"], [])),
        (("Subscribed", "offers"), ("Unsubscribed", "*"), ([], ["*"])),
        (("Unsubscribed", "*"), ("Subscribed", "offers"), (["offers"], ["*"])),
        (("Subscribed", "offers"), ("Subscribed", "news"), (["news", "offers"], [])),
    ],
)
def test_what_was_said_last_holds_in_whatever_order_it_is_heard(
    earlier: tuple[str, str], later: tuple[str, str], expected: tuple[list[str], list[str]]
) -> None:
    mei, bo = make_profile(email="mei@example.com"), make_profile(email="bo@example.com")
    old = NOW - timedelta(days=300)
    says(mei, earlier[0], "m1", at=old, topic=earlier[1])
    says(mei, later[0], "m2", topic=later[1])
    says(bo, later[0], "b2", topic=later[1])
    says(bo, earlier[0], "b1", at=old, topic=earlier[1])
    assert state("mei@example.com") == state("bo@example.com") == expected
    assert Consent.objects.count() == 4, "and all of it is on record"


def test_an_old_consent_does_not_undo_the_click_on_leave() -> None:
    mei = make_profile(email="mei@example.com")
    says(mei, "Subscribed", "a", at=NOW - timedelta(days=2), topic="offers")
    withdraw(Address.objects.get(), "offers", now=NOW - timedelta(days=1), source="link")
    says(mei, "Subscribed", "late", at=NOW - timedelta(days=3), topic="offers")
    assert state("mei@example.com") == ([], ["offers"])
    says(mei, "Subscribed", "again", topic="offers")
    assert state("mei@example.com") == (["offers"], [])


def test_a_word_dated_ahead_was_said_when_it_came() -> None:
    mei = make_profile(email="mei@example.com")
    says(mei, "Subscribed", "a", at=NOW + timedelta(days=400), topic="offers")
    withdraw(Address.objects.get(), "offers", now=NOW + timedelta(hours=1), source="link")
    assert state("mei@example.com") == ([], ["offers"])


def test_a_word_said_before_there_was_an_address_is_kept_for_it() -> None:
    gone = make_profile(user_id="u9")
    says(gone, "Subscribed", "a", at=NOW - timedelta(days=2), topic="offers")
    says(gone, "Unsubscribed", "b", at=NOW - timedelta(days=1), topic="offers")
    Profile.objects.filter(pk=gone.pk).update(email="gone@example.com")
    gone.refresh_from_db()
    address_for(gone, "email", NOW)
    assert state("gone@example.com") == ([], ["offers"])
    read_consents(NOW)
    assert Consent.objects.count() == 2, "each is recorded once"
    Profile.objects.filter(pk=gone.pk).update(email="new@example.com")
    gone.refresh_from_db()
    address_for(gone, "email", NOW)
    assert state("new@example.com") == ([], []), "another address was not what they spoke of"


def test_a_word_about_a_topic_that_comes_later_is_kept() -> None:
    mei = make_profile(email="mei@example.com")
    says(mei, "Subscribed", "a", topic="offers")
    assert Address.objects.get(value="mei@example.com").consents == ["offers"]
