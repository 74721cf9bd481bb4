"""Changing the shape of a rule that is being written: add, remove, wrap, move. A draft is rule JSON, perhaps wrong.

A place is the way down from the root by position, "0.1.2". A question that is not chosen yet is `{"op": ""}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Draft = dict[str, Any]
ROOT = "0"
GROUPS = ("all", "any", "not")
LISTS = ("all", "any")
EMPTY: Draft = {"op": ""}


@dataclass(frozen=True)
class Spot:
    """One node of a draft: its place, its path in the rule as problems name it, and the node itself."""

    place: str
    path: str
    node: Draft
    depth: int


def kind_of(node: object) -> str:
    """all, any, not or op; "" for what is no node of a rule."""
    if not isinstance(node, dict):
        return ""
    found = [kind for kind in (*GROUPS, "op") if kind in node]
    return found[0] if len(found) == 1 else ""


def parts_of(node: Draft) -> list[Draft]:
    """The nodes right below."""
    kind = kind_of(node)
    if kind == "not":
        return [node["not"]]
    return list(node[kind]) if kind in LISTS else []


def spots(draft: Draft, place: str = ROOT, path: str = "", depth: int = 0) -> Iterator[Spot]:
    """Every node, top down."""
    yield Spot(place, path, draft, depth)
    kind = kind_of(draft)
    for index, part in enumerate(parts_of(draft)):
        step = "not" if kind == "not" else f"{kind}.{index}"
        yield from spots(part, f"{place}.{index}", f"{path}.{step}" if path else step, depth + 1)


def can_be_drawn(raw: object) -> bool:
    """Whether every node has a shape that the builder has a box for."""
    kind = kind_of(raw)
    if not isinstance(raw, dict) or kind == "":
        return False
    if kind == "op":
        return set(raw) <= {"op", "params"} and isinstance(raw["op"], str) and isinstance(raw.get("params", {}), dict)
    if set(raw) != {kind}:
        return False
    parts = [raw["not"]] if kind == "not" else raw[kind]
    return isinstance(parts, list) and all(map(can_be_drawn, parts))


def changed(draft: Draft, verb: str, place: str, value: str = "") -> Draft:
    """The draft after a verb at a place; an unknown verb or place changes nothing."""
    new = deepcopy(draft)
    steps = _steps(place)
    if verb not in VERBS or steps is None or _at(new, steps) is None:
        return new
    return VERBS[verb](new, steps, value)


def _add(draft: Draft, steps: list[int], value: str) -> Draft:
    """A question at the end of a group; a group of one question when `value` names its kind."""
    node = _at(draft, steps)
    if node is not None and kind_of(node) in LISTS:
        node[kind_of(node)].append(_grouped(value, dict(EMPTY)) if value in GROUPS else dict(EMPTY))
    return draft


def _remove(draft: Draft, steps: list[int], value: str) -> Draft:
    if not steps:
        return {"all": []}
    above = _at(draft, steps[:-1])
    assert above is not None
    if kind_of(above) == "not":
        above["not"] = dict(EMPTY)
    else:
        del above[kind_of(above)][steps[-1]]
    return draft


def _wrap(draft: Draft, steps: list[int], value: str) -> Draft:
    node = _at(draft, steps)
    return _put(draft, steps, _grouped(value, node)) if value in GROUPS and node is not None else draft


def _unwrap(draft: Draft, steps: list[int], value: str) -> Draft:
    """The parts of a group take its place, where they have room there."""
    node = _at(draft, steps)
    parts = parts_of(node) if node is not None else []
    if len(parts) == 1:
        return _put(draft, steps, parts[0])
    above = _at(draft, steps[:-1]) if steps else None
    if parts and above is not None and kind_of(above) in LISTS:
        above[kind_of(above)][steps[-1] : steps[-1] + 1] = parts
    return draft


def _move(draft: Draft, steps: list[int], value: str) -> Draft:
    above = _at(draft, steps[:-1]) if steps else None
    if above is None or kind_of(above) not in LISTS:
        return draft
    parts, here = above[kind_of(above)], steps[-1]
    there = here + (1 if value == "down" else -1)
    if 0 <= there < len(parts):
        parts[here], parts[there] = parts[there], parts[here]
    return draft


def _copy(draft: Draft, steps: list[int], value: str) -> Draft:
    above = _at(draft, steps[:-1]) if steps else None
    if above is not None and kind_of(above) in LISTS:
        parts = above[kind_of(above)]
        parts.insert(steps[-1] + 1, deepcopy(parts[steps[-1]]))
    return draft


def _choose(draft: Draft, steps: list[int], value: str) -> Draft:
    """Another question; what both ask for is kept."""
    node = _at(draft, steps)
    if node is not None and kind_of(node) == "op":
        node["op"] = value
    return draft


VERBS: dict[str, Callable[[Draft, list[int], str], Draft]] = {
    "add": _add,
    "remove": _remove,
    "wrap": _wrap,
    "unwrap": _unwrap,
    "move": _move,
    "copy": _copy,
    "choose": _choose,
}


def _grouped(kind: str, node: Draft) -> Draft:
    return {"not": node} if kind == "not" else {kind: [node]}


def _put(draft: Draft, steps: list[int], node: Draft) -> Draft:
    if not steps:
        return node
    above = _at(draft, steps[:-1])
    assert above is not None
    if kind_of(above) == "not":
        above["not"] = node
    else:
        above[kind_of(above)][steps[-1]] = node
    return draft


def _steps(place: str) -> list[int] | None:
    """ "0.1.2" as [1, 2]; None for what is no place."""
    names = place.split(".")
    if names[0] != ROOT or not all(name.isascii() and name.isdecimal() and len(name) < 5 for name in names):
        return None
    return [int(name) for name in names[1:]]


def _at(draft: Draft, steps: list[int]) -> Draft | None:
    node = draft
    for step in steps:
        parts = parts_of(node)
        if step >= len(parts):
            return None
        node = parts[step]
    return node
