"""A coupon pool in the admin: filled from a file with every refused row shown, filled by chance, and told when low."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from common.models import AuditEntry
from segments.growth.pools import watch_stock
from segments.models import Benefit, Coupon, CouponPool
from tests.admin.seed import make_users
from tests.people import NOW


@pytest.fixture
def pool(db: None) -> CouponPool:
    """An empty pool."""
    make_users()
    benefit = Benefit.objects.create(key="five", name="5 off", kind="amount", amount=500, currency="USD")
    return CouponPool.objects.create(key="spring", name="Spring codes", name_zh="春季券", benefit=benefit)


def act(client: Any, pool: CouponPool, verb: str, **data: Any) -> Any:
    return client.post(reverse(f"admin:segments_couponpool_{verb}", args=[pool.pk]), data, follow=True)


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_a_file_fills_the_pool_and_shows_each_refused_row(pool: CouponPool, login: Any) -> None:
    client = login("author")
    answer = act(client, pool, "load", file=SimpleUploadedFile("c.csv", b"code\nA1\nA2\nA1\n<b>x y</b>\n"))
    page = BeautifulSoup(answer.content, "html.parser")
    rows = [[cell.text for cell in row.select("td")] for row in page.select("tbody tr")]
    assert rows == [
        ["4", "A1", "the file names this code twice"],
        ["5", "<b>x y</b>", "a code is made of printable characters without spaces"],
    ]
    assert "4 rows read: 2 codes are new, 2 rows were refused." in page.text
    assert set(Coupon.objects.values_list("code", flat=True)) == {"A1", "A2"}
    entry = AuditEntry.objects.get(action="coupons.load")
    assert (entry.actor_name, entry.detail) == ("author", {"added": 2, "refused": 2})
    assert said(act(client, pool, "load", file=SimpleUploadedFile("c.csv", b"coupon\nA1\n"))) == [
        "file: the file has no column 'code'"
    ]
    assert said(act(client, pool, "load")) == ["Choose a file with codes."]


def test_codes_are_made_as_many_as_asked_and_nonsense_is_refused(pool: CouponPool, login: Any) -> None:
    client = login("author")
    assert said(act(client, pool, "make", count="25")) == ["25 codes were made."]
    for wrong in ("0", "-1", "x", "", "100001", "٣"):
        assert said(act(client, pool, "make", count=wrong)) == ["Say how many codes, from 1 to 100,000."]
    assert pool.coupons.count() == 25


def test_who_may_only_look_makes_nothing(pool: CouponPool, login: Any) -> None:
    client = login("viewer")
    assert act(client, pool, "make", count="5").status_code == 403
    assert act(client, pool, "load", file=SimpleUploadedFile("c.csv", b"code\nA1\n")).status_code == 403
    assert not Coupon.objects.exists()
    page = client.get(reverse("admin:segments_couponpool_change", args=[pool.pk])).content.decode()
    assert reverse("admin:segments_couponpool_make", args=[pool.pk]) not in page


def test_a_low_pool_stands_on_the_dashboard_until_it_is_filled(pool: CouponPool, login: Any) -> None:
    client = login("author")
    act(client, pool, "make", count="10")
    coupons = list(pool.coupons.values_list("pk", flat=True)[:9])
    Coupon.objects.filter(pk__in=coupons).update(state="void")
    assert watch_stock(NOW + timedelta(hours=1)) == ["spring"]
    assert "The coupon pool Spring codes is running out" in client.get("/admin/").content.decode()
    chinese = client.get("/admin/", headers={"accept-language": "zh-hans"}).content.decode()
    assert "券池“春季券”即将用尽" in chinese
    act(client, pool, "make", count="10")
    assert "is running out" not in client.get("/admin/").content.decode()
