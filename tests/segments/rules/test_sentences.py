"""Rules as operators read them: numbers of things in plain words, English and Chinese."""

from __future__ import annotations

from typing import Any

import pytest

from segments.rules.explain import sentence
from segments.rules.parse import parse_rule


def count(op: str, number: int, days: float | None = None, **more: Any) -> dict[str, Any]:
    return {"op": op, "count": number, **({} if days is None else {"days": days}), **more}


@pytest.mark.parametrize(
    ("params", "english", "chinese"),
    [
        (count("at_most", 0), "never placed an order", "从未下单"),
        (count("exactly", 0), "never placed an order", "从未下单"),
        (count("less_than", 1), "never placed an order", "从未下单"),
        (count("exactly", 0, 60), "placed no order in the last 60 days", "最近 60 天内未下单"),
        (count("less_than", 1, 1), "placed no order in the last day", "最近 1 天内未下单"),
        (count("at_least", 1), "ever placed an order", "下过单"),
        (count("more_than", 0, 0.5), "placed an order in the last 12 hours", "最近 12 小时内下过单"),
        (count("exactly", 1), "placed exactly 1 order in all", "累计下单恰好 1 次"),
        (count("more_than", 1, 7.5), "placed more than 1 order in the last 7.5 days", "最近 7.5 天内下单多于 1 次"),
        (count("at_most", 1), "placed at most 1 order in all", "累计下单至多 1 次"),
        (count("at_least", 3, 30), "placed at least 3 orders in the last 30 days", "最近 30 天内下单至少 3 次"),
        (count("less_than", 3), "placed fewer than 3 orders in all", "累计下单少于 3 次"),
        (count("at_least", 0), "placed at least 0 orders in all", "累计下单至少 0 次"),
    ],
)
def test_a_number_of_orders(params: dict[str, Any], english: str, chinese: str) -> None:
    assert said("order_count", params) == (english, chinese)


@pytest.mark.parametrize(
    ("params", "english", "chinese"),
    [
        (count("at_most", 0), "never did “Viewed”", "从未做过“Viewed”"),
        (count("less_than", 1, 3), "did not do “Viewed” in the last 3 days", "最近 3 天内未做过“Viewed”"),
        (count("at_least", 1), "ever did “Viewed”", "做过“Viewed”"),
        (count("more_than", 0, 1), "did “Viewed” in the last day", "最近 1 天内做过“Viewed”"),
        (count("exactly", 1), "did “Viewed” exactly once in all", "累计做过“Viewed”恰好 1 次"),
        (count("at_most", 1, 7), "did “Viewed” at most once in the last 7 days", "最近 7 天内做过“Viewed”至多 1 次"),
        (count("at_least", 11), "did “Viewed” at least 11 times in all", "累计做过“Viewed”至少 11 次"),
        (count("less_than", 2), "did “Viewed” fewer than 2 times in all", "累计做过“Viewed”少于 2 次"),
        (count("exactly", 0, where={"kind": "{x}"}), "never did “Viewed” (kind = {x})", "从未做过“Viewed”（kind = {x}）"),
        (count("at_least", 2, 30, where={"kind": ["a", "b"], "n": 1}),
         "did “Viewed” (kind is one of a / b, n = 1) at least 2 times in the last 30 days",
         "最近 30 天内做过“Viewed”（kind 属于 a / b，n = 1）至少 2 次"),
    ],
)  # fmt: skip
def test_a_number_of_events(params: dict[str, Any], english: str, chinese: str) -> None:
    assert said("event_count", {"event": "Viewed", **params}) == (english, chinese)


@pytest.mark.parametrize(
    ("params", "english", "chinese"),
    [
        ({"op": "at_least", "amount": 3000}, "spent at least 30.00 USD in all", "累计消费至少 30.00 USD"),
        ({"op": "less_than", "amount": 3000, "days": 1}, "spent less than 30.00 USD in the last day",
         "最近 1 天内消费少于 30.00 USD"),
        ({"op": "exactly", "amount": 0, "days": 30}, "spent nothing in the last 30 days", "最近 30 天内未消费"),
    ],
)  # fmt: skip
def test_an_amount_spent(params: dict[str, Any], english: str, chinese: str) -> None:
    assert said("order_sum", params) == (english, chinese)


def test_an_amount_in_a_currency_without_cents(settings: Any) -> None:
    settings.CURRENCY = "JPY"
    assert said("order_sum", {"amount": 3000}) == ("spent at least 3,000 JPY in all", "累计消费至少 3,000 JPY")


@pytest.mark.parametrize(
    ("params", "english", "chinese"),
    [
        ({"op": "at_most", "points": 0}, "has no points", "没有积分"),
        ({"op": "more_than", "points": 0}, "has points", "有积分"),
        ({"op": "exactly", "points": 1}, "has exactly 1 point", "积分恰好 1"),
        ({"op": "less_than", "points": 100}, "has fewer than 100 points", "积分少于 100"),
    ],
)
def test_points(params: dict[str, Any], english: str, chinese: str) -> None:
    assert said("points", params) == (english, chinese)


@pytest.mark.parametrize(
    ("params", "english", "chinese"),
    [
        ({"op": "within", "days": 1}, "last ordered within 1 day", "最近 1 天内下过单"),
        ({"op": "longer_ago", "days": 60}, "last ordered more than 60 days ago", "上次下单距今超过 60 天"),
        ({"op": "longer_ago", "days": 1 / 24}, "last ordered more than 1 hour ago", "上次下单距今超过 1 小时"),
        ({"op": "between", "days": 7, "to_days": 30}, "last ordered 7 to 30 days ago", "上次下单距今 7 至 30 天"),
        ({"op": "never"}, "never ordered", "从未下单"),
    ],
)
def test_the_last_order(params: dict[str, Any], english: str, chinese: str) -> None:
    assert said("order_recency", params) == (english, chinese)


def said(op: str, params: dict[str, Any]) -> tuple[str, str]:
    rule = parse_rule({"op": op, "params": params})
    return sentence(rule, "en"), sentence(rule, "zh-hans")
