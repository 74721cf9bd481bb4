"""More messages than the caps let through: what the flow promises, nobody will get in time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

from campaigns.lints import Finding, Limit, Lint, Severity, Sight, lints
from common.params import format_duration
from common.text import say

MOST_STATES = 5_000  # of one search; a flow that is larger than this is judged by what was seen of it


@lints.register("caps")
class Caps(Lint):
    """An error where a limit of 0 lets a message never pass; a warning where one way through the flow sends more
    within a period than a limit allows, even at its slowest."""

    key: ClassVar[str] = "caps"

    def find(self, sight: Sight) -> Iterator[Finding]:
        told = set[tuple[str, str]]()
        for key, limits in sight.limits.items():
            for limit in limits:
                if limit.at_most == 0:
                    yield Finding(Severity.ERROR, _never(limit), f"nodes.{key}")
                    continue
                for where in _too_many(sight, key, limit):
                    if (where, limit.name) not in told:
                        told.add((where, limit.name))
                        yield Finding(Severity.WARNING, _often(limit), f"nodes.{where}")


def _too_many(sight: Sight, start: str, limit: Limit) -> list[str]:
    """The steps at which a walk from `start` sends one more than the limit, `start` being the first.

    A calendar period is judged by its half: two moments closer than that mostly lie in the same one.
    """
    width = limit.width / 2 if limit.calendar else limit.width
    found, seen = set[str](), set[tuple[str, timedelta, int]]()
    todo = [(start, timedelta(0), 0)]
    while todo and len(seen) < MOST_STATES:
        state = key, elapsed, sent = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        if any(one.name == limit.name for one in sight.limits.get(key, ())):
            sent += 1
        if sent > limit.at_most:
            found.add(key)
            continue
        later = elapsed + sight.longest.get(key, timedelta(0))
        if later < width:
            todo += [(to, later, sent) for to in sight.graph.nodes[key].next.values()]
    return sorted(found)


def _never(limit: Limit) -> str:
    return say(f"can never be sent: {limit.name} allows none", f"永远发不出去：{limit.name} 的上限为 0")


def _often(limit: Limit) -> str:
    span = format_duration(limit.width)
    return say(
        f"one way here has sent {limit.at_most} within {span} already, which is all that {limit.name} allows",
        f"走到这里的一条路径在 {span} 内已发出 {limit.at_most} 条，达到 {limit.name} 的上限",
    )
