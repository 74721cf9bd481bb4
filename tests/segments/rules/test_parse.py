"""Wrong rules are refused with every mistake and its place; right ones are read as they stand."""

from __future__ import annotations

from typing import Any

import pytest

from common.params import Invalid
from segments.models import Segment
from segments.rules.compile import blank, reads_of
from segments.rules.operators import Drift
from segments.rules.order import in_order, prove_rule
from segments.rules.parse import check_rule, parse_rule
from segments.rules.tree import All, Leaf, Not, leaves

LEAF = {"op": "order_count", "params": {"op": "at_least", "count": 2, "days": 30}}


def problems(raw: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        parse_rule(raw)
    return [str(problem) for problem in caught.value.problems]


def test_every_mistake_is_told_with_its_place() -> None:
    raw = {
        "all": [
            {"op": "trait"},
            {"op": "event_count", "params": {"event": "", "days": -1, "typo": 1}},
            {"any": []},
            {"not": {"op": "nobody_knows"}},
            {"all": [], "any": []},
            3,
            {"op": "stage", "params": {"stages": ["asleep"]}, "extra": 1},
            {"op": "trait", "params": {"trait": "email", "op": "less", "value": 3}},
        ]
    }
    found = problems(raw)
    assert [line.split(":")[0] for line in found] == [
        "all.0.params.trait", "all.0.params.op", "all.1.params.event", "all.1.params.days", "all.1.params.typo",
        "all.2.any", "all.3.not.op", "all.4", "all.5", "all.6.extra", "all.6.params.stages.0", "all.7.params",
    ]  # fmt: skip
    assert "'email' is a text, 'less' is not for texts; 'email' is a text, compare it with texts" in found[-1]


@pytest.mark.parametrize("raw", [None, [], "all", {}, {"every": []}, {"all": {}}, {"all": "x"}, {"not": []}])
def test_what_is_no_rule_is_refused(raw: Any) -> None:
    assert len(problems(raw)) == 1


def test_depth_and_number_are_bounded() -> None:
    deep: Any = LEAF
    for _ in range(12):
        deep = {"not": deep}
    assert "nested deeper than 12" in problems(deep)[0]
    too_many = ["a rule has at most 200 questions"]
    assert problems({"any": [LEAF] * 201}) == too_many
    assert problems({"all": [{"all": []}] * 201}) == too_many, "a group without questions costs the database as much"
    assert problems({"all": [{"op": "nobody_knows"}] * 20_000}) == too_many, "and is not told 20,000 times"
    assert problems({"all": [{"any": [{"not": LEAF}] * 100}, {"all": [LEAF] * 101}]}) == too_many
    assert parse_rule({"all": [{"any": [{"not": LEAF}] * 100}, {"all": [LEAF] * 100}]})


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"trait": "a", "op": "equals"}, "needs a value"),
        ({"trait": "a", "op": "between", "low": 3, "high": 2}, "low and high"),
        ({"trait": "a", "op": "before", "value": "2026-02-30"}, "needs a date"),
        ({"trait": "a", "op": "starts", "value": 3}, "needs a text"),
        ({"trait": "a", "op": "less", "value": True}, "needs a number"),
        ({"trait": "birthday", "op": "contains", "value": "x"}, "is not for dates"),
        ({"trait": "registered_at", "op": "anniversary", "days": 3}, "has no anniversary"),
        ({"trait": 'a"b', "op": "set"}, "pattern"),
        ({"trait": "a", "op": "equals", "value": float("nan")}, "finite number"),
    ],
)
def test_a_trait_is_compared_only_as_its_kind_allows(params: dict[str, Any], said: str) -> None:
    assert said in "; ".join(problems({"op": "trait", "params": params}))


