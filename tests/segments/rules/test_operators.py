"""The contract of every operator, wherever it is registered, and what explain tells about one person."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from messaging.models import Address
from segments.reads import samples
from segments.rules.compile import matching, people
from segments.rules.explain import explain, sentence
from segments.rules.operators import At, Reads, operators
from segments.rules.parse import parse_rule
from tests.people import NOW, make_fact, make_order, make_profile
from tests.segments.rules.world import LEAVES, ZONE

FAMILIES = {"traits", "behaviour", "value", "engagement", "groups", "growth"}
MORE: dict[str, dict[str, Any]] = {"consent": {"topic": "offers"}, "in_journey": {"journey": "welcome"}}
AT = At(NOW, ZONE)


def example(op: str) -> dict[str, Any]:
    params = LEAVES[op](random.Random(4)) if op in LEAVES else MORE.get(op, {})
    return {"op": op, "params": params}


@pytest.mark.django_db
@pytest.mark.parametrize("op", operators.keys())
def test_every_operator_answers_says_and_declares(op: str) -> None:
    """Runs over whatever is registered, so a new operator must be told here only if it needs parameters."""
    operator, rule = operators.get(op), parse_rule(example(op))
    assert operator.family in FAMILIES or operator.family
    params = rule.params  # type: ignore[union-attr]
    assert isinstance(operator.reads(params), Reads)
    assert operator.blank(params) in (True, False, None)
    english, chinese = operator.say(params, "en"), operator.say(params, "zh-hans")
    assert english.isascii() or any(ord(letter) > 127 for letter in english)
    assert english != chinese
    assert any("一" <= letter <= "鿿" for letter in chinese), chinese
    mei = make_profile(email="mei@example.com")
    negated = parse_rule({"not": example(op)})
    assert people(rule, AT).filter(pk=mei.pk).exists() != people(negated, AT).filter(pk=mei.pk).exists()
    assert matching(rule, [mei.pk], AT) | matching(negated, [mei.pk], AT) == {mei.pk}


@pytest.mark.django_db
def test_explain_answers_every_question_in_one_query(django_assert_num_queries: Any) -> None:
    mei = make_profile(email="mei@example.com", city="Berlin")
    make_fact(mei, "Viewed", at=NOW - timedelta(days=2))
    make_order(mei, at=NOW - timedelta(days=1), total=2500)
    rule = parse_rule(
        {
            "all": [
                {"op": "event_count", "params": {"event": "Viewed", "count": 1, "days": 3}},
                {"any": [{"op": "order_sum", "params": {"amount": 3000}}, {"op": "order_count", "params": {}}]},
                {"not": {"op": "trait", "params": {"trait": "city", "op": "equals", "value": "Berlin"}}},
            ]
        }
    )
    with django_assert_num_queries(1):
        reason = explain(rule, mei.pk, AT, "en")
    assert reason is not None
    assert [(node.kind, node.holds) for node in reason.walk()] == [
        ("all", False), ("event_count", True), ("any", True), ("order_sum", False), ("order_count", True),
        ("not", False), ("trait", True),
    ]  # fmt: skip
    assert sentence(rule, "en") == (
        "did “Viewed” in the last 3 days and (spent at least 30.00 USD in all or ever placed an order)"
        " and not (city is Berlin)"
    )
    assert sentence(rule, "zh-hans") == (
        "最近 3 天内做过“Viewed”，且（累计消费至少 30.00 USD，或下过单），且不满足（city 为 Berlin）"
    )
    assert explain(rule, mei.pk + 1, AT, "en") is None


@pytest.mark.django_db
def test_consent_is_read_from_every_address_of_the_channel() -> None:
    said = {"given": (["offers"], []), "refused": (["offers"], ["*"]), "unknown": (["news"], [])}
    people_of = {}
    for state, (consents, refusals) in said.items():
        person = people_of[state] = make_profile(email=f"{state}@example.com")
        Address.objects.create(
            channel="email", value=person.email, profile=person, consents=consents, refusals=refusals, created_at=NOW
        )
    Address.objects.create(channel="email", value="lost@example.com", consents=["offers"], created_at=NOW)
    nobody = make_profile(email="nobody@example.com")
    for state, expected in (("given", {"given"}), ("refused", {"refused"}), ("unknown", {"unknown"})):
        rule = parse_rule({"op": "consent", "params": {"topic": "offers", "state": state}})
        found = set(people(rule, AT).values_list("pk", flat=True)) - {nobody.pk}
        assert found == {people_of[name].pk for name in expected}
    assert matching(parse_rule({"op": "consent", "params": {"topic": "x", "state": "unknown"}}), [nobody.pk], AT)


@pytest.mark.django_db
def test_samples_come_with_their_reason() -> None:
    for n in range(20):
        make_profile(email=f"p{n}@example.com")
    rule = parse_rule({"op": "trait", "params": {"trait": "email", "op": "contains", "value": "p1"}})
    some = samples(rule, now=NOW, language="en", limit=3)
    assert [row.person.email for row in some] == ["p1@example.com", "p10@example.com", "p11@example.com"]
    assert all(row.why.holds for row in some)
