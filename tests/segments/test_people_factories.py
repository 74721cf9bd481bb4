"""The factories of the tests make people as the product makes them."""

from __future__ import annotations

import pytest

from common.models import ApiKey
from segments.models import EventStats, Identity, Order
from tests.people import NOW, make_fact, make_key, make_order, make_profile, make_source

pytestmark = pytest.mark.django_db


def test_a_person_has_an_identity_for_each_name() -> None:
    mei = make_profile(email="Mei@Example.com", user_id="u1", first_name="Mei")
    assert set(Identity.objects.filter(profile=mei).values_list("kind", "value")) == {
        ("email", "mei@example.com"),
        ("user_id", "u1"),
    }
    assert (mei.email, mei.first_name, mei.first_seen_at) == ("mei@example.com", "Mei", NOW)


def test_an_order_leaves_its_fact_and_lifetime_row() -> None:
    mei = make_profile(email="mei@example.com")
    make_order(mei, "o1", total=2500)
    make_fact(mei, "Viewed", page="/")
    assert Order.objects.get().net_reporting == 2500
    assert {(row.name, row.count, row.amount) for row in EventStats.objects.all()} == {
        ("Order Completed", 1, 2500),
        ("Viewed", 1, None),
    }


def test_a_key_belongs_to_its_source() -> None:
    secret = make_key(make_source("web"))
    key = ApiKey.objects.get()
    assert (key.subject, key.scopes, secret.startswith("pk_")) == ("source:web", ["ingest"], True)
