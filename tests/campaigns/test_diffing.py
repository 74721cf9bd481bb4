"""Differences between two flows, as sentences in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.diffing import diff, flow_of
from campaigns.models import Journey
from tests.campaigns.flows import DONE, flow, live, make_campaign, make_template, node, republish

BASE = {"hello": node("send", "rest", template="a"), "rest": node("wait", for_="3d"), "done": DONE}


def said(old: dict[str, Any], new: dict[str, Any], language: str = "en") -> list[str]:
    return [change.say(language) for change in diff(old, new)]


@pytest.mark.parametrize(
    ("new", "english", "chinese"),
    [
        (flow(BASE), [], []),
        (
            flow({**BASE, "rest": node("wait", for_="5d")}),
            ["Step “rest” changes: Wait for 5d (for: 3d → 5d)"],
            ["步骤“rest”有变：等待 5d（for: 3d → 5d）"],
        ),
        (
            flow({"hello": node("send", template="b"), "done": DONE}),
            [
                "Step “rest” is gone: Wait for 3d",
                "Step “hello” changes: Send “b” (template: a → b)",
                "“hello” leads by “next” to “done”, no longer to “rest”",
            ],
            ["移除步骤“rest”：等待 3d", "步骤“hello”有变：发送“b”（template: a → b）", "“hello”的“next”改为通往“done”，不再通往“rest”"],
        ),
        (
            flow({**BASE, "rest": node("wait", "more", for_="3d"), "more": node("award", points=5)}),
            ["“rest” leads by “next” to “more”, no longer to “done”", "New step “more”: Award 5 points"],
            ["“rest”的“next”改为通往“more”，不再通往“done”", "新增步骤“more”：奖励 5 积分"],
        ),
        (
            flow(BASE, fact="Order Completed"),
            ["Who enters: When “Order Completed” happens, no longer: When “Signed Up” happens"],
            ["谁进入：当发生“Order Completed”时，不再是：当发生“Signed Up”时"],
        ),
        (
            flow(BASE, start="rest", entry={"reentry": "cooldown", "cooldown": "7d"}),
            [
                "Entry: cooldown: – → 7d", "Entry: reentry: – → cooldown",
                "A walk begins at “rest”, no longer at “hello”",
            ],
            ["进入规则：cooldown: – → 7d", "进入规则：reentry: – → cooldown", "从“rest”开始，不再从“hello”开始"],
        ),
        (
            flow(BASE, exits=[{"fact": "Order Completed", "reason": "ordered"}], goal={"key": "order"}),
            ["Now left upon: fact Order Completed, reason ordered", "Goal: key: – → order"],
            ["新增离开条件：fact Order Completed, reason ordered", "目标：key: – → order"],
        ),
        (
            flow({**BASE, "rest": node("wait_for", {"happened": "done", "timeout": "hello"}, fact="X", timeout="1d")}),
            [
                "Step “rest” is another: Wait for “X”, at most 1d, no longer: Wait for 3d",
                "“rest” has no way “next” any more", "“rest” has a new way “happened” to “done”",
                "“rest” has a new way “timeout” to “hello”",
            ],
            [
                "步骤“rest”换成：等待“X”，最多 1d，原为：等待 3d", "“rest”不再有出口“next”",
                "“rest”新增出口“happened”，通往“done”", "“rest”新增出口“timeout”，通往“hello”",
            ],
        ),
    ],
)  # fmt: skip
def test_each_kind_of_difference_is_a_sentence(new: dict[str, Any], english: list[str], chinese: list[str]) -> None:
    assert said(flow(BASE), new) == english
    assert said(flow(BASE), new, "zh-hans") == chinese
    assert len(said(new, flow(BASE))) == len(english)


def test_a_new_key_is_no_new_step() -> None:
    new = {"hello": node("send", "pause", template="a"), "pause": node("wait", for_="3d"), "done": DONE}
    assert said(flow(BASE), flow(new)) == [
        "Step “rest” is now called “pause”", "“hello” leads by “next” to “pause”, no longer to “rest”",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "broken", [{}, {"nodes": 3, "trigger": "x", "exits": {}}, {"nodes": {"a": None, "b": {"type": 7}}}]
)
def test_it_reads_whatever_is_there(broken: dict[str, Any]) -> None:
    assert said(broken, broken) == []
    assert said(broken, flow(BASE)) != []


@pytest.mark.django_db
def test_what_publishing_fills_in_is_no_difference_but_another_template_version_is() -> None:
    make_template("a")
    make_campaign()
    row = live(flow(BASE), key="j")
    assert diff(flow_of(row, 1), flow_of(row)) == []
    assert diff(flow_of(row, 1), flow(BASE)) == []
    make_template("a")
    assert [change.say("en") for change in diff(flow_of(row, 1), flow_of(row))] == [
        "Step “hello” changes (version: 1 → 2)"
    ]
    republish(row, flow({**BASE, "rest": node("wait", for_="4d")}))
    assert len(diff(flow_of(row, 1), flow_of(row, 2))) == 2
    with pytest.raises(KeyError):
        flow_of(row, 3)
    Journey.objects.filter(pk=row.pk).update(draft={"nodes": 1})
    row.refresh_from_db()
    assert flow_of(row) == {"nodes": 1}
