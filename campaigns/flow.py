"""A journey as a drawing: where each step stands, and the lines between them, top-down.

Layers by the longest path from the trigger (back edges of loops, found by depth-first search, do not count);
order within a layer by the mean place of the parents (barycentre, Sugiyama, Tagawa and Toda, 1981), two sweeps.
It draws whatever is there, also a draft that is not yet sound: unknown targets are left out, and steps that
nothing leads to stand at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from campaigns.steps import steps
from campaigns.triggers import triggers
from common.params import Invalid, read_params
from common.text import is_chinese, say

WIDTH, HEIGHT, GAP_X, GAP_Y, EDGE = 224, 92, 36, 58, 16
TRIGGER = "@trigger"
ICONS = {
    "send": "outgoing_mail", "wait": "hourglass_top", "wait_for": "hourglass_bottom", "branch": "call_split",
    "split": "shuffle", "award": "military_tech", "grant": "redeem", "exit": "flag_circle",
}  # fmt: skip


@dataclass(frozen=True)
class Box:
    """One step in the drawing: its title, the sentence below it, and its top left corner in pixels."""

    key: str
    type: str
    icon: str
    title: str
    said: str
    x: int
    y: int


@dataclass(frozen=True)
class Line:
    """One way from a step to the next: an SVG path, and where its name stands ("" for the plain way on)."""

    path: str
    label: str
    x: int
    y: int
    back: bool


@dataclass(frozen=True)
class Drawing:
    """Boxes and lines, and the size of the whole in pixels."""

    boxes: Sequence[Box]
    lines: Sequence[Line]
    width: int
    height: int


Ways = dict[str, list[tuple[str, str]]]  # from → (port, to)


def draw(graph: Mapping[str, Any], *, language: str) -> Drawing:
    """The drawing of a graph's JSON (the form that campaigns.graph reads), labels in `language`."""
    nodes = {str(k): v for k, v in _mapping(graph.get("nodes")).items() if isinstance(v, Mapping)}
    ways = _ways(graph, nodes)
    if not nodes:
        return Drawing((), (), 0, 0)
    back = _back_edges(ways)
    layers = _order(_layers(ways, back), ways, back)
    places = _places(layers)
    boxes = [_box(key, graph, nodes, places[key], language) for layer in layers for key in layer]
    lines = [_line(places[a], places[b], port, (a, b) in back) for a, outs in ways.items() for port, b in outs]
    width = max(x for x, _y in places.values()) + WIDTH + EDGE
    height = max(y for _x, y in places.values()) + HEIGHT + EDGE
    return Drawing(boxes, lines, width, height)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _ways(graph: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> Ways:
    """Every way that leads somewhere, the trigger's first."""
    start = str(graph.get("start", ""))
    ways: Ways = {TRIGGER: [("", start)] if start in nodes else []}
    for key, node in nodes.items():
        outs = _mapping(node.get("next"))
        ways[key] = [("" if port == "next" else str(port), str(to)) for port, to in outs.items() if str(to) in nodes]
    return ways


def _back_edges(ways: Ways) -> set[tuple[str, str]]:
    """The edges that close a loop, by an iterative depth-first search from the trigger, then from the rest."""
    back: set[tuple[str, str]] = set()
    done: set[str] = set()
    for root in ways:
        if root in done:
            continue
        path, stack = {root}, [(root, iter(ways[root]))]
        while stack:
            key, outs = stack[-1]
            for _port, to in outs:
                if to in path:
                    back.add((key, to))
                elif to not in done:
                    path.add(to)
                    stack.append((to, iter(ways[to])))
                    break
            else:
                stack.pop()
                path.discard(key)
                done.add(key)
    return back


def _layers(ways: Ways, back: set[tuple[str, str]]) -> list[list[str]]:
    """Keys by depth: the longest way down to each, in reverse postorder so that one pass suffices."""
    depth = dict.fromkeys(ways, 0)
    for key in _downward(ways, back):
        for _port, to in ways[key]:
            if (key, to) not in back:
                depth[to] = max(depth[to], depth[key] + 1)
    reached = _reached(ways)
    last = max(depth[key] for key in reached)
    for key in ways:
        if key not in reached:
            depth[key] += last + 1
    layers: list[list[str]] = [[] for _ in range(max(depth.values()) + 1)]
    for key in ways:
        layers[depth[key]].append(key)
    return [layer for layer in layers if layer]


def _downward(ways: Ways, back: set[tuple[str, str]]) -> list[str]:
    """A topological order of the graph without its back edges (Kahn, 1962)."""
    left = dict.fromkeys(ways, 0)
    for key, outs in ways.items():
        for _port, to in outs:
            if (key, to) not in back:
                left[to] += 1
    ready, order = [key for key, n in left.items() if not n], []
    while ready:
        key = ready.pop(0)
        order.append(key)
        for _port, to in ways[key]:
            if (key, to) in back:
                continue
            left[to] -= 1
            if not left[to]:
                ready.append(to)
    return order


def _reached(ways: Ways) -> set[str]:
    found, todo = {TRIGGER}, [TRIGGER]
    while todo:
        for _port, to in ways[todo.pop()]:
            if to not in found:
                found.add(to)
                todo.append(to)
    return found


def _order(layers: list[list[str]], ways: Ways, back: set[tuple[str, str]]) -> list[list[str]]:
    """Each layer sorted by the mean place of its parents, ties in their first order; two sweeps settle it."""
    parents: dict[str, list[str]] = {key: [] for key in ways}
    for key, outs in ways.items():
        for _port, to in outs:
            if (key, to) not in back:
                parents[to].append(key)
    for _sweep in range(2):
        place: dict[str, float] = {}
        for layer in layers:
            for index, key in enumerate(layer):
                above = [place[one] for one in parents[key] if one in place]
                place[key] = sum(above) / len(above) if above else float(index)
            layer.sort(key=lambda key: place[key])
            middle = (len(layer) - 1) / 2
            place |= {key: index - middle for index, key in enumerate(layer)}
    return layers


def _places(layers: list[list[str]]) -> dict[str, tuple[int, int]]:
    """Pixels of each box, layers centred."""
    widest = max(len(layer) for layer in layers)
    full = widest * WIDTH + (widest - 1) * GAP_X
    places = {}
    for row, layer in enumerate(layers):
        span = len(layer) * WIDTH + (len(layer) - 1) * GAP_X
        left = EDGE + (full - span) // 2
        for column, key in enumerate(layer):
            places[key] = (left + column * (WIDTH + GAP_X), EDGE + row * (HEIGHT + GAP_Y))
    return places


def _line(a: tuple[int, int], b: tuple[int, int], port: str, back: bool) -> Line:
    """A curve from the foot of `a` to the head of `b`; a loop's way back goes round the right side."""
    if back:
        x1, y1, x2, y2 = a[0] + WIDTH, a[1] + HEIGHT // 2, b[0] + WIDTH, b[1] + HEIGHT // 2
        far = max(x1, x2) + 42
        return Line(f"M{x1},{y1} C{far},{y1} {far},{y2} {x2 + 6},{y2}", port, far - 8, (y1 + y2) // 2, True)
    x1, y1, x2, y2 = a[0] + WIDTH // 2, a[1] + HEIGHT, b[0] + WIDTH // 2, b[1] - 6
    bend = (y2 - y1) // 2
    path = f"M{x1},{y1} C{x1},{y1 + bend} {x2},{y2 - bend} {x2},{y2}"
    return Line(path, port, round(x1 + (x2 - x1) * 0.3), round(y1 + (y2 - y1) * 0.36), False)


def _box(
    key: str, graph: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]], place: tuple[int, int], language: str
) -> Box:
    if key == TRIGGER:
        trigger = _mapping(graph.get("trigger"))
        kind = str(trigger.get("type", ""))
        said = _said(triggers, kind, trigger.get("params"), language)
        return Box(key, "trigger", "play_circle", say("Who enters", "谁进入", language), said, *place)
    node = nodes[key]
    kind = str(node.get("type", ""))
    title = str((is_chinese(language) and node.get("label_zh")) or node.get("label") or key)
    return Box(key, kind, ICONS.get(kind, "widgets"), title, _said(steps, kind, node.get("params"), language), *place)


def _said(family: Any, kind: str, params: Any, language: str) -> str:
    """The plug-in's own sentence; its bare name while the draft's parameters are not sound."""
    if kind not in family:
        return kind
    plugin = family.get(kind)
    try:
        return str(plugin.say(read_params(plugin.Params, _mapping(params)), language))
    except Invalid:
        return kind