def test_a_rule_is_a_tree_that_knows_its_places() -> None:
    rule = parse_rule({"all": [LEAF, {"not": LEAF}]})
    assert isinstance(rule, All)
    assert isinstance(rule.parts[1], Not)
    assert [leaf.path for leaf in leaves(rule)] == ["all.0", "all.1.not"]
    assert isinstance(rule.parts[0], Leaf)


def test_what_a_rule_reads_is_the_union_of_its_leaves() -> None:
    raw = {
        "any": [
            {"op": "event_count", "params": {"event": "Viewed", "days": 3}},
            {"op": "in_segment", "params": {"segment": "vip"}},
            {"op": "trait", "params": {"trait": "due", "op": "last_days", "days": 3}},
        ]
    }
    reads = reads_of(parse_rule(raw))
    assert (reads.facts, reads.segments, reads.traits) == ({"Viewed", "*"}, {"vip"}, {"due"})
    assert [(edge.width.days, edge.facts) for edge in reads.windows] == [(3, {"Viewed"})]
    assert reads.drift is Drift.DAILY


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (LEAF, False),
        ({"not": LEAF}, True),
        ({"all": []}, True),
        ({"all": [LEAF, {"op": "random_bucket", "params": {}}]}, False),
        ({"any": [LEAF, {"op": "random_bucket", "params": {}}]}, None),
        ({"op": "order_recency", "params": {"op": "never"}}, True),
        ({"op": "stage", "params": {"stages": ["prospect"]}}, True),
    ],
)
def test_whether_a_blank_person_matches(raw: Any, expected: bool | None) -> None:
    assert blank(parse_rule(raw)) is expected


@pytest.mark.django_db
def test_names_that_do_not_exist_are_told_together_with_mistakes_of_form() -> None:
    Segment.objects.create(key="inner", name="Inner", rule={"op": "in_segment", "params": {"segment": "one"}})
    asked = [{"op": "in_segment", "params": {"segment": key}} for key in ("nowhere", "inner")]
    with pytest.raises(Invalid) as caught:
        prove_rule({"all": [*asked, {"op": "points", "params": {"points": "many"}}, {"any": []}]}, key="one")
    assert [problem.path for problem in caught.value.problems] == [
        "all.2.params.points", "all.3.any", "all.0.params", "",
    ]  # fmt: skip


@pytest.mark.django_db
def test_names_that_do_not_exist_are_found_before_saving() -> None:
    raw = {
        "all": [
            {"op": "in_segment", "params": {"segment": "nowhere"}},
            {"op": "level", "params": {"levels": ["tin"]}},
            {"op": "badge", "params": {"badge": "none"}},
            {"op": "consent", "params": {"topic": "gossip"}},
        ]
    }
    found = [str(problem) for problem in check_rule(parse_rule(raw))]
    assert found == [
        "all.0.params: no segment has the key 'nowhere'",
        "all.1.params: no level has the key 'tin'",
        "all.2.params: no badge has the key 'none'",
        "all.3.params: no topic has the key 'gossip'",
    ]


@pytest.mark.django_db
def test_a_circle_is_named() -> None:
    def inside(key: str) -> dict[str, Any]:
        return {"op": "in_segment", "params": {"segment": key}}

    Segment.objects.create(key="a", name="a", rule={"all": []})
    Segment.objects.create(key="b", name="b", rule={"any": [inside("a"), LEAF]})
    Segment.objects.create(key="c", name="c", rule={"not": inside("b")})
    with pytest.raises(Invalid, match="in a circle: a → c → b → a"):
        prove_rule(inside("c"), key="a")
    with pytest.raises(Invalid, match="in a circle: a → a"):
        prove_rule(inside("a"), key="a")
    prove_rule(inside("c"), key="d")


def test_the_inner_comes_before_the_outer() -> None:
    inner = {
        "d": frozenset({"b", "c"}),
        "b": frozenset({"a"}),
        "c": frozenset({"a", "elsewhere"}),
        "a": frozenset[str](),
    }
    assert in_order(inner) == ["a", "b", "c", "d"]
