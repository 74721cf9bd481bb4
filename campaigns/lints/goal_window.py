"""Waiting longer than the goal counts: what happens in the last part of such a wait is credited to nobody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

from campaigns.lints import Finding, Lint, Severity, Sight, lints
from common.params import format_duration
from common.text import say


@lints.register("goal_window")
class GoalWindow(Lint):
    """A warning where one step can wait longer than the window in which the goal is credited after a message."""

    key: ClassVar[str] = "goal_window"

    def find(self, sight: Sight) -> Iterator[Finding]:
        if sight.goal_days is None or not sight.persuades():
            return
        for key in sight.graph.nodes:
            span = sight.longest.get(key, timedelta(0))
            if span > timedelta(days=sight.goal_days) and _is_between(sight, key):
                yield Finding(Severity.WARNING, _said(span, sight.goal_days), f"nodes.{key}")


def _is_between(sight: Sight, key: str) -> bool:
    """Whether something is sent on some way before this wait and after it: a rest before the end delays nothing."""
    ways = {one: set(node.next.values()) for one, node in sight.graph.nodes.items()}
    before = any(key in _after(sender, ways) for sender in sight.letters)
    return before and bool(_after(key, ways) & set(sight.letters))


def _after(key: str, ways: dict[str, set[str]]) -> set[str]:
    seen, todo = set[str](), [key]
    while todo:
        fresh = ways[todo.pop()] - seen
        seen |= fresh
        todo += fresh
    return seen


def _said(span: timedelta, days: int) -> str:
    text = format_duration(timedelta(days=span.days) if span.days else span)
    return say(
        f"waits up to {text}, but the goal counts for {days} days after a message",
        f"最长等待 {text}，而目标只在消息发出后 {days} 天内计入",
    )
