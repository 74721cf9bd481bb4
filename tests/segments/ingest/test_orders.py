"""Orders are rows of their own: once by id, refunded and cancelled, and never summed across currencies."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from segments.ingest import ingest
from segments.models import Event, EventStats, Order
from tests.people import NOW, make_source

pytestmark = pytest.mark.django_db


def say(event: str, order_id: Any = "o1", key: str = "", **properties: Any) -> dict[str, Any]:
    said = {"order_id": order_id, **properties} if order_id is not None else properties
    key = key or f"{event} {order_id} {properties}"
    return {"type": "track", "event": event, "userId": "mei", "messageId": key, "properties": said}


def take(*calls: dict[str, Any]) -> list[str]:
    return [row.code or row.status for row in ingest(calls, source=make_source(), now=NOW)]


def order(order_id: str = "o1") -> tuple[str, int, int, int | None]:
    row = Order.objects.get(order_id=order_id)
    return row.state, row.total, row.refunded, row.net_reporting


def test_an_order_is_a_row_and_one_fact_with_its_value() -> None:
    products = [{"product_id": 7, "price": 5, "quantity": 2, "color": "red"}, "nonsense"]
    assert take(say("Order Completed", total="10.00", currency="usd", coupon="X1", products=products)) == ["stored"]
    row = Order.objects.get()
    assert (row.order_id, row.total, row.currency, row.coupon_code, row.placed_at) == ("o1", 1000, "USD", "X1", NOW)
    assert row.items == [{"product_id": 7, "price": 5, "quantity": 2}]
    event = Event.objects.get()
    assert (event.value, event.properties["order_id"], event.properties["currency"]) == (1000, "o1", "USD")
    assert EventStats.objects.get().amount == 1000


def test_the_same_order_told_twice_counts_once() -> None:
    first = say("Order Completed", key="m1", total=10)
    again = say("Order Completed", key="m2", total=10)
    assert take(first, again) == ["stored", "known"]
    assert take(again) == ["known"]
    assert (Order.objects.count(), EventStats.objects.get().amount) == (1, 1000)


def test_refunds_add_up_to_the_total_and_no_further() -> None:
    take(say("Order Completed", total=10))
    take(say("Order Refunded", key="r1", total=4))
    assert order() == ("paid", 1000, 400, 600)
    take(say("Order Refunded", key="r1", total=4))
    assert order() == ("paid", 1000, 400, 600)
    take(say("Order Refunded", key="r2", total=9))
    assert order() == ("refunded", 1000, 1000, 0)
    assert sorted(Event.objects.filter(name="Order Refunded").values_list("value", flat=True)) == [-900, -400]


def test_a_refund_without_an_amount_is_of_all_that_is_left() -> None:
    take(say("Order Completed", total=10), say("Order Refunded", key="r1", total=4), say("Order Refunded", key="r2"))
    assert order() == ("refunded", 1000, 1000, 0)


def test_a_cancelled_order_nets_nothing_and_stays_cancelled() -> None:
    take(say("Order Completed", total=10), say("Order Cancelled"), say("Order Refunded", total=2))
    assert order() == ("cancelled", 1000, 200, 0)


def test_an_update_amends_the_order_not_the_fact() -> None:
    take(say("Order Completed", total=10), say("Order Updated", total=12.5, coupon="LATE"))
    assert order() == ("paid", 1250, 0, 1250)
    assert Order.objects.get().coupon_code == "LATE"
    assert Event.objects.get(name="Order Completed").value == 1000
    assert Event.objects.get(name="Order Updated").value is None


def test_any_order_of_arrival_ends_the_same() -> None:
    for number, calls in enumerate(permutations(["Order Completed", "Order Refunded", "Order Cancelled"])):
        name = f"p{number}"
        totals = {"Order Completed": 10, "Order Refunded": 3}
        for event in calls:
            take(say(event, name, **({"total": totals[event]} if event in totals else {})))
        assert order(name) == ("cancelled", 1000, 300, 0), calls


def test_another_currency_is_kept_and_counts_nothing_without_a_rate() -> None:
    take(say("Order Completed", total=10, currency="EUR"), say("Order Completed", "o2", total=10, currency="USD"))
    assert order("o1") == ("paid", 1000, 0, None)
    assert Event.objects.get(properties__order_id="o1").value is None
    assert EventStats.objects.get().amount == 1000


def test_a_rate_converts_with_the_digits_of_both(settings: Any) -> None:
    settings.EXCHANGE_RATES = {"EUR": "1.085", "JPY": "0.0067", "KWD": "3.25"}
    take(say("Order Completed", "e", total="10.01", currency="EUR"))
    take(say("Order Completed", "j", total=1500, currency="JPY"))
    take(say("Order Completed", "k", total="1.234", currency="KWD"))
    assert [order(name)[1::2] for name in "ejk"] == [(1001, 1086), (1500, 1005), (1234, 401)]


def test_a_refund_in_another_currency_is_not_subtracted() -> None:
    take(say("Order Completed", total=10, currency="USD"), say("Order Refunded", total=4, currency="EUR"))
    assert order() == ("paid", 1000, 0, 1000)


def test_products_stand_in_for_a_missing_total() -> None:
    take(say("Order Completed", products=[{"price": "0.1", "quantity": 3}, {"price": 1}]))
    assert order()[1] == 130


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (say("Order Completed", None, total=1), "missing_order_id"),
        (say("Order Completed", "", total=1), "missing_order_id"),
        (say("Order Completed", True, total=1), "missing_order_id"),
        (say("Order Completed", "x" * 121, total=1), "id_too_long"),
        (say("Order Completed"), "missing_total"),
        (say("Order Completed", products=[{"sku": "a"}]), "missing_total"),
        (say("Order Completed", total="ten"), "bad_amount"),
        (say("Order Completed", total=-1), "bad_amount"),
        (say("Order Completed", total=[1]), "bad_amount"),
        (say("Order Completed", total=True), "bad_amount"),
        (say("Order Completed", total="NaN"), "bad_amount"),
        (say("Order Completed", total="Infinity"), "bad_amount"),
        (say("Order Completed", total="1e400000"), "bad_amount"),
        (say("Order Completed", total=10**17), "bad_amount"),
        (say("Order Completed", total=1, currency="dollars"), "bad_currency"),
        (say("Order Completed", total=1, currency=7), "bad_currency"),
        (say("Order Cancelled", None), "missing_order_id"),
    ],
)
def test_orders_that_cannot_be_counted_are_refused(call: dict[str, Any], code: str) -> None:
    assert take(call) == [code]
    assert not Order.objects.exists()
    assert not Event.objects.exists()
