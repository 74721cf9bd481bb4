"""What differs between two flows, in sentences: steps, ways, who enters and how, what ends a walk, the goal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from campaigns.checking import check
from campaigns.graph import read_graph
from campaigns.models import Journey
from campaigns.steps import steps
from campaigns.triggers import triggers
from common.params import Invalid, read_params
from common.text import say

FIXED = frozenset({"version", "klass", "salt", "expires", "fact", "filter", "window_days"})  # filled in at publish
EMPTY = (None, "")
Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One difference: `kind` is trigger, entry, exits, goal, start, added, removed, changed, ways or renamed; `node`
    the step it is about, or ""."""

    kind: str
    english: str
    chinese: str
    node: str = ""

    def say(self, language: str = "") -> str:
        return say(self.english, self.chinese, language or None)


def flow_of(journey: Journey, number: int | None = None) -> dict[str, Any]:
    """A version's flow by its number (KeyError when there is none); without one the draft, as publishing would fix it
    where that is possible."""
    if number is not None:
        version = journey.versions.filter(number=number).first()
        if version is None:
            raise KeyError(number)
        return dict(version.graph)
    try:
        return check(journey).dump()
    except Invalid:
        return dict(journey.draft) if isinstance(journey.draft, Mapping) else {}


def diff(old: Raw, new: Raw) -> list[Change]:
    """Every difference between two flows as JSON, in the order of a reader: who enters, the steps, how it ends.

    Flows that can be read are compared with what stands for their blanks."""
    old, new = _whole(old, new)
    return [
        *_trigger(old, new),
        *_parts("entry", "Entry", "进入规则", _mapping(old.get("entry")), _mapping(new.get("entry"))),
        *_start(old, new),
        *_nodes(_mapping(old.get("nodes")), _mapping(new.get("nodes"))),
        *_exits(_list(old.get("exits")), _list(new.get("exits"))),
        *_parts("goal", "Goal", "目标", _mapping(old.get("goal")), _mapping(new.get("goal"))),
    ]


def _whole(old: Raw, new: Raw) -> tuple[Raw, Raw]:
    """Both with their blanks filled in, where both can be read."""
    try:
        return read_graph(old).dump(), read_graph(new).dump()
    except Invalid:
        return old, new


def _trigger(old: Raw, new: Raw) -> Iterator[Change]:
    a, b = _mapping(old.get("trigger")), _mapping(new.get("trigger"))
    if a == b:
        return
    before, after = _said(triggers, a), _said(triggers, b)
    details = (
        _differences(_mapping(a.get("params")), _mapping(b.get("params"))) if a.get("type") == b.get("type") else []
    )
    if before != after:
        yield Change(
            "trigger",
            f"Who enters: {after[0]}, no longer: {before[0]}",
            f"谁进入：{after[1]}，不再是：{before[1]}",
        )
    elif details:
        yield Change("trigger", f"Who enters: {'; '.join(details)}", f"谁进入：{'；'.join(details)}")


def _start(old: Raw, new: Raw) -> Iterator[Change]:
    a, b = old.get("start"), new.get("start")
    if a != b:
        yield Change("start", f"A walk begins at “{b}”, no longer at “{a}”", f"从“{b}”开始，不再从“{a}”开始", str(b))


def _nodes(old: Raw, new: Raw) -> Iterator[Change]:
    moved = _renamed(old, new)
    for key in old:
        if key not in new and key not in moved:
            english, chinese = _said(steps, _mapping(old[key]))
            yield Change("removed", f"Step “{key}” is gone: {english}", f"移除步骤“{key}”：{chinese}", key)
    for before, after in moved.items():
        yield Change("renamed", f"Step “{before}” is now called “{after}”", f"步骤“{before}”改名为“{after}”", after)
    for key, body in new.items():
        if key in old:
            yield from _node(key, _mapping(old[key]), _mapping(body))
        elif key not in moved.values():
            english, chinese = _said(steps, _mapping(body))
            yield Change("added", f"New step “{key}”: {english}", f"新增步骤“{key}”：{chinese}", key)


def _renamed(old: Raw, new: Raw) -> dict[str, str]:
    """Steps that kept everything but their key, where there is no doubt which is which."""
    gone = {key: _body(old[key]) for key in old if key not in new}
    come = {key: _body(new[key]) for key in new if key not in old}
    found = {}
    for key, body in gone.items():
        same = [other for other, its in come.items() if its == body]
        if len(same) == 1 and list(gone.values()).count(body) == 1:
            found[key] = same[0]
    return found


