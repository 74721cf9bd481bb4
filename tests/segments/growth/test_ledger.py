"""The points ledger: every balance is the sum of its rows, whatever is spent, expired, reversed or retried."""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils.translation import override
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from segments.growth import ledger, levels, points_due
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
    assert points_due.expire_due(day(10)) == 0
    assert ledger.balance(mei.pk, day(10)) == ledger.Balance(30, 0, 0)


def test_what_is_left_of_a_lot_expires_once(mei: Profile) -> None:
    ledger.spend(mei.pk, 70, key="s", reason="gift", now=day(5))
    assert ledger.balance(mei.pk, day(10)).active == 50  # never spendable in between
    assert points_due.expire_due(day(10)) == 1
    assert points_due.expire_due(day(11)) == 0
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


@pytest.mark.parametrize(
    ("fall", "spenders"),
    [
        ("one_down", {("gold", 3000): "silver", ("diamond", 1500): "gold"}),
        ("balance_based", {("gold", 3000): "silver", ("diamond", 1500): "base"}),
        ("none", {("gold", 3000): "gold", ("diamond", 1500): "diamond"}),
    ],
)
def test_what_an_unmet_term_costs(db: None, settings: Any, fall: str, spenders: dict[tuple[str, int], str]) -> None:
    settings.LEVEL_TERM_DAYS, settings.LEVEL_FALL = 400, fall
    rungs = {"base": 0, "silver": 2000, "gold": 5000, "diamond": 10000}
    for rank, (key, threshold) in enumerate(rungs.items()):
        Level.objects.create(key=key, name=key, rank=rank, threshold=threshold)
    people = {}
    for (held, earned), after in spenders.items():
        pk = someone().pk
        people[pk] = after
        ledger.earn(pk, rungs[held], key=f"then:{pk}", reason="order", now=D0)
        ledger.earn(pk, earned, key=f"now:{pk}", reason="order", now=day(1))
    assert levels.renew_due(day(399)) == 0
    assert levels.renew_due(day(400)) == 2  # the first points are out of the term, the second are in it
    found = dict(Wallet.objects.values_list("pk", "level__key"))
    assert found == people
    assert set(Wallet.objects.values_list("level_until", flat=True)) == {day(800)}
    assert Event.objects.filter(name="@level_lost").count() == (0 if fall == "none" else 2)


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


def test_a_lot_that_expired_is_not_lost_twice(mei: Profile) -> None:
    ledger.spend(mei.pk, 70, key="s", reason="gift", now=day(5))
    assert ledger.reverse("a", key="r", reason="refund", now=day(12))  # 30 of it expired on day 10, not yet written off
    rows = PointEntry.objects.order_by("pk").values_list("kind", "sign", "amount")
    assert list(rows)[2:] == [("spend", -1, 70), ("expire", -1, 30), ("reverse", -1, 100), ("adjust", 1, 30)]
    assert ledger.balance(mei.pk, day(12)) == ledger.Balance(0, 20, 0)
    assert points_due.expire_due(day(13)) == 0
    assert Wallet.objects.get(pk=mei.pk).balance == -20


def test_points_still_to_come_count_and_are_told_once_they_have(db: None) -> None:
    Level.objects.create(key="gold", name="Gold", rank=1, threshold=100)
    person = someone()
    ledger.earn(person.pk, 100, key="p", reason="order", now=D0, available_at=day(14))
    assert Wallet.objects.get(pk=person.pk).balance == 0
    assert not Event.objects.exists()
    assert points_due.release_due(day(13)) == 0
    assert [points_due.release_due(day(14)), points_due.release_due(day(15))] == [1, 0]
    wallet = Wallet.objects.get(pk=person.pk)
    assert (wallet.balance, wallet.level) == (100, Level.objects.get(key="gold"))
    told = Event.objects.get(name="@points_changed")
    assert (told.occurred_at, told.properties) == (day(14), {"by": 100, "balance": 100, "reason": "order"})


def test_a_refund_before_points_have_come_undoes_them_when_they_would_have(db: None) -> None:
    person = someone()
    ledger.earn(person.pk, 20, key="a", reason="order", now=D0)
    ledger.earn(person.pk, 100, key="p", reason="order", now=D0, available_at=day(14))
    assert ledger.reverse("p", key="r", reason="refund", now=day(3))
    assert ledger.balance(person.pk, day(3)) == ledger.Balance(20, 0, 0)
    points_due.release_due(day(14))
    assert ledger.balance(person.pk, day(14)) == ledger.Balance(20, 0, 0)
    assert Wallet.objects.get(pk=person.pk).balance == 20


