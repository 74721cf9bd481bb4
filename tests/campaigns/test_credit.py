"""Credit: paths within their windows, shares that sum to the cent, refunds that mirror, late touches that count."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import pytest
from django.db.models import Sum

from campaigns.attribution import Step, models
from campaigns.conversions import backfill, key_of
from campaigns.credit import recredit, shares
from campaigns.models import Conversion, Credit, Touch
from segments.models import Profile
from tests.campaigns.stories import click, make_campaign, make_delivery, make_goal, order, read_all, say, visit
from tests.people import NOW, make_profile, make_source

transactional = pytest.mark.django_db(transaction=True)
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)


def amounts(model: str, conversion: Conversion | None = None) -> list[int]:
    rows = Credit.objects.filter(model=model).order_by("conversion", "touch__at", "touch")
    return [row.amount for row in (rows.filter(conversion=conversion) if conversion else rows)]


def kinds(conversion: Conversion) -> list[str]:
    known = {touch.pk: touch.kind for touch in Touch.objects.all()}
    return [known[pk] for pk in conversion.path]


def a_path(*touches: tuple[str, int]) -> list[Touch]:
    """Touches (channel, days before NOW) with ids 1, 2, …, not stored."""
    return [
        Touch(pk=n, kind="click", channel=channel, source=channel, at=NOW - days * DAY)
        for n, (channel, days) in enumerate(touches, 1)
    ]


# The models


@pytest.mark.parametrize("key", models.keys())
@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
def test_every_models_weights_are_positive_and_sum_to_one(key: str, n: int) -> None:
    path = [Step(i, NOW - (n - i) * HOUR, "email") for i in range(n)]
    weights = models.get(key).weights(path, NOW)
    assert len(weights) == n
    assert min(weights) >= 0
    assert sum(weights) == pytest.approx(1)


@pytest.mark.parametrize("key", models.keys())
def test_every_model_shares_out_to_the_cent_whatever_path_and_value(key: str, rng: random.Random) -> None:
    for _ in range(200):
        path = a_path(*[(rng.choice("abc"), n) for n in range(rng.randrange(1, 9), 0, -1)])
        value = rng.choice([1, -1]) * rng.randrange(10**9)
        assert sum(amount for _, amount in shares(path, NOW, value)[key].values()) == value


def test_the_published_orders_by_last_touch_and_linear() -> None:
    """Inputs of the SQL attribution guide of yunqi.tech; figures of this project."""
    orders = [
        (["organic", "social", "paid"], 10000),
        (["paid", "email"], 20000),
        (["social", "organic", "social", "paid"], 15000),
        (["email"], 5000),
    ]
    sums: dict[str, dict[str, int]] = {"last": {}, "linear": {}}
    for channels, value in orders:
        path = a_path(*[(channel, 9 - n) for n, channel in enumerate(channels)])
        for key, total in sums.items():
            for touch, (_, amount) in shares(path, NOW, value)[key].items():
                channel = channels[touch - 1]
                total[channel] = total.get(channel, 0) + amount
    assert sums["last"] == {"paid": 25000, "email": 25000}
    assert sums["linear"] == {"organic": 7084, "social": 10833, "paid": 17083, "email": 15000}


def test_cents_that_do_not_divide_go_to_the_earliest() -> None:
    linear = shares(a_path(("a", 3), ("b", 2), ("c", 1)), NOW, 100)["linear"]
    assert [amount for _, amount in linear.values()] == [34, 33, 33]


def test_exposure_collapses_consecutive_repeats_only(settings: pytest.FixtureRequest) -> None:
    path = a_path(("a", 5), ("a", 4), ("b", 3), ("a", 2), ("a", 1))
    assert list(shares(path, NOW, 100)["linear"]) == [1, 2, 3, 4, 5]
    settings.ATTRIBUTION_PATH = "exposure"  # type: ignore[attr-defined]
    assert list(shares(path, NOW, 100)["linear"]) == [2, 3, 5]


# Paths


@transactional
@pytest.mark.parametrize(
    ("before", "kind", "counts"),
    [
        (timedelta(0), "click", True), (5 * DAY, "click", True), (5 * DAY + SECOND, "click", False),
        (-SECOND, "click", False), (30 * DAY, "utm_visit", True), (30 * DAY + SECOND, "utm_visit", False),
        (-SECOND, "utm_visit", False),
    ],
)  # fmt: skip
def test_both_ends_of_the_window_count(before: timedelta, kind: str, counts: bool) -> None:
    mei = make_profile()
    make_goal()
    if kind == "click":
        click(mei, make_delivery(mei), NOW - before)
    else:
        visit(mei, NOW - before)
    order(mei, NOW)
    read_all()
    assert kinds(Conversion.objects.get()) == ([kind] if counts else [])


@transactional
def test_a_goals_own_window_counts_and_the_widest_of_several() -> None:
    mei = make_profile()
    make_goal(make_campaign("one"), window_days=2)
    click(mei, make_delivery(mei), NOW - 3 * DAY)
    order(mei, NOW)
    read_all()
    assert kinds(Conversion.objects.get()) == []
    make_goal(make_campaign("two"), window_days=3)
    recredit([Conversion.objects.get().pk], now=NOW)
    assert kinds(Conversion.objects.get()) == ["click"]


@transactional
def test_a_window_may_be_counted_from_the_send() -> None:
    mei = make_profile()
    goal = make_goal(window_days=5)
    click(mei, make_delivery(mei, at=NOW - 6 * DAY), NOW - DAY)
    order(mei, NOW)
    read_all()
    assert kinds(Conversion.objects.get()) == ["click"]
    goal.anchor = "send"
    goal.save()
    recredit([Conversion.objects.get().pk], now=NOW)
    assert kinds(Conversion.objects.get()) == []


@transactional
def test_last_and_linear_over_a_real_path() -> None:
    mei, bo = make_profile(), make_profile()
    make_goal()
    click(mei, make_delivery(mei), NOW - 3 * DAY)
    visit(mei, NOW - 2 * DAY, "utm_source=google&utm_medium=cpc")
    click(mei, make_delivery(mei), NOW - DAY)
    click(bo, make_delivery(bo), NOW - DAY)
    order(mei, NOW, 10_000)
    read_all()
    assert kinds(Conversion.objects.get()) == ["click", "utm_visit", "click"]
    assert amounts("last") == [10_000]
    assert amounts("linear") == [3334, 3333, 3333]


@transactional
def test_without_a_touch_a_conversion_stands_uncredited() -> None:
    mei = make_profile()
    make_goal()
    order(mei, NOW)
    read_all()
    row = Conversion.objects.get()
    assert (row.path, row.value, row.currency, row.credited_at) == ([], 10_000, "USD", NOW)
    assert not Credit.objects.exists()


@transactional
def test_one_order_is_one_conversion_across_all_campaigns_and_sources() -> None:
    mei = make_profile()
    make_goal(make_campaign("one"))
    make_goal(make_campaign("two"))
    order(mei, NOW, None, ref="A-1", total=100)
    order(mei, NOW + SECOND, 10_000, ref="A-1")
    order(mei, NOW + 2 * SECOND, 10_000, ref="A-1")
    read_all()
    order(mei, NOW + HOUR, 10_000, ref="A-1")
    read_all()
    assert Conversion.objects.get().value == 10_000


@transactional
def test_a_value_that_comes_later_fills_the_empty_one() -> None:
    mei = make_profile()
    make_goal()
    click(mei, make_delivery(mei), NOW - HOUR)
    order(mei, NOW, None, ref="A-1")
    read_all()
    assert amounts("last") == [0]
    order(mei, NOW, 700, ref="A-1")
    read_all()
    assert amounts("last") == [700]


@transactional
def test_the_same_order_number_in_two_events_is_two_conversions() -> None:
    mei = make_profile()
    make_goal(make_campaign("one"))
    make_goal(make_campaign("two"), fact="Product Reviewed")
    order(mei, NOW, ref="A-1")
    say(mei, "Product Reviewed", NOW, properties={"order_id": "A-1"})
    read_all()
    assert sorted(Conversion.objects.values_list("name", flat=True)) == ["Order Completed", "Product Reviewed"]


def test_a_very_long_order_key_is_hashed() -> None:
    assert key_of("n" * 200, "o" * 120, 1).startswith("order#")
    assert len(key_of("n" * 200, "o" * 120, 1)) <= 200


# Late, changed, taken back


@transactional
def test_a_late_touch_and_an_out_of_window_one() -> None:
    mei = make_profile()
    make_goal()
    order(mei, NOW)
    read_all()
    click(mei, make_delivery(mei), NOW - HOUR)
    read_all()
    assert amounts("linear") == [10_000]
    before = list(Credit.objects.values())
    click(mei, make_delivery(mei), NOW - 6 * DAY)
    click(mei, make_delivery(mei), NOW + HOUR)
    read_all()
    assert list(Credit.objects.values()) == before


@transactional
def test_working_it_out_again_writes_nothing() -> None:
    mei = make_profile()
    make_goal()
    click(mei, make_delivery(mei), NOW - HOUR)
    order(mei, NOW, ref="A")
    say(mei, "Order Refunded", NOW + DAY, value=-500, properties={"order_id": "A"})
    read_all()
    before = list(Credit.objects.values())
    assert recredit(Conversion.objects.values_list("pk", flat=True), now=NOW + DAY) == 0
    assert list(Credit.objects.values()) == before


@transactional
@pytest.mark.parametrize("refund_first", [False, True])
def test_a_refund_mirrors_the_weights_of_its_sale(refund_first: bool) -> None:
    mei = make_profile()
    make_goal()
    click(mei, make_delivery(mei), NOW - 2 * HOUR)
    click(mei, make_delivery(mei), NOW - HOUR)
    click(mei, make_delivery(mei), NOW + HOUR)  # after the sale: earns nothing and loses nothing
    stories = [
        lambda: order(mei, NOW, 1001, ref="A"),
        lambda: say(mei, "Order Refunded", NOW + DAY, value=-301, properties={"order_id": "A"}),
    ]
    for tell in reversed(stories) if refund_first else stories:
        tell()
        read_all()
    sale, refund = Conversion.objects.get(name="Order Completed"), Conversion.objects.get(name="Order Refunded")
    assert (refund.value, refund.at, refund.path) == (-301, NOW + DAY, sale.path)
    assert (amounts("linear", sale), amounts("linear", refund)) == ([501, 500], [-151, -150])
    assert (amounts("last", sale), amounts("last", refund)) == ([1001], [-301])


@transactional
def test_a_refund_follows_when_its_sale_is_credited_anew() -> None:
    mei = make_profile()
    make_goal()
    order(mei, NOW, 1000, ref="A")
    say(mei, "Order Refunded", NOW + DAY, value=-1000, properties={"order_id": "A"})
    read_all()
    assert not Credit.objects.exists()
    click(mei, make_delivery(mei), NOW - HOUR)
    read_all()
    assert Credit.objects.filter(model="last").aggregate(sum=Sum("amount"))["sum"] == 0
    assert sorted(amounts("last")) == [-1000, 1000]


@transactional
def test_a_cancellation_takes_back_what_is_left() -> None:
    mei = make_profile()
    make_goal()
    order(mei, NOW, 1000, ref="A")
    say(mei, "Order Refunded", NOW + HOUR, value=-300, properties={"order_id": "A"})
    say(mei, "Order Cancelled", NOW + DAY, properties={"order_id": "A"})
    read_all()
    assert sorted(Conversion.objects.values_list("value", flat=True)) == [-700, -300, 1000]


@transactional
def test_a_refund_of_what_was_no_goal_is_nothing() -> None:
    mei = make_profile()
    say(mei, "Order Refunded", NOW, value=-300, properties={"order_id": "Z"})
    say(mei, "Order Refunded", NOW, value=-300)
    assert read_all() == 2
    assert not Conversion.objects.exists()


@transactional
def test_a_goal_younger_than_its_facts_is_filled_in_on_demand() -> None:
    mei = make_profile()
    click(mei, make_delivery(mei), NOW - HOUR)
    order(mei, NOW, 900, ref="A")
    order(mei, NOW - 40 * DAY, 100, ref="old")
    read_all()
    make_goal()
    assert not Conversion.objects.exists()
    assert backfill(NOW - DAY, now=NOW) == 1
    assert backfill(NOW - DAY, now=NOW) == 0
    assert amounts("last") == [900]


# Whole stories


def tell(people: list[Profile], rng: random.Random, facts: int, *, copies: int = 1) -> None:
    """A random story, `copies` times over."""
    source = make_source().pk
    for n in range(facts):
        who, at = rng.randrange(len(people) // copies), NOW + timedelta(minutes=rng.randrange(20 * 1440))
        what, value = rng.choice(["click", "visit", "order", "order", "refund"]), rng.randrange(1, 5000)
        ref = f"{who}-{rng.randrange(8)}"
        for copy in range(copies):
            person = people[who * copies + copy]
            _tell_one(person, what, at, value, f"{copy}-{ref}", f"{copy}-{n}", source)


def _tell_one(person: Profile, what: str, at: datetime, value: int, ref: str, key: str, source: int) -> None:
    if what == "click":
        click(person, make_delivery(person), at)
    elif what == "visit":
        visit(person, at, f"utm_source=s&utm_medium=m&utm_campaign=c{value % 3}")
    elif what == "order":
        order(person, at, value, ref=ref)
    else:
        say(person, "Order Refunded", at, value=-value, properties={"order_id": ref}, key=key, source=source)


def totals(model: str) -> dict[str, int]:
    rows = Credit.objects.filter(model=model).values_list("touch__campaign").annotate(sum=Sum("amount"))
    return {name: amount for name, amount in rows if amount}


@transactional
def test_in_any_story_credited_and_uncredited_balance_to_the_cent(rng: random.Random) -> None:
    make_goal()
    tell([make_profile() for _ in range(3)], rng, 60)
    read_all()
    for model in models.keys():  # noqa: SIM118 - a registry is no dict
        for row in Conversion.objects.all():
            credit = Credit.objects.filter(conversion=row, model=model)
            found = credit.aggregate(weight=Sum("weight"), amount=Sum("amount"))
            if row.path:
                assert found["amount"] == row.value
                assert found["weight"] == pytest.approx(1)
            else:
                assert found["amount"] is None


@transactional
def test_doubling_the_people_doubles_every_sum(rng: random.Random) -> None:
    """The same story told by two people each: twice the credit of a half, campaign by campaign."""
    make_goal()
    people = [make_profile() for _ in range(4)]
    tell(people, rng, 40, copies=2)
    read_all()
    firsts = [person.pk for person in people[::2]]
    for model in models.keys():  # noqa: SIM118 - a registry is no dict
        half = Credit.objects.filter(model=model, conversion__profile__in=firsts).values_list("touch__campaign")
        want = {name: 2 * amount for name, amount in half.annotate(sum=Sum("amount")) if amount}
        assert totals(model) == want