def _body(raw: Any) -> str:
    body = _mapping(raw)
    return json.dumps([body.get("type"), body.get("params"), body.get("next")], sort_keys=True, default=str)


def _node(key: str, old: Raw, new: Raw) -> Iterator[Change]:
    before, after = _said(steps, old), _said(steps, new)
    if old.get("type") != new.get("type"):
        english = f"Step “{key}” is another: {after[0]}, no longer: {before[0]}"
        yield Change("changed", english, f"步骤“{key}”换成：{after[1]}，原为：{before[1]}", key)
    else:
        details = _differences(_mapping(old.get("params")), _mapping(new.get("params")))
        if details:
            english, chinese = (after[0], after[1]) if before != after else ("", "")
            said = "; ".join(details)
            yield Change(
                "changed",
                f"Step “{key}” changes{': ' + english if english else ''} ({said})",
                f"步骤“{key}”有变{'：' + chinese if chinese else ''}（{said}）",
                key,
            )
    yield from _ways(key, _next(old), _next(new))
    for name in ("label", "label_zh"):
        if old.get(name, "") != new.get(name, ""):
            shown = new.get(name) or "–"
            yield Change("renamed", f"Step “{key}”: {name} is “{shown}”", f"步骤“{key}”：{name} 为“{shown}”", key)


def _ways(key: str, old: Raw, new: Raw) -> Iterator[Change]:
    for port in dict.fromkeys([*old, *new]):
        a, b = old.get(port), new.get(port)
        if a == b:
            continue
        if b is None:
            yield Change("ways", f"“{key}” has no way “{port}” any more", f"“{key}”不再有出口“{port}”", key)
        elif a is None:
            yield Change("ways", f"“{key}” has a new way “{port}” to “{b}”", f"“{key}”新增出口“{port}”，通往“{b}”", key)
        else:
            english = f"“{key}” leads by “{port}” to “{b}”, no longer to “{a}”"
            yield Change("ways", english, f"“{key}”的“{port}”改为通往“{b}”，不再通往“{a}”", key)


def _exits(old: list[Any], new: list[Any]) -> Iterator[Change]:
    for rule in old:
        if rule not in new:
            yield Change("exits", f"No longer left upon: {_rule(rule)}", f"不再因此离开：{_rule(rule)}")
    for rule in new:
        if rule not in old:
            yield Change("exits", f"Now left upon: {_rule(rule)}", f"新增离开条件：{_rule(rule)}")


def _rule(raw: Any) -> str:
    rule = {name: value for name, value in _mapping(raw).items() if value not in ("", {}, None)}
    return ", ".join(f"{name} {_value(value)}" for name, value in sorted(rule.items()))


def _parts(kind: str, english: str, chinese: str, old: Raw, new: Raw) -> Iterator[Change]:
    for line in _differences(old, new):
        yield Change(kind, f"{english}: {line}", f"{chinese}：{line}")


def _differences(old: Raw, new: Raw) -> list[str]:
    """ "name: before → after" for every value that differs, by its path; what only publishing fills in counts only
    where both have it."""
    a, b = dict(_flat(old)), dict(_flat(new))
    found = []
    for path in sorted({*a, *b}):
        one_sided = (a.get(path) in EMPTY) != (b.get(path) in EMPTY)
        if a.get(path) == b.get(path) or (one_sided and path.split(".")[0] in FIXED):
            continue
        if (path in a) != (path in b) and a.get(path, b.get(path)) in (*EMPTY, 0, False):
            continue
        found.append(f"{path}: {_value(a.get(path))} → {_value(b.get(path))}")
    return found


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, one in value.items():
            yield from _flat(one, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple) and value and not all(isinstance(one, str | int | float) for one in value):
        for n, one in enumerate(value):
            yield from _flat(one, f"{path}.{n}")
    elif value != {} and value != []:
        yield path, value


def _value(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _said(family: Any, body: Raw) -> tuple[str, str]:
    """A plug-in's own sentence in both languages; its bare name where it cannot be read."""
    kind = str(body.get("type", "–"))
    if kind not in family:
        return kind, kind
    plugin = family.get(kind)
    try:
        params = read_params(plugin.Params, _mapping(body.get("params")))
        return str(plugin.say(params, "en")), str(plugin.say(params, "zh-hans"))
    except Invalid:
        return kind, kind


def _next(body: Raw) -> Raw:
    ways = body.get("next", {})
    return {"next": ways} if isinstance(ways, str) else _mapping(ways)


def _mapping(value: Any) -> Raw:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
