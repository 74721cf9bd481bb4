"""The contract of every health metric, wherever it is registered, and what each of ours measures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.params import Params
from segments.health import About, Mark, Metric, in_order, metrics
from segments.health_values import Rules, measure_page
from segments.models import Profile
from tests.people import NOW, make_fact, make_order, make_profile

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
UTC = ZoneInfo("UTC")
TODAY = NOW.date()


def known(email: str = "mei@example.com", *, days: int = 400) -> Profile:
    """Somebody known for so many days."""
    return make_profile(email=email, now=NOW - days * DAY)


def value_of(person: Profile, key: str, *, now: Any = NOW, zone: ZoneInfo = UTC, **params: Any) -> float | None:
    return measured(person, key, now=now, zone=zone, **params).now[key]


def measured(person: Profile, key: str, *, now: Any = NOW, zone: ZoneInfo = UTC, lag: int = 14, **params: Any) -> Any:
    metric = metrics.get(key)
    rules = Rules(None, {key: 1.0}, {key: metric.bounds}, {key: metric.Params(**params)}, lag, [metric])
    return measure_page([person.pk], rules, now=now, zone=zone)[person.pk]


@pytest.mark.parametrize("key", metrics.keys())
def test_the_contract(key: str) -> None:
    """Runs over whatever is registered."""
    metric: Metric[Any] = metrics.get(key)
    params = metric.Params()
    assert issubclass(metric.Params, Params)
    assert metric.key == key
    assert metric.weight >= 0
    assert metric.bounds[0] < metric.bounds[1]
    assert metric.width > 0
    assert all(0 < delay <= metric.width for delay in metric.delays(params))
    assert all(not name.startswith("@") for name in metric.facts(params))
    titles = metric.title("en"), metric.title("zh-hans")
    assert titles[0].isascii()
    assert any("一" <= letter <= "鿿" for letter in titles[1])
    english, chinese = metric.say(params, metric.bounds[1], "en"), metric.say(params, metric.bounds[1], "zh-hans")
    assert english.isascii()
    assert any("一" <= letter <= "鿿" for letter in chinese)
    empty = metric.value(params, [], TODAY)
    assert (empty is not None and empty == metric.bounds[0]) if metric.silent else empty is None
    nobody = list(metric.marks(params, About([], NOW - 400 * DAY, UTC)))
    assert nobody == []


def test_they_are_told_in_order_and_weigh_one() -> None:
    assert [metric.key for metric in in_order()] == ["activity", "adoption", "service", "satisfaction"]
    assert sum(metric.weight for metric in in_order()) == pytest.approx(1)


def test_activity_counts_local_days_of_acts() -> None:
    mei = known()
    for at in (NOW, NOW - timedelta(hours=1), NOW - 27 * DAY, NOW - 28 * DAY, NOW - 3 * DAY):
        make_fact(mei, "Product Viewed", at=at)
    for name in ("identify", "Order Refunded", "Ticket Closed", "group"):
        make_fact(mei, name, at=NOW - 5 * DAY)
    assert value_of(mei, "activity") == 3
    make_fact(mei, "page", at=NOW.replace(hour=17) - DAY)  # in Shanghai it is today already
    assert value_of(mei, "activity") == 4
    assert value_of(mei, "activity", zone=ZoneInfo("Asia/Shanghai")) == 3
    assert value_of(mei, "activity", events=["page"]) == 1


def test_silence_is_a_value_only_after_a_whole_window() -> None:
    young, old = known("young@example.com", days=26), known("old@example.com", days=27)
    make_fact(young, "page")
    assert value_of(young, "activity") is None
    assert value_of(old, "activity") == 0
    assert measured(young, "activity").changes_on == TODAY + DAY
    assert measured(old, "activity").changes_on == TODAY + 14 * DAY  # then the value of a fortnight ago is known


def test_adoption_is_the_share_of_key_features_used() -> None:
    mei = known()
    make_order(mei, at=NOW - 2 * DAY)
    make_fact(mei, "Product Viewed", at=NOW - 20 * DAY)
    make_fact(mei, "Product Added", at=NOW - 40 * DAY)
    assert value_of(mei, "adoption") == pytest.approx(2 / 3)
    eight = [f"f{n}" for n in range(7)] + ["Product Viewed"]
    assert value_of(mei, "adoption", features=eight) == pytest.approx(1 / 8)
    assert not metrics.get("adoption").ready(metrics.get("adoption").Params(features=[]))
    with pytest.raises(ValueError, match="each feature once"):
        metrics.get("adoption").Params(features=["a", "a"])


def ticket(
    person: Profile, number: int, opened: int, answered: int | None = None, name: str = "Ticket Answered"
) -> None:
    make_fact(person, "Ticket Opened", at=NOW - opened * DAY, ticket_id=number)
    if answered is not None:
        make_fact(person, name, at=NOW - answered * DAY, ticket_id=number)


def test_service_is_the_share_of_tickets_answered_in_time() -> None:
    mei = known()
    assert value_of(mei, "service") is None
    ticket(mei, 1, 1)  # one more day to answer it
    assert value_of(mei, "service") is None
    assert measured(mei, "service").changes_on == TODAY + DAY
    ticket(mei, 2, 10, 9)
    ticket(mei, 3, 10, 8)
    ticket(mei, 4, 5, 5, "Ticket Closed")
    ticket(mei, 5, 2)  # its time is over
    ticket(mei, 6, 95, 80)  # opened before the window
    make_fact(mei, "Ticket Opened", at=NOW - 3 * DAY)  # has no id
    assert value_of(mei, "service") == 50
    assert value_of(mei, "service", days=2) == 100
    assert value_of(mei, "service", now=NOW + DAY) == 40


def test_satisfaction_is_the_newest_answer_to_each_question() -> None:
    mei = known()
    make_fact(mei, "NPS Answered", at=NOW - 30 * DAY, score=2)
    make_fact(mei, "NPS Answered", at=NOW - 3 * DAY, score=9)
    for wrong in (11, -1, "9", True, None):
        make_fact(mei, "NPS Answered", at=NOW - DAY, score=wrong)
    assert value_of(mei, "satisfaction") == 90
    make_fact(mei, "CSAT Answered", at=NOW - 2 * DAY, score=3)
    assert value_of(mei, "satisfaction") == 70
    assert measured(mei, "satisfaction").before["satisfaction"] == 20
    assert value_of(mei, "satisfaction", now=NOW + 177 * DAY) == 50
    assert value_of(mei, "satisfaction", now=NOW + 177 * DAY - timedelta(hours=13)) == 70


def test_the_announced_day_is_the_first_on_which_a_value_changes(rng: Any) -> None:
    """For random facts: walking from one announced day to the next meets every change, now and a fortnight before."""
    mei = known(days=20)
    for _ in range(12):
        at = NOW - rng.randint(0, 60) * DAY
        name = rng.choice(["Product Viewed", "Ticket Opened", "Ticket Answered", "NPS Answered", "CSAT Answered"])
        make_fact(mei, name, at=at, ticket_id=rng.randint(1, 3), score=rng.randint(1, 5))
    every = in_order()
    rules = Rules(None, {m.key: 1.0 for m in every}, {m.key: m.bounds for m in every},
                  {m.key: m.Params() for m in every}, 14, every)  # fmt: skip

    def look(day: int) -> Any:
        return measure_page([mei.pk], rules, now=NOW + day * DAY, zone=UTC)[mei.pk]

    daily = [look(day) for day in range(260)]
    changes = [n for n in range(1, 260) if (daily[n].now, daily[n].before) != (daily[n - 1].now, daily[n - 1].before)]
    announced, day = set(), 0
    while day < 260 and (on := daily[day].changes_on):
        assert on > TODAY + day * DAY
        day = (on - TODAY).days
        announced.add(day)
    assert set(changes) <= announced
    assert len(changes) > 3


def test_another_metric_is_one_class_more() -> None:
    class Visits(Metric[Any]):
        key, place, weight, bounds, width = "visits", 9, 0.5, (0.0, 5.0), 7
        Params = Params

        def facts(self, params: Params) -> frozenset[str]:
            return frozenset({"page"})

        def marks(self, params: Params, about: About) -> list[tuple[int, Mark]]:
            return [(pk, Mark(TODAY)) for pk in about.ids]

        def value(self, params: Params, marks: Sequence[Mark], today: date) -> float | None:
            return float(len(marks)) or None

        def title(self, language: str) -> str:
            return "Visits"

        def say(self, params: Params, value: float, language: str) -> str:
            return f"{value:g} visits"

    mei = known()
    with metrics.temporarily("visits", Visits()):
        assert [metric.key for metric in in_order()][-1] == "visits"
        assert value_of(mei, "visits") == 1
    assert "visits" not in metrics
