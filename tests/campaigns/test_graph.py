"""Reading flows: everything that is wrong is told at once, with its path; what passes is proven to run."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from campaigns.graph import read_graph
from common.params import Invalid
from tests.campaigns.flows import DONE, flow, node


def problems(raw: object) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        read_graph(raw)
    return {problem.path: problem.message for problem in caught.value.problems}


def test_a_sound_flow_reads_back_equal() -> None:
    raw = flow(
        {
            "a": node("send", "b", template="hello"),
            "b": node("wait", "c", for_="3d", until="09:00"),
            "c": node("wait_for", {"happened": "d", "timeout": "a"}, fact="Order Completed", timeout="2d"),
            "d": DONE,
        },
        exits=[{"fact": "Order Completed", "reason": "ordered"}, {"left_segment": "vip"}],
        entry={"reentry": "cooldown", "cooldown": "30d", "per_day": 10},
        goal={"key": "order"},
    )
    graph = read_graph(raw)
    assert graph.start == "a"
    assert graph.nodes["c"].next == {"happened": "d", "timeout": "a"}
    assert read_graph(graph.dump()) == graph
    assert graph.ending_facts() == {"Order Completed", "@segment_left"}
    assert graph.awaited_facts() == {"Order Completed"}
    assert not graph.broadcast


def test_every_problem_is_told_at_once() -> None:
    raw = {
        "trigger": {"type": "fact", "params": {"fakt": "Signed Up"}},
        "start": "nowhere",
        "colour": "red",
        "nodes": {
            "a": node("send", "missing"),
            "b": node("fly", "a"),
            "c": {"type": "wait", "params": {"for": "soon"}, "next": {}},
            "Bad Key": DONE,
            "w": {
                "type": "wait_for",
                "params": {"fact": "X", "timeout": "1d"},
                "next": {"happened": "a", "later": "a"},
            },
        },
        "exits": [{"reason": "x"}, {"fact": "A", "left_segment": "b"}],
        "entry": {"reentry": "sometimes", "per_day": -1},
        "goal": {"ends": True},
    }
    found = problems(raw)
    assert set(found) == {
        "colour", "trigger.params.fact", "trigger.params.fakt", "start", "nodes.a.params.template", "nodes.a.next.next", "nodes.b.type",
        "nodes.c.params.for", "nodes.Bad Key", "nodes.w.next.timeout", "nodes.w.next.later", "exits.0", "exits.1",
        "entry.reentry", "entry.per_day", "goal.key",
    }  # fmt: skip
    assert "known: " in found["nodes.b.type"]


@pytest.mark.parametrize(
    "raw", [None, [], "x", {}, {"trigger": {}}, {"nodes": {}}, {"nodes": []}, {"trigger": 1, "nodes": {"a": 1}}]
)
def test_nonsense_is_refused(raw: object) -> None:
    assert problems(raw)


def test_dangling_and_unreachable_nodes_are_named() -> None:
    raw = flow({"a": node("wait", "gone", for_="1d"), "island": DONE, "done": DONE})
    assert problems(raw) == {
        "nodes.a.next.next": "there is no node 'gone'",
        "nodes.island": "cannot be reached from the start",
        "nodes.done": "cannot be reached from the start",
        "nodes.a": "no end can be reached from here",
    }


def test_a_flow_must_be_able_to_end_from_everywhere() -> None:
    ring = {"a": node("wait", "b", for_="1d"), "b": node("wait", "a", for_="1d")}
    assert problems(flow(ring)) == {"nodes": "the flow has no end: add an exit"}
    arms = [{"key": "x", "weight": 1}, {"key": "y", "weight": 1}]
    trap = {"s": node("split", {"x": "a", "y": "done"}, arms=arms), **ring, "done": DONE}
    assert problems(flow(trap)) == {
        "nodes.a": "no end can be reached from here",
        "nodes.b": "no end can be reached from here",
    }


def looped(kind: str, **params: Any) -> dict[str, Any]:
    arms = [{"key": "again", "weight": 1}, {"key": "out", "weight": 1}]
    return flow(
        {"a": node(kind, "s", **params), "s": node("split", {"again": "a", "out": "done"}, arms=arms), "done": DONE}
    )


def test_a_loop_needs_a_wait() -> None:
    assert problems(looped("send", template="x")) == {"nodes.a": "a loop without a wait: a, s"}
    assert read_graph(looped("wait", for_="1h")).start == "a"
    assert read_graph(looped("wait", until="09:00")).start == "a"


def test_a_self_loop_is_a_loop() -> None:
    arms = [{"key": "again", "weight": 1}, {"key": "out", "weight": 1}]
    found = problems(flow({"s": node("split", {"again": "s", "out": "done"}, arms=arms), "done": DONE}))
    assert found == {"nodes.s": "a loop without a wait: s"}


def test_a_bare_key_stands_for_the_only_port() -> None:
    raw = flow({"a": {"type": "wait", "params": {"for": "1h"}, "next": "done"}, "done": DONE})
    assert read_graph(raw).nodes["a"].next == {"next": "done"}


def test_keyed_entry_needs_a_key() -> None:
    raw = flow({"done": DONE}, entry={"reentry": "keyed"})
    assert set(problems(raw)) == {"entry.reentry"}
    raw["trigger"]["params"]["key"] = "order_id"
    assert read_graph(raw).entry.reentry == "keyed"
    assert set(problems(flow({"done": DONE}, entry={"reentry": "cooldown"}))) == {"entry"}


def test_frozen_versions_do_not_change_with_later_defaults() -> None:
    frozen = read_graph(flow({"done": DONE})).dump()
    assert frozen["entry"] == {"reentry": "once", "max_age": "2d"}


def test_wrong_goals_utm_names_and_labels_are_told_at_once() -> None:
    raw = flow(
        {"done": {**DONE, "label": ["x"], "label_zh": 3}},
        goal={"key": "order", "window_days": 10**9},
        utm={"campaign": {"a": 1}, "bogus": "x", "source": "shop"},
    )
    assert set(problems(raw)) == {
        "nodes.done.label", "nodes.done.label_zh", "goal.window_days", "utm.campaign", "utm.bogus",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["goal", "utm"])
@pytest.mark.parametrize("value", [[], 0, "", False, "x"])
def test_a_goal_and_utm_names_are_objects(name: str, value: object) -> None:
    assert problems(flow({"done": DONE}, **{name: value})) == {name: "must be an object"}


def test_utm_names_read_back_as_they_were_said() -> None:
    graph = read_graph(flow({"done": DONE}, utm={"source": "shop", "id": "spring"}))
    assert graph.utm == {"source": "shop", "id": "spring"}
    assert read_graph(graph.dump()) == graph
    assert read_graph(flow({"done": DONE}, goal=None, utm=None)).goal is None


LONG = ["3651d", "99999999999d", "9" * 5000 + "w", "9999999s 99999999999999999999h"]


@pytest.mark.parametrize("long", LONG)
def test_no_duration_is_longer_than_ten_years(long: str) -> None:
    raw = flow(
        {
            "a": node("wait", "b", for_=long),
            "b": node("wait_for", {"happened": "c", "timeout": "c"}, fact="X", timeout=long),
            "c": node("send", template="x", expires=long),
            "done": DONE,
        },
        entry={"reentry": "cooldown", "cooldown": long, "max_age": long},
    )
    said = f"'{long[:40]}' is longer than 3650d, ten years"
    assert problems(raw) == dict.fromkeys(
        (
            "nodes.a.params.for", "nodes.b.params.timeout", "nodes.c.params.expires", "entry.cooldown", "entry.max_age",
        ),
        said,
    )  # fmt: skip
    with translation.override("zh-hans"):
        assert problems(raw)["entry.cooldown"] == f"“{long[:40]}”超过 3650d（十年）"


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "1999-12-31", "2101-01-01"])
def test_a_day_at_the_edge_of_the_calendar_is_no_day_to_send_on(day: str) -> None:
    raw = flow({"done": DONE})
    raw["trigger"] = {"type": "schedule", "params": {"segment": "vip", "at": "23:30", "on": day}}
    assert problems(raw) == {"trigger.params.on": "a day between 2000 and 2100, please"}
    with translation.override("zh-hans"):
        assert problems(raw) == {"trigger.params.on": "请填写 2000 年至 2100 年之间的日期"}
    raw["trigger"]["params"]["on"] = "2100-12-31"
    assert read_graph(raw).start == "done"


def test_ten_years_are_allowed() -> None:
    raw = flow({"a": node("wait", for_="3650d"), "done": DONE}, entry={"reentry": "cooldown", "cooldown": "521w 3d"})
    assert read_graph(raw).entry.cooldown == timedelta(days=3650)


KEYS = st.sampled_from(["a", "b", "done", "type", "params", "next", "nodes", "send", "wait", "for", "x", "\x00"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
NODES = st.fixed_dictionaries(
    {"type": st.sampled_from(["send", "wait", "wait_for", "split", "branch", "award", "grant", "exit"]) | JSON},
    optional={"params": JSON, "next": JSON},
)
TRIGGER = st.just({"type": "fact", "params": {"fact": "x"}}) | JSON
PARTS = {"trigger": TRIGGER, "start": KEYS, **dict.fromkeys(("exits", "entry", "goal", "utm"), JSON)}


@given(st.fixed_dictionaries(PARTS | {"nodes": st.dictionaries(KEYS, NODES | JSON, max_size=4)}))
def test_whatever_is_typed_the_answer_is_a_list_of_problems(raw: dict[str, Any]) -> None:
    with contextlib.suppress(Invalid):
        assert read_graph(raw).start in raw["nodes"]
