"""Levels near their end: told 30 and 7 days before, once each, unless they are safe; grace, terms and privileges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from segments.growth import ledger, levels
from segments.growth.level_notices import notice_due
from segments.models import Event, Level, Privilege, Profile, Wallet

D0 = datetime(2026, 3, 2, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def day(number: float) -> datetime:
    return D0 + timedelta(days=number)


def someone() -> Profile:
    return Profile.objects.create(shard=1, bucket=1, first_seen_at=D0, last_seen_at=D0)


@pytest.fixture(autouse=True)
def _ladder() -> None:
    for rank, (key, points) in enumerate({"silver": 200, "gold": 500}.items(), start=1):
        Level.objects.create(key=key, name=key.title(), rank=rank, threshold=points)


def told() -> list[tuple[int, dict[str, Any]]]:
    rows = Event.objects.filter(name="@level_ending").order_by("pk")
    return [(row.profile_id, row.properties) for row in rows]


def test_a_level_that_will_be_lost_is_told_twice_and_a_safe_one_never() -> None:
    mei, safe = someone(), someone()
    for person in (mei, safe):
        ledger.earn(person.pk, 500, key=f"a{person.pk}", reason="order", now=D0)
        ledger.earn(person.pk, 150, key=f"b{person.pk}", reason="order", now=day(100))
    ledger.earn(safe.pk, 350, key="c", reason="order", now=day(200))
    assert [notice_due(day(334.9)), notice_due(day(335)), notice_due(day(340)), notice_due(day(357.9))] == [0, 1, 0, 0]
    assert [notice_due(day(358)), notice_due(day(364))] == [1, 0]
    said = {"level": "gold", "until": day(365).isoformat(), "missing": 350, "next": "silver"}
    assert told() == [(mei.pk, said | {"days": 30}), (mei.pk, said | {"days": 7})]


def test_what_turns_unsafe_late_is_told_then_and_one_that_is_looked_at_late_only_once() -> None:
    mei = someone()
    ledger.earn(mei.pk, 500, key="a", reason="order", now=D0)
    ledger.earn(mei.pk, 500, key="b", reason="order", now=day(50))
    assert notice_due(day(340)) == 0
    ledger.reverse("b", key="r", reason="refund", now=day(361))
    assert [notice_due(day(361)), notice_due(day(362))] == [1, 0]
    assert [properties["days"] for _, properties in told()] == [7]


def test_points_earned_after_a_notice_make_safe_and_the_next_term_is_told_anew() -> None:
    mei = someone()
    ledger.earn(mei.pk, 500, key="a", reason="order", now=D0)
    assert notice_due(day(336)) == 1
    ledger.earn(mei.pk, 500, key="b", reason="order", now=day(340))
    assert notice_due(day(360)) == 0
    assert levels.renew_due(day(366)) == 1
    wallet = Wallet.objects.get()
    assert (wallet.level_until, wallet.noticed) == (day(730), None)  # from the end of the term, not from the look
    assert notice_due(day(701)) == 1
    assert [properties["until"] for _, properties in told()] == [day(365).isoformat(), day(730).isoformat()]


def test_where_nothing_is_lost_nothing_is_told(settings: Any) -> None:
    settings.LEVEL_FALL = "none"
    ledger.earn(someone().pk, 500, key="a", reason="order", now=D0)
    assert notice_due(day(350)) == 0


def test_a_level_stands_through_the_days_of_grace_and_points_in_them_keep_it(settings: Any) -> None:
    settings.LEVEL_GRACE_DAYS = 10
    late, lost = someone(), someone()
    for person in (late, lost):
        ledger.earn(person.pk, 200, key=f"a{person.pk}", reason="order", now=D0)
    ledger.earn(late.pk, 200, key="b", reason="order", now=day(370))
    assert levels.renew_due(day(374.9)) == 0
    assert Wallet.objects.filter(level=None).count() == 0
    assert levels.renew_due(day(375)) == 2
    assert dict(Wallet.objects.values_list("pk", "level__key")) == {late.pk: "silver", lost.pk: None}
    assert Wallet.objects.get(pk=late.pk).level_until == day(730)


def test_a_level_brings_its_own_privileges_and_those_below_that_are_not_theirs_only() -> None:
    silver, gold = Level.objects.get(key="silver"), Level.objects.get(key="gold")
    Privilege.objects.create(level=gold, key="lounge", name="Lounge")
    Privilege.objects.create(level=silver, key="shipping", name="Free shipping", place=1)
    Privilege.objects.create(level=silver, key="hello", name="Welcome gift", only=True)
    assert [one.key for one in levels.privileges_of(gold)] == ["shipping", "lounge"]
    assert [one.key for one in levels.privileges_of(silver)] == ["hello", "shipping"]
    assert levels.privileges_of(None) == []
