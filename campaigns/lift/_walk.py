"""How long a walk of a published flow can last: the part of the lift's window that lies before the goal's.

Read from the frozen JSON. A loop counts one turn, for none of us knows how many there will be.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any

from campaigns.steps import steps
from common.params import Invalid, read_params

Ways = Mapping[str, frozenset[str]]


def longest_walk(graph: Mapping[str, Any], start: str = "") -> timedelta:
    """The longest time from `start` (else the flow's own start) to an end, every wait in full."""
    nodes: Mapping[str, Any] = graph.get("nodes", {})
    ways = {key: frozenset(node.get("next", {}).values()) & nodes.keys() for key, node in nodes.items()}
    reach = {key: _reach(key, ways) for key in nodes}

    @cache
    def after(key: str) -> timedelta:
        turn = frozenset(one for one in reach[key] if key in reach[one]) | {key}
        onward = frozenset().union(*(ways[one] for one in turn)) - turn
        here = sum((_span(nodes[one]) for one in turn), timedelta(0))
        return here + max(map(after, onward), default=timedelta(0))

    first = start if start in nodes else graph.get("start", "")
    return after(first) if first in nodes else timedelta(0)


def _reach(key: str, ways: Ways) -> frozenset[str]:
    """The nodes that can come after this one; itself only if a loop leads back."""
    seen: set[str] = set()
    todo = [key]
    while todo:
        new = ways[todo.pop()] - seen
        seen |= new
        todo += new
    return frozenset(seen)


def _span(node: Mapping[str, Any]) -> timedelta:
    """The longest visit of one node; a step that is no longer installed takes no time."""
    if node.get("type") not in steps:
        return timedelta(0)
    step = steps.get(node["type"])
    try:
        return step.longest(read_params(step.Params, node.get("params", {})))
    except Invalid:
        return timedelta(0)
