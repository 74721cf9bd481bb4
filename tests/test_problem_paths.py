"""What is wrong is told at its place in the JSON that was sent, whatever plug-in, whatever types it was read as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from campaigns.reports import reports
from campaigns.steps import steps
from campaigns.steps.branch import BranchParams, Way
from campaigns.triggers import triggers
from common.params import Invalid, Params, read_params
from segments.health import metrics
from segments.rules.operators import operators
from segments.rules.parse import parse_rule

FAMILIES: tuple[Any, ...] = (operators, metrics, triggers, steps, reports)
WRONG: tuple[Any, ...] = (
    None, True, -1, 1.5, 10**30, float("nan"), "", "x" * 5000, [], [[1]], [{}], ["a", {}], [{"x": 1}], {}, {"x": 1},
    {"": 1}, {"x": [{}]}, {"x": ["a", {}]}, {"x": {"op": 1}}, {"x": {"any_of": [{}], "at_least": "a"}},
    {"x": {"test": 1, "any_of": []}}, {"x": {"int": {}}},
)  # fmt: skip


def told(model: type[Params], raw: Mapping[str, Any]) -> list[tuple[str, str]]:
    try:
        read_params(model, raw)
    except Invalid as invalid:
        return [(one.path, one.message) for one in invalid.problems]
    return []


def leads(path: str, message: str, raw: Any) -> bool:
    """Whether the path goes through what was sent; the last name of what is missing is not there, by its nature."""
    names = path.split(".") if path else []
    for place, name in enumerate(names):
        if isinstance(raw, Mapping) and name in raw:
            raw = raw[name]
        elif isinstance(raw, list) and name.isdecimal() and int(name) < len(raw):
            raw = raw[int(name)]
        else:
            return message == "Field required" and place == len(names) - 1
    return True


PLUGINS = [(registry.family, key, part.Params) for registry in FAMILIES for key, part in registry.items()]


@pytest.mark.parametrize("model", [pytest.param(m, id=f"{f}-{k}") for f, k, m in PLUGINS])
def test_every_problem_of_a_part_is_told_where_it_was_written(model: type[Params]) -> None:
    asked, astray = 0, []
    names = [field.alias or name for name, field in model.model_fields.items()]
    for name in [*names, "nobody_knows_this"]:
        for wrong in WRONG:
            raw = {name: wrong}
            problems = told(model, raw)
            asked += len(problems)
            astray += [(raw, one) for one in problems if not leads(*one, raw)]
    assert asked >= len(WRONG), "a name that nobody knows is always wrong"
    assert astray == []


def test_each_family_has_parts_to_ask() -> None:
    assert {family for family, _key, _model in PLUGINS} == {
        "operators", "health metrics", "triggers", "steps", "reports"
    }  # fmt: skip
    assert len(PLUGINS) >= 45


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"op": 1}, [("where.x.op", "Extra inputs are not permitted")]),
        ({"any_of": [{}]}, [("where.x.any_of.0", "this is a text, a number, true or false")]),
        ([1, None, []], [("where.x.1", "this is a text, a number, true or false"),
                         ("where.x.2", "this is a text, a number, true or false")]),
        (None, [("where.x", "this is a text, a number, true or false")]),
        ("x" * 2001, [("where.x", "String should have at most 2000 characters")]),
        (float("inf"), [("where.x", "Input should be a finite number")]),
        ({"at_least": "a"}, [("where.x.at_least", "Input should be a valid number, unable to parse string as a number")]),
        ({"test": 1, "any_of": []}, [("where.x.any_of", "List should have at least 1 item after validation, not 0"),
                                     ("where.x.test", "Extra inputs are not permitted")]),
    ],
)  # fmt: skip
def test_a_test_of_a_property_is_told_once_and_in_its_place(wanted: Any, found: list[tuple[str, str]]) -> None:
    raw = {"event": "Order Completed", "where": {"x": wanted}}
    assert told(operators.get("event_count").Params, raw) == found


def test_a_value_of_a_trait_is_told_as_one_mistake() -> None:
    rule = {"all": [{"op": "trait", "params": {"trait": "plan", "op": "any_of", "values": ["a", {}, "x" * 201]}}]}
    with pytest.raises(Invalid) as caught:
        parse_rule(rule)
    assert [str(one) for one in caught.value.problems] == [
        "all.0.params.values.1: this is a text, a number, true or false",
        "all.0.params.values.2: String should have at most 200 characters",
    ]


@pytest.mark.django_db
def test_a_rule_inside_a_step_is_told_at_its_place_in_the_node() -> None:
    ways = (
        Way(name="good", rule={"all": []}),
        Way(name="bad", rule={"any": [{"op": "trait"}, {"op": "in_segment", "params": {"segment": "none"}}]}),
        Way(name="lost", rule={"all": [{"op": "in_segment", "params": {"segment": "none"}}]}),
        Way(name="no", rule={}),
    )
    found = steps.get("branch").check(BranchParams(branches=ways))
    assert [one.path for one in found] == [  # type: ignore[union-attr]
        "params.branches.1.rule.any.0.params.trait",
        "params.branches.1.rule.any.0.params.op",
        "params.branches.2.rule.all.0.params",
        "params.branches.3.rule",
    ]
