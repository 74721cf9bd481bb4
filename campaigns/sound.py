"""Whether a flow can run: every step is reached, every walk can end, and no loop turns without waiting.

Only keys and the ways between them are looked at, so the proof knows nothing of steps and their parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from common.params import Problem

Ways = Mapping[str, AbstractSet[str]]


def unsound(start: str, ways: Ways, *, ends: AbstractSet[str], waits: AbstractSet[str]) -> list[Problem]:
    """What stands against a flow: `ways` has the nodes that follow each, `ends` those after which a walk is over,
    `waits` those that take time."""
    reached = _closure({start}, ways)
    found = [Problem(f"nodes.{key}", "cannot be reached from the start") for key in ways if key not in reached]
    if not ends:
        return [*found, Problem("nodes", "the flow has no end: add an exit")]
    ending = _closure(set(ends), _backwards(ways))
    found += [Problem(f"nodes.{key}", "no end can be reached from here") for key in ways if key in reached - ending]
    loop = _restless(ways, waits)
    if loop:
        found.append(Problem(f"nodes.{min(loop)}", f"a loop without a wait: {', '.join(sorted(loop))}"))
    return found


def _backwards(ways: Ways) -> dict[str, set[str]]:
    back: dict[str, set[str]] = {key: set() for key in ways}
    for key, targets in ways.items():
        for target in targets:
            back[target].add(key)
    return back


def _closure(seeds: set[str], ways: Ways) -> set[str]:
    seen, todo = set(seeds), list(seeds)
    while todo:
        for target in ways[todo.pop()] - seen:
            seen.add(target)
            todo.append(target)
    return seen


def _restless(ways: Ways, waits: AbstractSet[str]) -> set[str]:
    """Nodes of loops in which no step waits: what is left after peeling off all that no loop holds."""
    left = {key for key in ways if key not in waits}
    while True:
        entered = {target for key in left for target in ways[key]}
        kept = {key for key in left if ways[key] & left and key in entered}
        if kept == left:
            return left
        left = kept
