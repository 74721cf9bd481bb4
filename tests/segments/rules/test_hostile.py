"""Whatever is written into a rule, it is refused with its place or it can be asked: no database ever breaks on it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest

from common.params import Invalid
from segments.rules.compile import matching, people
from segments.rules.explain import sentence
from segments.rules.operators import At, operators
from segments.rules.parse import parse_rule
from segments.rules.tree import Rule
from tests.people import NOW, make_fact, make_profile
from tests.segments.rules.test_operators import example
from tests.segments.rules.world import LEAVES, ZONE

ODD: list[Any] = [
    "", "a", "'", '"', "\\", "%", "_", "*", "🙂", "\x00", "a\x00b", "\ud800", "x" * 5000, "{0}", "{v}", "$", ".", "a.b",
    0, -1, 1, 2.5, 1e-12, 1e18, 1e308, -1e308, 2**63 - 1, 2**63, 10**400, float("nan"), float("inf"), True, False, None,
    [], {}, [[]], ["a", "a"], {"a": 1}, {"a": {"contains": "%"}}, {"a": {"at_least": 1e308}}, {"a": [1, "1", True]},
    {"a\x00": 1}, {"a": {"any_of": [2**64]}}, {"$": 1}, {"a.b": "x"}, {"'": "'"}, "0001-01-01", "9999-12-31",
    "2026-02-29", "2024-02-29", "1000-01-01", "8999-12-31", 3660, 3661, 1_000_000, 10**15,
]  # fmt: skip


def mutated(rng: random.Random, op: str) -> dict[str, Any]:
    params = dict(LEAVES[op](rng) if op in LEAVES else example(op)["params"])
    names = list(operators.get(op).Params.model_fields)
    for name in rng.sample(names, k=min(len(names), rng.choice([0, 1, 1, 2]))):
        params[name] = rng.choice(ODD)
    return {"op": op, "params": params}


def read(raw: dict[str, Any]) -> Rule | None:
    """The rule, or None when it is refused, each problem with its place."""
    try:
        return parse_rule(raw)
    except Invalid as invalid:
        misplaced = [problem for problem in invalid.problems if not problem.path.startswith(next(iter(raw)))]
    assert misplaced == []
    return None


@pytest.mark.django_db
@pytest.mark.parametrize("op", operators.keys())
def test_odd_parameters_are_refused_or_asked(op: str, rng: random.Random, prove: bool) -> None:
    mei = make_profile(email="mei@example.com", traits={"a": "%", "age": 10**30, "due": "9999-99-99"})
    make_fact(mei, "Viewed", price=1e300, kind="'", a="%")
    asked = refused = 0
    for _ in range(1500 if prove else 120):
        raw = {rng.choice(["any", "all"]): [mutated(rng, op)]}
        now = rng.choice([NOW, datetime(1971, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)])
        rule = read(raw)
        if rule is None:
            refused += 1
            continue
        asked += 1
        found = set(people(rule, At(now, ZONE)).values_list("pk", flat=True))
        assert matching(rule, [mei.pk], At(now, ZONE)) == found, raw
        assert all(sentence(rule, language) for language in ("en", "zh-hans")), raw
    assert asked
    assert refused


def test_what_no_database_can_store_is_told_with_its_place() -> None:
    raw = {"event": "a\x00", "where": {"kind": ["x", "\ud800"], "n": 2**63, "k\x00": 1}, "count": 1}
    with pytest.raises(Invalid) as caught:
        parse_rule({"all": [{"op": "event_count", "params": raw}]})
    assert sorted(problem.path for problem in caught.value.problems) == [
        "all.0.params.event", "all.0.params.where", "all.0.params.where.kind.1", "all.0.params.where.n",
    ]  # fmt: skip


@pytest.mark.django_db
def test_as_many_values_as_may_be_are_asked_in_one_condition() -> None:
    mei = make_profile(traits={"n": 499, "t": "v499", "b": True, "f": 2.5})
    bo = make_profile(traits={"n": "499", "t": 499, "b": 1, "f": "2.5"})
    make_fact(mei, "Viewed", n=499)
    make_fact(bo, "Viewed", n="499")
    numbers, texts = list(range(500)), [f"v{n}" for n in range(500)]
    asked = [("n", numbers), ("t", texts), ("b", [True, *numbers[2:]]), ("f", [2.5, *texts[1:]])]
    for trait, values in asked:
        rule = parse_rule({"op": "trait", "params": {"trait": trait, "op": "any_of", "values": values}})
        assert set(people(rule, At(NOW, ZONE)).values_list("pk", flat=True)) == {mei.pk}, trait
    where = {f"p{n}": {"none_of": numbers} for n in range(9)} | {"n": numbers}
    leaf = {"op": "event_count", "params": {"event": "Viewed", "where": where}}
    for raw in (leaf, {"any": [leaf] * 40}):
        assert set(people(parse_rule(raw), At(NOW, ZONE)).values_list("pk", flat=True)) == {mei.pk}