def test_debts_are_met_in_the_order_in_which_points_come(db: None) -> None:
    person = someone()
    ledger.earn(person.pk, 20, key="a", reason="order", now=D0)
    ledger.spend(person.pk, 20, key="s", reason="gift", now=D0)
    ledger.reverse("a", key="r", reason="refund", now=day(1))
    ledger.earn(person.pk, 20, key="b", reason="order", now=day(1), available_at=day(3))
    ledger.earn(person.pk, 15, key="c", reason="order", now=day(1), available_at=day(4), expires_at=day(5))
    assert ledger.balance(person.pk, day(2)) == ledger.Balance(0, 20, 35)
    assert ledger.balance(person.pk, day(4)) == ledger.Balance(15, 0, 0)
    assert ledger.balance(person.pk, day(6)) == ledger.Balance(0, 0, 0)
    points_due.expire_due(day(6))
    assert ledger.balance(person.pk, day(6)) == ledger.Balance(0, 0, 0)


@dataclass
class Lot:
    """Points of one earn as the plain account has them."""

    amount: int
    comes: datetime
    ends: datetime | None
    left: int = 0
    expired: int = 0
    here: bool = False
    undone: int = 0  # in all; of what was left, and as a debt for what was spent
    taken: int = 0
    owed: int = 0


@dataclass
class Account:
    """One wallet in memory, moved from instant to instant: what the ledger must agree with."""

    lots: list[Lot] = field(default_factory=list)
    debt: int = 0

    def until(self, now: datetime) -> None:
        """Lots come (and meet debts first) and end, in the order of time; what ends at an instant ends last."""
        for at in sorted({at for lot in self.lots for at in (lot.comes, lot.ends) if at and at <= now}):
            for lot in self.lots:
                if not lot.here and lot.comes <= at:
                    lot.here, lot.left = True, lot.amount - lot.undone
            self.pay()
            for lot in self.lots:
                if lot.here and lot.ends and lot.ends <= at:
                    lot.expired += lot.left
                    lot.left = 0

    def pay(self) -> None:
        self.debt = self.take(self.debt)

    def take(self, points: int) -> int:
        """From what is here, the earliest end first; returns what is missing."""
        for lot in sorted((one for one in self.lots if one.left), key=lambda one: one.ends or day(9999)):
            part = min(lot.left, points)
            lot.left -= part
            points -= part
        return points

    def spend(self, points: int) -> bool:
        if points > sum(lot.left for lot in self.lots):
            return False
        self.take(points)
        return True

    def undo(self, lot: Lot, total: int) -> int:
        """Until `total` of it are undone: from what is left, then of what was spent, last of what expired."""
        points = max(0, min(total, lot.amount) - lot.undone)
        lot.undone += points
        part = min(points, lot.left) if lot.here else points
        lot.left -= part if lot.here else 0
        lot.taken += part
        spent = lot.amount - lot.left - lot.expired - lot.taken if lot.here else 0
        owed = min(points - part, spent - lot.owed)
        lot.owed += owed
        self.debt += self.take(owed)
        return points

    def balance(self) -> ledger.Balance:
        coming = sum(lot.amount - lot.undone for lot in self.lots if not lot.here)
        return ledger.Balance(sum(lot.left for lot in self.lots), self.debt, coming)


def check_rows(person: Profile, now: datetime) -> None:
    """Rows, draws and the cached balance say the same, and nothing is drawn twice."""
    rows = list(PointEntry.objects.filter(wallet_id=person.pk))
    lots = {row.pk: row.amount for row in rows if row.sign > 0}
    owed = sum(row.amount for row in rows if row.sign < 0)
    for draw in PointDraw.objects.filter(entry__wallet_id=person.pk):
        lots[draw.lot_id] -= draw.amount
        owed -= draw.amount
    assert all(left >= 0 for left in lots.values())
    assert owed >= 0
    assert sum(lots.values()) - owed == sum(row.sign * row.amount for row in rows)
    if rows:
        come = sum(row.sign * row.amount for row in rows if row.available_at <= now)
        assert Wallet.objects.get(pk=person.pk).balance == come
    expiries = [row.key for row in rows if row.kind == "expire"]
    assert len(expiries) == len(set(expiries))


