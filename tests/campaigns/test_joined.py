"""Two profiles that prove to be one person: their credit joins, is worked out anew, and never counts twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import Sum

from campaigns.models import Conversion, Credit, Touch
from segments.merge import merge
from segments.unmerge import undo
from tests.campaigns.stories import click, make_delivery, make_goal, order, read_all, visit
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


def join(gone: object, into: object) -> None:
    merge(gone, into, now=NOW, actor="tester", reason="the same person")  # type: ignore[arg-type]


def test_an_anonymous_landing_becomes_the_known_persons_click() -> None:
    mei, shadow = make_profile(user_id="mei"), make_profile(anonymous_id="a")
    make_goal()
    click(mei, make_delivery(mei), NOW)
    visit(shadow, NOW + timedelta(seconds=20))
    order(mei, NOW + HOUR)
    read_all()
    assert Touch.objects.count() == 2
    join(shadow, mei)
    touch = Touch.objects.get()
    assert (touch.kind, touch.profile) == ("click", mei)
    assert Conversion.objects.get().path == [touch.pk]


def test_a_visit_before_the_sign_up_earns_credit_for_the_order_after_it() -> None:
    mei, shadow = make_profile(user_id="mei"), make_profile(anonymous_id="a")
    make_goal()
    visit(shadow, NOW, "utm_source=google&utm_medium=cpc&utm_campaign=brand")
    order(mei, NOW + HOUR, 500)
    read_all()
    assert not Credit.objects.exists()
    join(shadow, mei)
    assert list(Credit.objects.values_list("model", "touch__campaign", "amount").order_by("model")) == [
        ("last", "brand", 500),
        ("linear", "brand", 500),
    ]
    row = Touch.objects.get()
    assert (row.profile, row.origin) == (mei, shadow.pk)


def test_conversions_of_both_stay_one_each_and_the_sum_stands() -> None:
    mei, shadow = make_profile(user_id="mei"), make_profile(anonymous_id="a")
    make_goal()
    for person, ref in ((mei, "A"), (shadow, "B"), (shadow, "A")):
        click(person, make_delivery(person), NOW)
        order(person, NOW + HOUR, 1000, ref=ref)
    read_all()
    join(shadow, mei)
    assert Conversion.objects.filter(profile=mei).count() == 2
    for model in ("last", "linear"):
        assert Credit.objects.filter(model=model).aggregate(sum=Sum("amount"))["sum"] == 2000
    assert {len(path) for path in Conversion.objects.values_list("path", flat=True)} == {3}


def test_the_way_back() -> None:
    mei, shadow = make_profile(user_id="mei"), make_profile(anonymous_id="a")
    make_goal()
    click(mei, make_delivery(mei), NOW)
    visit(shadow, NOW, "utm_source=google&utm_medium=cpc&utm_campaign=brand")
    order(mei, NOW + HOUR, 1000, ref="A")
    order(shadow, NOW + HOUR, 300, ref="B")
    read_all()

    def state() -> list[object]:
        rows = Conversion.objects.order_by("key").values("key", "profile", "path", "value", "origin")
        credit = Credit.objects.order_by("model", "touch", "conversion").values_list("model", "touch", "amount")
        return [*rows, *credit, *Touch.objects.order_by("pk").values("pk", "profile", "origin")]

    before = state()
    join(shadow, mei)
    assert state() != before
    shadow.refresh_from_db()
    undo(shadow, now=NOW, actor="tester", reason="not the same")
    assert state() == before
