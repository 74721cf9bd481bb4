"""Questions about facts: their errors, their sentences, what they read, and what they never do with odd values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from common.params import Invalid
from segments.facts.append import append_engine_facts
from segments.rules.compile import matching, people, reads_of
from segments.rules.explain import sentence
from segments.rules.operators import At, Edge
from segments.rules.parse import parse_rule
from tests.people import NOW, make_fact, make_profile
from tests.segments.rules.persons import ZONE

AT = At(NOW, ZONE)
DAY = timedelta(days=1)


def leaf(op: str, /, **params: Any) -> dict[str, Any]:
    return {"op": op, "params": params}


def problems(op: str, /, **params: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        parse_rule(leaf(op, **params))
    return [str(problem) for problem in caught.value.problems]


def said(op: str, /, **params: Any) -> tuple[str, str]:
    rule = parse_rule(leaf(op, **params))
    return sentence(rule, "en"), sentence(rule, "zh-hans")


def test_every_wrong_property_test_is_told_with_its_place() -> None:
    where = {"a": {}, "b": [], "c": {"at_least": "ten", "typo": 1}, 'd"': 1, "e": {"contains": ""}, "f": None}
    found = [line.split(":")[0] for line in problems("event_count", event="Viewed", where=where)]
    places = ["where.a", "where.b", "where.c.at_least", "where.c.typo", "where.e.contains"]
    assert {f"params.{place}" for place in places} <= set(found)
    assert any(line.startswith('params.where.d"') for line in found)
    assert any(line.startswith("params.where.f") for line in found)


@pytest.mark.parametrize(
    ("op", "params", "problem"),
    [
        ("event_first_last", {"event": "a", "op": "within"}, "'within' needs days"),
        ("event_first_last", {"event": "a", "op": "before"}, "'before' needs a date"),
        ("event_first_last", {"event": "a", "op": "after", "day": "2026-02-30"}, "valid date"),
        ("event_measure", {"event": "a", "measure": "distinct", "number": 1}, "'distinct' needs a property"),
        ("event_measure", {"event": "a", "number": float("inf")}, "finite"),
        ("order_measure", {"measure": "distinct", "number": 1}, "'distinct' is for coupon"),
        ("order_measure", {"measure": "sum", "field": "coupon", "number": 1}, "are for net"),
        ("event_sequence", {"first": "a"}, "Field required"),
        ("event_not_followed", {"event": "a", "then": "b", "within_days": 3, "days": 3}, "more than within_days"),
    ],
)
def test_what_cannot_be_asked_is_refused(op: str, params: dict[str, Any], problem: str) -> None:
    assert problem in "; ".join(problems(op, **params))


def test_they_are_said_in_both_languages() -> None:
    where = {"kind": ["x", "y"], "price": {"at_least": 10, "less_than": 20}, "n": {"set": False}, "m": {"ends": "a"}}
    assert said("event_count", event="Viewed", count=2, where=where) == (
        "did “Viewed” (kind is one of x / y, price at least 10 and less than 20, n is not known, m ends with a)"
        " at least 2 times in all",
        "累计做过“Viewed”（kind 属于 x / y，price 至少 10 且小于 20，n 未知，m 以 a 结尾）至少 2 次",
    )
    assert said("event_first_last", event="Viewed", which="first", op="within", days=7) == (
        "first did “Viewed” within 7 days",
        "首次“Viewed” 在最近 7 天内",
    )
    assert said("event_measure", event="Viewed", measure="avg", property="price", number=2.5, days=30) == (
        "the average of “price” of “Viewed” in the last 30 days is at least 2.5",
        "最近 30 天内“Viewed” 的“price”平均值至少 2.5",
    )
    assert said("order_measure", measure="max", number=5000) == (
        "the largest net amount of orders ever is at least 50.00 USD",
        "有史以来订单净额最大值至少 50.00 USD",
    )
    assert said("event_sequence", first="Viewed", then="Added", within_days=1, days=30) == (
        "did “Viewed” and then “Added” at most 1 day later in the last 30 days",
        "最近 30 天内在“Viewed”之后的 1 天内做了“Added”",
    )
    assert said("event_not_followed", event="Added", then="Order Completed", within_days=1) == (
        "did “Added” and did not do “Order Completed” within 1 day",
        "做过“Added”，之后 1 天内未做“Order Completed”",
    )


def test_money_is_told_in_the_units_of_its_currency(settings: Any) -> None:
    settings.CURRENCY = "JPY"
    assert said("order_measure", measure="max", number=5000)[0].endswith("is at least 5,000 JPY")


def test_what_they_read_names_every_fact_and_edge() -> None:
    def reads(op: str, /, **params: Any) -> tuple[set[str], set[Edge]]:
        found = reads_of(parse_rule(leaf(op, **params)))
        return set(found.facts), set(found.windows)

    a, b = frozenset({"a"}), frozenset({"b"})
    assert reads("event_first_last", event="a", days=3) == ({"a"}, {Edge(3 * DAY, a)})
    assert reads("event_first_last", event="a", op="before", day="2026-03-01") == ({"a"}, {Edge(0 * DAY, a)})
    assert reads("event_sequence", first="a", then="b", within_days=1, days=3) == ({"a", "b"}, {Edge(3 * DAY, b)})
    assert reads("event_not_followed", event="a", then="b", within_days=1, days=3) == (
        {"a", "b"}, {Edge(DAY, a), Edge(3 * DAY, a)},
    )  # fmt: skip
    assert reads("event_not_followed", event="a", then="b") == ({"a", "b"}, {Edge(0 * DAY, a | b)})


@pytest.mark.django_db
def test_letters_and_kinds_count_as_they_are_written_on_every_database() -> None:
    mei = make_profile()
    make_fact(mei, "Viewed", title="Größe Tea", price="10", on=True, tags=["a", "%"])

    def found(where: dict[str, Any]) -> bool:
        return bool(matching(parse_rule(leaf("event_count", event="Viewed", where=where)), [mei.pk], AT))

    right: list[dict[str, Any]] = [
        {"title": {"contains": "öße"}}, {"title": {"starts": "Gr", "ends": "Tea"}}, {"price": "10"}, {"on": True},
        {"tags": {"contains": "%"}}, {"price": {"none_of": [10]}}, {"off": {"set": False}},
    ]  # fmt: skip
    wrong: list[dict[str, Any]] = [
        {"title": {"contains": "ÖSSE"}}, {"title": {"contains": "tea"}}, {"title": {"ends": "tea"}},
        {"title": {"contains": "%"}}, {"title": {"starts": "G_"}}, {"price": 10}, {"price": {"at_least": 1}}, {"on": 1},
        {"tags": {"starts": "a"}}, {"off": {"none_of": [1], "set": True}},
    ]  # fmt: skip
    assert [where for where in right if not found(where)] == []
    assert [where for where in wrong if found(where)] == []


@pytest.mark.django_db
def test_no_value_a_sender_may_write_breaks_a_measure() -> None:
    mei, bo = make_profile(), make_profile()
    for price in (1e300, -1e300, 10**40, "NaN", [1], {"a": 1}, None, True):
        make_fact(mei, "Viewed", price=price)
    make_fact(bo, "Viewed", price=0.1)
    make_fact(bo, "Viewed", price=0.2)

    def found(measure: str, op: str, number: float) -> set[int]:
        asked = {"event": "Viewed", "property": "price", "measure": measure, "op": op, "number": number}
        return set(people(parse_rule(leaf("event_measure", **asked)), AT).values_list("pk", flat=True))

    assert found("sum", "exactly", 0.3) == {bo.pk}
    assert found("max", "at_least", 1e15) == found("min", "at_most", -1e15) == {mei.pk}
    assert found("distinct", "exactly", 2) == {bo.pk}
    assert found("distinct", "exactly", 5) == {mei.pk}  # three numbers, a text and true


@pytest.mark.django_db
def test_facts_of_the_engine_have_no_lifetime_row_and_are_counted_all_the_same() -> None:
    mei = make_profile()
    append_engine_facts([(mei.pk, mei.shard, "@badge_awarded", "k", {"badge": "hero"})], now=NOW - DAY)
    for rule in (
        leaf("event_count", event="@badge_awarded", op="exactly", count=1),
        leaf("event_first_last", event="@badge_awarded", op="longer_ago", days=1),
    ):
        assert matching(parse_rule(rule), [mei.pk], AT) == {mei.pk}
