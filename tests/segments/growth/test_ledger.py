"""The points ledger: every balance is the sum of its rows, whatever is spent, expired, reversed or retried."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from segments.growth import ledger, levels
from segments.models import Event, Level, PointDraw, PointEntry, Profile, Wallet
from segments.timeline import timeline

D0 = datetime(2026, 3, 2, 12, tzinfo=UTC)


def day(number: int) -> datetime:
    return D0 + timedelta(days=number)


def someone() -> Profile:
    return Profile.objects.create(shard=1, bucket=1, first_seen_at=D0, last_seen_at=D0)


@pytest.fixture
def mei(db: None) -> Profile:
    """Earned 100 (until day 10) and 50 (until day 30)."""
    person = someone()
    ledger.earn(person.pk, 100, key="a", reason="order", now=D0, expires_at=day(10))
    ledger.earn(person.pk, 50, key="b", reason="order", now=D0, expires_at=day(30))
    return person


def test_a_spend_takes_the_earliest_expiry_first(mei: Profile) -> None:
    ledger.spend(mei.pk, 120, key="s", reason="gift", now=day(5))
    assert list(PointDraw.objects.order_by("lot_id").values_list("lot__key", "amount")) == [("a", 100), ("b", 20)]
    assert ledger.expire_due(day(10)) == 0
    assert ledger.balance(mei.pk, day(10)) == ledger.Balance(30, 0, 0)


def test_what_is_left_of_a_lot_expires_once(mei: Profile) -> None:
    ledger.spend(mei.pk, 70, key="s", reason="gift", now=day(5))
    assert ledger.balance(mei.pk, day(10)).active == 50  # never spendable in between
    assert ledger.expire_due(day(10)) == 1
    assert ledger.expire_due(day(11)) == 0
    assert PointEntry.objects.get(kind="expire").amount == 30
    assert ledger.balance(mei.pk, day(11)) == ledger.Balance(50, 0, 0)


def test_a_reversal_of_spent_points_is_a_debt_met_by_the_next_earn(mei: Profile) -> None:
    ledger.spend(mei.pk, 70, key="s", reason="gift", now=day(5))
    assert ledger.reverse("a", key="r", reason="refund", now=day(6))
    assert not ledger.reverse("a", key="r2", reason="refund", now=day(6))
    assert ledger.balance(mei.pk, day(6)) == ledger.Balance(0, 20, 0)
    ledger.earn(mei.pk, 30, key="c", reason="order", now=day(7))
    assert ledger.balance(mei.pk, day(7)) == ledger.Balance(10, 0, 0)
    ledger.spend(mei.pk, 10, key="s2", reason="gift", now=day(8))
    with pytest.raises(ledger.NotEnoughPoints):
        ledger.spend(mei.pk, 1, key="s3", reason="gift", now=day(8))


def test_a_key_books_once(mei: Profile) -> None:
    assert not ledger.earn(mei.pk, 100, key="a", reason="again", now=day(1))
    assert ledger.spend(mei.pk, 10, key="s", reason="gift", now=day(1))
    assert not ledger.spend(mei.pk, 10, key="s", reason="gift", now=day(1))
    assert ledger.balance(mei.pk, day(1)).active == 140
    assert Event.objects.filter(name="@points_changed").count() == 3


def test_pending_points_are_not_active_yet(mei: Profile) -> None:
    ledger.earn(mei.pk, 40, key="p", reason="order", now=D0, available_at=day(14))
    assert ledger.balance(mei.pk, day(1)) == ledger.Balance(150, 0, 40)
    assert ledger.balance(mei.pk, day(14)).active == 90  # 100 expired on day 10


def test_rows_are_append_only(mei: Profile) -> None:
    entry = PointEntry.objects.get(key="a")
    entry.amount = 1
    with pytest.raises(TypeError):
        entry.save()


def test_levels_rise_at_once_and_fall_one_rung_at_the_end_of_the_term(db: None) -> None:
    for rank, (key, threshold) in enumerate([("base", 0), ("silver", 2000), ("gold", 5000)]):
        Level.objects.create(key=key, name=key, rank=rank, threshold=threshold)
    person = someone()
    ledger.earn(person.pk, 6000, key="x", reason="order", now=D0)
    assert Wallet.objects.get(pk=person.pk).level == Level.objects.get(key="gold")
    assert Event.objects.get(name="@level_reached").properties == {
        "level": "gold", "rank": 2, "before": "",
    }  # fmt: skip
    assert levels.renew_due(day(366)) == 1
    assert Wallet.objects.get(pk=person.pk).level == Level.objects.get(key="silver")
    fall = Event.objects.get(name="@level_lost")
    assert (fall.profile_id, fall.occurred_at) == (person.pk, day(366))
    assert fall.properties == {"level": "silver", "rank": 1, "before": "gold"}
    ledger.earn(person.pk, 2000, key="y", reason="order", now=day(700))
    assert levels.renew_due(day(732)) == 1  # earned again: kept, and nothing is stated
    assert Event.objects.filter(name="@level_lost").count() == 1
    rise = Event.objects.filter(name="@level_reached")
    assert rise.count() == 1


def test_who_falls_off_the_ladder_has_no_level_and_a_fact_that_says_so(db: None) -> None:
    Level.objects.create(key="gold", name="Gold", rank=1, threshold=100)
    people = [someone() for _ in range(3)]
    for person in people:
        ledger.earn(person.pk, 100, key=f"x{person.pk}", reason="order", now=D0)
    assert levels.renew_due(day(364)) == 0
    assert not Event.objects.filter(name="@level_lost").exists()
    assert levels.renew_due(day(365)) == 3
    assert Wallet.objects.filter(level=None, level_until=None).count() == 3
    facts = Event.objects.filter(name="@level_lost")
    assert [fact.properties for fact in facts] == [{"level": "", "rank": None, "before": "gold"}] * 3
    assert {fact.profile_id for fact in facts} == {person.pk for person in people}
    assert levels.renew_due(day(800)) == 0
    (moment, *_) = timeline(people[0].pk, until=day(366), only="facts")[0]
    assert moment.title == "Lost the level gold"
    with override("zh-hans"):
        assert timeline(people[0].pk, until=day(366), only="facts")[0][0].title == "失去等级 gold"


def test_a_batch_of_earns_takes_a_constant_number_of_statements(db: None, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    people = [someone() for _ in range(60)]
    ledger.earn(people[0].pk, 1, key="warm", reason="r", now=D0)
    for size in (10, 60):
        with django_assert_max_num_queries(22):
            made = ledger.earn_many([ledger.Earn(p.pk, 5, f"{size}:{p.pk}", "r") for p in people[:size]], now=D0)
        assert made == [True] * size


class Interleavings(TestCase):
    """Random orders of earning, spending, expiring and reversing, with retries."""

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from("esxr"), st.integers(1, 60), st.integers(0, 3), st.integers(0, 20)), max_size=25
        )
    )
    def test_rows_and_lots_always_agree(self, moves: list[tuple[str, int, int, int]]) -> None:
        person, now, earned = someone(), D0, list[str]()
        for number, (kind, points, days, life) in enumerate(moves):
            now += timedelta(days=days)
            key = f"{person.pk}:{number}"
            for _ in range(2):  # every call is retried once
                if kind == "e":
                    ends = now + timedelta(days=life) if life else None
                    ledger.earn(person.pk, points, key=key, reason="r", now=now, expires_at=ends)
                    earned.append(key)
                elif kind == "x":
                    ledger.expire_due(now)
                elif kind == "r" and earned:
                    ledger.reverse(earned[points % len(earned)], key=key, reason="r", now=now)
                elif kind == "s":
                    with suppress(ledger.NotEnoughPoints):
                        ledger.spend(person.pk, points, key=key, reason="r", now=now)
        rows = PointEntry.objects.filter(wallet_id=person.pk)
        total = sum(row.sign * row.amount for row in rows)
        lots = {row.pk: row.amount for row in rows if row.kind == "earn"}
        owed = sum(row.amount for row in rows if row.sign < 0)
        for draw in PointDraw.objects.filter(entry__wallet_id=person.pk):
            lots[draw.lot_id] -= draw.amount
            owed -= draw.amount
        assert all(left >= 0 for left in lots.values())
        assert owed >= 0
        assert sum(lots.values()) - owed == total
        if rows:
            assert Wallet.objects.get(pk=person.pk).balance == total
        expiries = [row.key for row in rows if row.kind == "expire"]
        assert len(expiries) == len(set(expiries))
        found = ledger.balance(person.pk, now)
        assert found.active == 0 or found.negative == 0
