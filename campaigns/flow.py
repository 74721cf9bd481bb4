"""A journey as a drawing: where each step stands, and the lines between them, top-down.

Layers by the longest path from the trigger (back edges of loops, found by depth-first search, do not count);
a line that passes a layer gets a lane there; order within a layer by the mean place of the parents (barycentre,
Sugiyama, Tagawa and Toda, 1981). It draws whatever is there, also a draft that is not yet sound: unknown targets
are left out, and steps that nothing leads to stand at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from campaigns.steps import steps
from campaigns.triggers import triggers
from common.params import Invalid, read_params
from common.text import is_chinese, say

WIDTH, HEIGHT, GAP_X, GAP_Y, EDGE = 224, 92, 36, 58, 16
LANE = 28  # width of the lane in which a long line passes a layer
TRIGGER = "@trigger"
ICONS = {
    "send": "outgoing_mail", "wait": "hourglass_top", "wait_for": "hourglass_bottom", "branch": "call_split",
    "split": "shuffle", "award": "military_tech", "grant": "redeem", "exit": "flag_circle",
    "time_window": "schedule", "holdout": "science", "goal_check": "flag", "update_traits": "edit_note",
    "list_add": "playlist_add", "list_remove": "playlist_remove", "tell": "webhook", "hand_over": "support_agent",
    "enter_journey": "login", "jump": "redo",
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
Route = tuple[str, list[str], int]  # port, stops from layer to layer, the port's place among its step's


def draw(graph: Mapping[str, Any], *, language: str) -> Drawing:
    """The drawing of a graph's JSON (the form that campaigns.graph reads), labels in `language`."""
    nodes = {str(k): v for k, v in _mapping(graph.get("nodes")).items() if isinstance(v, Mapping)}
    ways = _ways(graph, nodes)
    if not nodes:
        return Drawing((), (), 0, 0)
    back = _back_edges(ways)
    layers, routes = _with_lanes(_layers(ways, back), ways, back)
    places = _places(_order(layers, routes))
    boxes = [_box(key, graph, nodes, places[key], language) for layer in layers for key in layer if key in ways]
    lines = [_down([places[stop] for stop in route], port, index) for port, route, index in routes]
    lines += [_round(places[a], places[b], port) for a, outs in ways.items() for port, b in outs if (a, b) in back]
    width = max(place[0] for place in places.values()) + WIDTH + EDGE + (LANE * 2 if back else 0)
    height = max(place[1] for place in places.values()) + HEIGHT + EDGE
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


def _with_lanes(layers: list[list[str]], ways: Ways, back: set[tuple[str, str]]) -> tuple[list[list[str]], list[Route]]:
    """The layers with a lane for each line that passes one, and every line with its stops from layer to layer."""
    depth = {key: row for row, layer in enumerate(layers) for key in layer}
    routes = []
    for a, outs in ways.items():
        for index, (port, b) in enumerate(outs):
            if (a, b) in back:
                continue
            lanes = [f"{a}|{port}|{b}|{row}" for row in range(depth[a] + 1, depth[b])]
            for row, lane in enumerate(lanes, start=depth[a] + 1):
                layers[row].append(lane)
            routes.append((port, [a, *lanes, b], index))
    return layers, routes


def _order(layers: list[list[str]], routes: list[Route]) -> list[list[str]]:
    """Each layer sorted by the mean place of its parents, ties in their first order."""
    parents: dict[str, list[str]] = {}
    for _port, stops, _index in routes:
        for above, below in pairwise(stops):
            parents.setdefault(below, []).append(above)
    place: dict[str, float] = {}
    for layer in layers:
        wish = {}
        for index, key in enumerate(layer):
            over = [place[one] for one in parents.get(key, ()) if one in place]
            wish[key] = sum(over) / len(over) if over else float(index)
        layer.sort(key=lambda key: wish[key])
        middle = (len(layer) - 1) / 2
        place |= {key: index - middle for index, key in enumerate(layer)}
    return layers


def _places(layers: list[list[str]]) -> dict[str, tuple[int, int, int]]:
    """Left, top and width in pixels of each box and lane, layers centred."""
    spans = [sum(map(_wide, layer)) + GAP_X * (len(layer) - 1) for layer in layers]
    places = {}
    for row, (layer, span) in enumerate(zip(layers, spans, strict=True)):
        left = EDGE + (max(spans) - span) // 2
        for key in layer:
            places[key] = (left, EDGE + row * (HEIGHT + GAP_Y), _wide(key))
            left += _wide(key) + GAP_X
    return places


def _wide(key: str) -> int:
    return LANE if "|" in key else WIDTH


def _down(stops: list[tuple[int, int, int]], port: str, index: int) -> Line:
    """A curve from the foot of the first stop to the head of the last, straight through the lanes between."""
    (left, top, wide), rest = stops[0], stops[1:]
    x, y = left + wide // 2, top + HEIGHT
    first, path = (x, y), [f"M{x},{y}"]
    for left, top, wide in rest:
        last = (left, top, wide) == rest[-1]
        to_x, to_y = left + wide // 2, top - (6 if last else 0)
        bend = (to_y - y) // 2
        path.append(f"C{x},{y + bend} {to_x},{to_y - bend} {to_x},{to_y}")
        x, y = to_x, to_y
        if not last:
            y += HEIGHT
            path.append(f"L{x},{y}")
    left, top, wide = rest[0]
    return Line(" ".join(path), port, *_label(first, (left + wide // 2, top), low=bool(index % 2)), False)


def _label(a: tuple[int, int], b: tuple[int, int], *, low: bool) -> tuple[int, int]:
    """Where a port's name stands on its curve; neighbours take turns, so that names do not cover each other."""
    t = 0.64 if low else 0.34
    return round(a[0] + (b[0] - a[0]) * t * t * (3 - 2 * t)), round(
        a[1] + (b[1] - a[1]) * (1.5 * t - 1.5 * t * t + t**3)
    )


def _round(a: tuple[int, int, int], b: tuple[int, int, int], port: str) -> Line:
    """The way back of a loop, round the right side."""
    x1, y1, x2, y2 = a[0] + WIDTH, a[1] + HEIGHT // 2, b[0] + WIDTH, b[1] + HEIGHT // 2
    far = max(x1, x2) + 46
    return Line(f"M{x1},{y1} C{far},{y1} {far},{y2} {x2 + 6},{y2}", port, far - 10, (y1 + y2) // 2, True)


def _box(
    key: str,
    graph: Mapping[str, Any],
    nodes: Mapping[str, Mapping[str, Any]],
    place: tuple[int, int, int],
    language: str,
) -> Box:
    if key == TRIGGER:
        trigger = _mapping(graph.get("trigger"))
        kind = str(trigger.get("type", ""))
        said = _said(triggers, kind, trigger.get("params"), language)
        return Box(key, "trigger", "play_circle", say("Who enters", "谁进入", language), said, place[0], place[1])
    node = nodes[key]
    kind = str(node.get("type", ""))
    title = str((is_chinese(language) and node.get("label_zh")) or node.get("label") or key)
    return Box(
        key,
        kind,
        ICONS.get(kind, "widgets"),
        title,
        _said(steps, kind, node.get("params"), language),
        place[0],
        place[1],
    )


def _said(family: Any, kind: str, params: Any, language: str) -> str:
    """The plug-in's own sentence; its bare name while the draft's parameters are not sound."""
    if kind not in family:
        return kind
    plugin = family.get(kind)
    try:
        return str(plugin.say(read_params(plugin.Params, _mapping(params)), language))
    except Invalid:
        return kind
