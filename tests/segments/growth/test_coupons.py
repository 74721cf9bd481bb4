"""Coupons: distinct codes under a rush, once per key, and an empty pool answers instead of failing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from segments.growth import coupons
from segments.models import Benefit, Coupon, CouponPool, Event, Grant, Profile

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def someone() -> Profile:
    return Profile.objects.create(shard=1, bucket=1, first_seen_at=NOW, last_seen_at=NOW)


def a_pool(stock: int = 0, **given: object) -> CouponPool:
    benefit = Benefit.objects.create(key="five", name="5 off", kind="amount", amount=500, currency="USD", valid_days=14)
    pool = CouponPool.objects.create(key="welcome", name="Welcome", benefit=benefit, prefix="HI", **given)
    coupons.generate(pool, stock)
    return pool


@pytest.mark.django_db
def test_a_key_gets_one_code_and_the_same_again() -> None:
    a_pool(3)
    mei = someone()
    first = coupons.claim("welcome", [coupons.Claim(mei.pk, "k")], now=NOW, reason="welcome")["k"]
    again = coupons.claim("welcome", [coupons.Claim(mei.pk, "k")], now=NOW, reason="welcome")["k"]
    assert first is not None
    assert again == first
    assert first.expires_at == NOW + timedelta(days=14)
    assert Grant.objects.get().coupon == first
    assert Event.objects.get(name="@benefit_granted").properties == {"benefit": "five", "pool": "welcome"}


@pytest.mark.django_db
def test_an_empty_pool_answers_none_and_an_endless_one_never_does() -> None:
    pool = a_pool(1)
    claims = [coupons.Claim(someone().pk, f"k{i}") for i in range(3)]
    found = coupons.claim("welcome", claims, now=NOW, reason="r")
    assert [found[c.key] is not None for c in claims] == [True, False, False]
    pool.endless = True
    pool.save()
    assert all(coupons.claim("welcome", claims, now=NOW, reason="r").values())
    assert coupons.stock(pool) == coupons.Stock(0, 3, False)


@pytest.mark.django_db
def test_a_person_gets_no_more_than_the_pools_share() -> None:
    a_pool(5, per_person=1)
    mei = someone()
    found = coupons.claim("welcome", [coupons.Claim(mei.pk, "a"), coupons.Claim(mei.pk, "b")], now=NOW, reason="r")
    assert [found["a"] is not None, found["b"] is not None] == [True, False]


@pytest.mark.django_db
def test_a_code_is_redeemed_once_and_expires_unless_used() -> None:
    a_pool(2)
    one, two = (
        coupons.claim("welcome", [coupons.Claim(someone().pk, key)], now=NOW, reason="r")[key] for key in ("a", "b")
    )
    assert one is not None
    assert two is not None
    assert coupons.redeem(one.code, order_ref="o1", now=NOW)
    assert not coupons.redeem(one.code, order_ref="o2", now=NOW)
    assert coupons.expire_coupons(NOW + timedelta(days=15)) == 1
    assert not coupons.redeem(two.code, order_ref="o3", now=NOW)
    assert set(Coupon.objects.values_list("state", "order_ref")) == {("redeemed", "o1"), ("expired", "")}


@pytest.mark.django_db(transaction=True)
def test_a_hundred_claims_on_sixty_codes() -> None:
    """60 distinct codes, 40 refusals, none twice."""
    a_pool(60)
    people = [someone().pk for _ in range(100)]
    answers: list[Coupon | None] = []
    lock = threading.Lock()

    def run(mine: list[int]) -> None:
        for person in mine:
            found = coupons.claim("welcome", [coupons.Claim(person, f"k{person}")], now=NOW, reason="rush")
            with lock:
                answers.extend(found.values())
        connection.close()

    threads = [threading.Thread(target=run, args=(people[start::8],)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    codes = [coupon.code for coupon in answers if coupon]
    assert (len(codes), len(set(codes)), answers.count(None)) == (60, 60, 40)
    assert Coupon.objects.filter(state="assigned").count() == Grant.objects.count() == 60
