"""Coupons: distinct codes under a rush, once per key, and an empty pool answers instead of failing."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils.translation import override

from common.params import Invalid
from segments.growth import coupons, pools
from segments.models import Benefit, Coupon, CouponPool, Event, Grant, Profile

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def someone() -> Profile:
    return Profile.objects.create(shard=1, bucket=1, first_seen_at=NOW, last_seen_at=NOW)


def a_pool(stock: int = 0, **given: object) -> CouponPool:
    benefit = Benefit.objects.create(key="five", name="5 off", kind="amount", amount=500, currency="USD", valid_days=14)
    pool = CouponPool.objects.create(key="welcome", name="Welcome", benefit=benefit, prefix="HI", **given)
    pools.generate(pool, stock)
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
    assert pools.stock(pool) == pools.Stock(0, 3, False)


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
def test_fifty_threads_claim_two_hundred_times_on_sixty_codes() -> None:
    """60 distinct codes, 140 refusals, none twice: each thread has a connection of its own."""
    a_pool(60)
    people = [someone().pk for _ in range(200)]
    answers: list[str] = []
    refused: list[int] = []
    failed: list[BaseException] = []
    start = threading.Barrier(50)

    def run(mine: list[int]) -> None:
        try:
            start.wait()
            for person in mine:
                found = coupons.claim("welcome", [coupons.Claim(person, f"k{person}")], now=NOW, reason="rush")
                code = found[f"k{person}"]
                answers.append(code.code) if code else refused.append(person)
        except BaseException as error:  # noqa: BLE001 - asserted below
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(people[first::50],)) for first in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert (len(answers), len(set(answers)), len(refused)) == (60, 60, 140)
    assert Coupon.objects.filter(state="assigned").count() == Grant.objects.count() == 60
    assert set(Coupon.objects.values_list("code", flat=True)) == set(answers)


@pytest.mark.django_db(transaction=True)
def test_rival_claims_of_one_person_stay_within_the_share() -> None:
    a_pool(30, per_person=2)
    mei = someone()
    given: list[object] = []

    def run(number: int) -> None:
        found = coupons.claim("welcome", [coupons.Claim(mei.pk, f"k{number % 6}")], now=NOW, reason="r")
        given.extend(found.values())
        connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 12
    assert Coupon.objects.filter(profile=mei).count() == 2


@pytest.mark.django_db
def test_a_pool_gives_in_its_time_and_no_more_than_its_limit() -> None:
    a_pool(5, most=2, starts_at=NOW, ends_at=NOW + timedelta(days=3))
    claims = [coupons.Claim(someone().pk, f"k{n}") for n in range(3)]
    for at in (NOW - timedelta(seconds=1), NOW + timedelta(days=3)):
        assert not any(coupons.claim("welcome", claims, now=at, reason="r").values())
    found = coupons.claim("welcome", claims, now=NOW, reason="r")
    assert [found[c.key] is not None for c in claims] == [True, True, False]
    first = found["k0"]
    assert first is not None
    assert first.expires_at == NOW + timedelta(days=3)  # the pool ends before the benefit's 14 days do


@pytest.mark.django_db
def test_a_file_fills_a_pool_and_every_other_row_is_told(tmp_path: Path) -> None:
    pool = a_pool()
    other = CouponPool.objects.create(key="other", name="Other", benefit=pool.benefit)
    Coupon.objects.create(pool=other, code="TAKEN")
    Coupon.objects.create(pool=pool, code="MINE")
    file = tmp_path / "codes.csv"
    file.write_text("code,note\nAAA1,x\n  AAA2 ,\nAAA1,\n,\nMINE,\nTAKEN,\nA B,\n" + "L" * 61 + ",\n")
    refused: list[pools.Refusal] = []
    assert pools.load(pool, file, refuse=refused.append) == pools.Loaded(8, 2, 6)
    assert [(one.line, one.code) for one in refused] == [
        (4, "twice"), (5, "empty"), (6, "here"), (7, "elsewhere"), (8, "not_plain"), (9, "too_long"),
    ]  # fmt: skip
    with override("zh-hans"):
        assert refused[0].reason == "文件中该券码重复"
    assert set(pool.coupons.values_list("code", "state")) == {("AAA1", "free"), ("AAA2", "free"), ("MINE", "free")}
    assert pools.load(pool, file, refuse=lambda _: None).added == 0
    (tmp_path / "none.csv").write_text("coupon\nX\n")
    with pytest.raises(Invalid, match="no column 'code'"):
        pools.load(pool, tmp_path / "none.csv", refuse=refused.append)


@pytest.mark.django_db
def test_made_codes_are_as_many_as_asked_and_easy_to_read_aloud() -> None:
    pool = a_pool()
    assert pools.generate(pool, 1203) == 1203
    codes = list(pool.coupons.values_list("code", flat=True))
    assert len(set(codes)) == 1203
    assert all(code.startswith("HI-") and len(code) == 13 for code in codes)
    assert not set("ILO01") & set("".join(code.removeprefix("HI-") for code in codes))


@pytest.mark.django_db
def test_a_low_stock_is_told_once_until_the_pool_is_filled() -> None:
    pool = a_pool(20)
    claims = [coupons.Claim(someone().pk, f"k{n}") for n in range(18)]
    coupons.claim("welcome", claims[:17], now=NOW, reason="r")
    assert pools.watch_stock(NOW) == []
    coupons.claim("welcome", claims, now=NOW, reason="r")
    assert [pools.watch_stock(NOW), pools.watch_stock(NOW)] == [["welcome"], []]
    pool.refresh_from_db()
    assert pool.low_since == NOW
    pools.generate(pool, 10)
    assert pools.watch_stock(NOW) == []
    coupons.claim("welcome", [coupons.Claim(someone().pk, f"m{n}") for n in range(10)], now=NOW, reason="r")
    assert pools.watch_stock(NOW) == ["welcome"]


@pytest.mark.django_db
def test_a_code_counts_when_the_order_was_in_time_however_it_was_typed() -> None:
    a_pool(2)
    person = someone()
    found = coupons.claim(
        "welcome", [coupons.Claim(person.pk, "a"), coupons.Claim(person.pk, "b")], now=NOW, reason="r"
    )
    one, two = (found[key].code for key in "ab")  # type: ignore[union-attr]
    late, in_time = NOW + timedelta(days=14), NOW + timedelta(days=13)
    uses = [coupons.Use(one.lower(), "A1", in_time), coupons.Use(two, "A2", late), coupons.Use("NONE", "A3", in_time)]
    assert coupons.redeem_many(uses, now=NOW + timedelta(days=20)) == [True, False, False]
    assert Event.objects.get(name="@coupon_redeemed").properties == {
        "benefit": "five", "pool": "welcome", "order_id": "A1",
    }  # fmt: skip
