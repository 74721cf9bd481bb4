"""What an order earned goes back with it: points in the share of the refund, its code, what was given for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from segments.growth import coupons, pools
from segments.growth.clawback import claw_back_shard
from segments.growth.coupons import order_of
from segments.growth.earning import earn_shard
from segments.growth.ledger import Balance, balance, spend
from segments.growth.redemptions import redeem_shard
from segments.ingest import ingest
from segments.models import Benefit, Coupon, CouponPool, Event, Identity, PointEntry, PointRule, Profile
from tests.people import NOW, make_source
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)


def happens(event: str, key: str, at: datetime = NOW, order_id: str = "A1", **properties: Any) -> Profile:
    """One order event of Mei by way of ingest, then every reader of growth."""
    said = {"order_id": order_id, **properties}
    call = {
        "type": "track", "event": event, "userId": "mei", "messageId": key, "properties": said,
        "timestamp": at.isoformat(),
    }  # fmt: skip
    assert [row.status for row in ingest([call], source=make_source(), now=at)] == ["stored"]
    settle_log()
    mei = Identity.objects.get(kind="user_id", value="mei").profile
    for read in (earn_shard, redeem_shard, claw_back_shard):
        read(mei.shard, at)
    return mei


def a_rule(**given: Any) -> PointRule:
    """One point for every dollar."""
    return PointRule.objects.create(**({"key": "dollar", "name": "A point a dollar", "per": 100} | given))


def test_points_for_money_go_back_in_the_share_of_the_refund() -> None:
    a_rule(points=5)
    mei = happens("Order Completed", "m1", total=99.99)
    assert balance(mei.pk, NOW) == Balance(104, 0, 0)
    assert PointEntry.objects.get().ref == "order:A1"
    spend(mei.pk, 80, key="gift", reason="gift", now=NOW)
    happens("Order Refunded", "m2", total=33.33)
    assert balance(mei.pk, NOW) == Balance(0, 10, 0)  # 34 of 104; 24 were left
    happens("Order Refunded", "m2b", total=66.66)
    assert balance(mei.pk, NOW) == Balance(0, 80, 0)
    happens("Order Cancelled", "m3")
    assert balance(mei.pk, NOW) == Balance(0, 80, 0)
    assert list(PointEntry.objects.filter(kind="reverse").values_list("amount", flat=True)) == [34, 70]


def test_points_are_pending_until_the_order_can_no_longer_be_returned_and_then_expire() -> None:
    a_rule(pending_days=14, valid_days=365)
    mei = happens("Order Completed", "m1", total=50)
    lot = PointEntry.objects.get()
    assert (lot.available_at, lot.expires_at) == (NOW + timedelta(days=14), NOW + timedelta(days=379))
    assert balance(mei.pk, NOW) == Balance(0, 0, 50)
    happens("Order Refunded", "m2", at=NOW + timedelta(days=3))
    assert balance(mei.pk, NOW + timedelta(days=3)) == Balance(0, 0, 0)
    assert balance(mei.pk, NOW + timedelta(days=20)) == Balance(0, 0, 0)


def test_a_rule_earns_no_more_a_day_than_it_says_nor_for_what_it_does_not_mean() -> None:
    a_rule(points=40, per=0, most_a_day=100, filter={"currency": "USD"})
    for number in range(4):
        mei = happens("Order Completed", f"m{number}", order_id=f"B{number}", total=1)
    assert balance(mei.pk, NOW).active == 100
    happens("Order Completed", "eur", order_id="E", total=1, currency="EUR")
    happens("Order Completed", "next", at=NOW + timedelta(days=1), order_id="N", total=1)
    assert balance(mei.pk, NOW + timedelta(days=1)).active == 140


def test_a_refund_that_is_read_before_what_was_earned_takes_it_all_the_same() -> None:
    rule = a_rule(active=False)
    happens("Order Completed", "m1", total=50)
    PointRule.objects.update(fact="Receipt Sent", points=7, per=0, active=True)
    mei = happens("Order Refunded", "m2")
    happens("Receipt Sent", "m3")
    assert rule.key == PointEntry.objects.get(kind="earn").reason
    assert balance(mei.pk, NOW) == Balance(0, 0, 0)


def test_the_code_of_an_undone_order_may_be_used_again_and_what_the_order_brought_is_void() -> None:
    benefit = Benefit.objects.create(key="five", name="5 off", kind="amount", amount=500, currency="USD", valid_days=14)
    pool = CouponPool.objects.create(key="welcome", name="Welcome", benefit=benefit)
    pools.generate(pool, 3)
    mei = happens("Order Completed", "m0", order_id="A0", total=1)
    claims = [coupons.Claim(mei.pk, "used"), coupons.Claim(mei.pk, "thanks", order_of("A1"))]
    found = coupons.claim("welcome", claims, now=NOW, reason="r")
    used, thanks = found["used"], found["thanks"]
    assert used is not None
    assert thanks is not None
    happens("Order Completed", "m1", total=20, coupon=used.code)
    used.refresh_from_db()
    assert (used.state, used.order_ref) == ("redeemed", "A1")
    happens("Order Refunded", "m2", total=5)
    used.refresh_from_db()
    assert used.state == "redeemed"  # a part of the order stands
    happens("Order Refunded", "m3")
    states = dict(Coupon.objects.exclude(state="free").values_list("claim_key", "state"))
    assert states == {"used": "assigned", "thanks": "void"}
    told = Event.objects.filter(name="@coupon_returned").values_list("properties__order_id", "properties__state")
    assert set(told) == {("A1", "assigned"), ("", "void")}
    happens("Order Completed", "m4", order_id="A2", total=20, coupon=used.code)
    happens("Order Cancelled", "m5", at=NOW + timedelta(days=15), order_id="A2")
    used.refresh_from_db()
    assert used.state == "expired"