MOVES = st.tuples(
    st.sampled_from("eeesssxlrbb"), st.integers(1, 60), st.integers(0, 3), st.integers(0, 20), st.integers(0, 6)
)


class Interleavings(TestCase):
    """Random orders of earning, spending, expiring, coming due and reversing, with retries, against a plain account."""

    @tried(max_examples=60, deadline=None)
    @given(st.lists(MOVES, max_size=25))
    def test_the_ledger_agrees_with_a_plain_account(self, moves: list[tuple[str, int, int, int, int]]) -> None:
        person, now, earned, account = someone(), D0, list[str](), Account()
        for number, (kind, points, days, life, wait) in enumerate(moves):
            now += timedelta(days=days)
            account.until(now)
            key = f"{person.pk}:{number}"
            picked = points % len(earned) if earned else 0
            for again in (False, True):  # every call is retried once
                if kind == "e":
                    comes = now + timedelta(days=wait)
                    ends = comes + timedelta(days=life) if life else None
                    new = ledger.earn(
                        person.pk, points, key=key, reason="r", now=now, expires_at=ends, available_at=comes
                    )
                    assert new is not again
                    if new:
                        earned.append(key)
                        account.lots.append(Lot(points, comes, ends))
                        account.until(now)
                elif kind == "x":
                    points_due.expire_due(now)
                elif kind == "l":
                    points_due.release_due(now)
                elif kind == "r" and earned:
                    new = ledger.reverse(earned[picked], key=key, reason="r", now=now)
                    assert new is (account.undo(account.lots[picked], 10**6) > 0)
                elif kind == "b" and earned:
                    took = ledger.take_back(earned[picked], days * 20, key=key, reason="r", now=now)
                    assert took == account.undo(account.lots[picked], days * 20)
                elif kind == "s" and not again:
                    taken = account.spend(points)
                    with suppress(ledger.NotEnoughPoints):
                        assert ledger.spend(person.pk, points, key=key, reason="r", now=now)
                    assert PointEntry.objects.filter(key=key).exists() is taken
                elif kind == "s" and PointEntry.objects.filter(key=key).exists():
                    assert not ledger.spend(person.pk, points, key=key, reason="r", now=now)
            assert ledger.balance(person.pk, now) == account.balance(), moves[: number + 1]
        points_due.release_due(now)
        points_due.expire_due(now)
        assert ledger.balance(person.pk, now) == account.balance()
        check_rows(person, now)


@pytest.mark.django_db(transaction=True)
def test_eight_threads_on_two_wallets_leave_books_that_balance() -> None:
    """Earning, spending and undoing at once, every call twice, by threads with connections of their own."""
    people = [someone() for _ in range(2)]
    for person in people:
        ledger.earn(person.pk, 200, key=f"first:{person.pk}", reason="order", now=D0, expires_at=day(20))
    start, failed, spent = threading.Barrier(8), list[BaseException](), list[int]()

    def run(number: int) -> None:
        dice = random.Random(number)
        try:
            start.wait()
            for turn in range(12):
                pk, key, now = dice.choice(people).pk, f"{number // 2}:{turn}", day(dice.randrange(10))
                act = dice.randrange(3)
                if act == 0:
                    ledger.earn(pk, dice.randint(1, 40), key=f"e{key}:{pk}", reason="r", now=now)
                elif act == 1:
                    with suppress(ledger.NotEnoughPoints):
                        points = dice.randint(1, 60)
                        if ledger.spend(pk, points, key=f"s{number}:{turn}", reason="r", now=now):
                            spent.append(points)
                else:
                    ledger.take_back(f"first:{pk}", dice.randint(1, 200), key=f"r{number}:{turn}", reason="r", now=now)
        except BaseException as error:  # noqa: BLE001 - asserted below
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sum(PointEntry.objects.filter(kind="spend").values_list("amount", flat=True)) == sum(spent) > 0
    assert PointEntry.objects.filter(key__startswith="e").exists()
    for person in people:
        undone = PointEntry.objects.filter(reverses__key=f"first:{person.pk}").values_list("amount", flat=True)
        assert 0 < sum(undone) <= 200
        check_rows(person, day(10))
        points_due.expire_due(day(21))
        check_rows(person, day(21))
