"""Consent as a fact: the form's own event gives or withdraws it, with itself as evidence."""

from __future__ import annotations

import pytest
from django.db import transaction

from messaging.consents import read_consents
from messaging.models import Address, Consent, Topic
from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from segments.models import Profile
from tests.people import NOW, make_profile, make_source
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)


def says(person: Profile, name: str, key: str, **properties: object) -> None:
    with transaction.atomic():
        append_facts(
            [NewFact(person.pk, person.shard, name, NOW, key, make_source("web").pk, properties=properties)], now=NOW
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


def test_a_word_about_a_topic_that_comes_later_is_kept() -> None:
    mei = make_profile(email="mei@example.com")
    says(mei, "Subscribed", "a", topic="offers")
    assert Address.objects.get(value="mei@example.com").consents == ["offers"]
