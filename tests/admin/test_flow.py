"""The drawing of a flow: boxes that do not overlap, lines that lead down, and sense even in a broken draft."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from campaigns.flow import GAP_Y, HEIGHT, TRIGGER, WIDTH, Box, draw
from campaigns.install import read_recipe, recipe_keys


def places(graph: dict[str, Any]) -> dict[str, Box]:
    return {box.key: box for box in draw(graph, language="en").boxes}


def overlapping(boxes: list[Box]) -> list[tuple[str, str]]:
    return [(a.key, b.key) for a, b in combinations(boxes, 2) if abs(a.x - b.x) < WIDTH and abs(a.y - b.y) < HEIGHT]


@pytest.mark.parametrize("key", recipe_keys())
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_recipe_is_drawn_without_overlap_and_downwards(key: str, language: str) -> None:
    graph = read_recipe(key)["journey"]["graph"]
    drawing = draw(graph, language=language)
    boxes = {box.key: box for box in drawing.boxes}
    assert set(boxes) == {TRIGGER, *graph["nodes"]}
    assert overlapping(list(drawing.boxes)) == []
    for name, node in graph["nodes"].items():
        for to in node.get("next", {}).values():
            assert boxes[to].y >= boxes[name].y + HEIGHT + GAP_Y
    assert all(box.x >= 0 and box.x + WIDTH <= drawing.width for box in drawing.boxes)
    assert all(box.said for box in drawing.boxes)


def test_a_long_line_gets_a_lane_beside_the_boxes_it_passes() -> None:
    graph = {
        "trigger": {},
        "start": "a",
        "nodes": {
            "a": {"type": "grant", "next": {"next": "b", "empty": "c"}},
            "b": {"type": "send", "next": {"next": "c"}},
            "c": {"type": "exit"},
        },
    }
    drawing = draw(graph, language="en")
    b = places(graph)["b"]
    long = next(line for line in drawing.lines if line.label == "empty")
    lane = int(long.path.rsplit("L", 1)[1].split(",")[0])
    assert not b.x <= lane <= b.x + WIDTH


def test_a_loop_goes_back_round_the_side() -> None:
    graph = {
        "start": "wait",
        "nodes": {
            "wait": {"type": "wait", "params": {"for": "1d"}, "next": {"next": "look"}},
            "look": {"type": "branch", "next": {"again": "wait", "else": "end"}},
            "end": {"type": "exit"},
        },
    }
    drawing = draw(graph, language="en")
    back = [line for line in drawing.lines if line.back]
    assert [line.label for line in back] == ["again"]
    assert places(graph)["end"].y > places(graph)["look"].y > places(graph)["wait"].y


def test_a_broken_draft_is_drawn_as_far_as_it_goes() -> None:
    graph = {"start": "a", "nodes": {"a": {"type": "fly", "next": {"next": "gone"}}, "lost": {"type": "exit"}, "no": 3}}
    boxes = places(graph)
    assert set(boxes) == {TRIGGER, "a", "lost"}
    assert boxes["a"].said == "fly"
    assert boxes["lost"].y > boxes["a"].y


@pytest.mark.parametrize("graph", [{}, {"nodes": []}, {"nodes": {}}, {"nodes": {"a": []}}, {"nodes": None, "start": 3}])
def test_nothing_to_draw_is_an_empty_drawing(graph: dict[str, Any]) -> None:
    assert draw(graph, language="en").boxes == ()


def test_neighbouring_ports_do_not_cover_each_other() -> None:
    drawing = draw(read_recipe("churn-winback")["journey"]["graph"], language="en")
    named = [line for line in drawing.lines if line.label]
    for a, b in combinations(named, 2):
        assert abs(a.x - b.x) > 40 or abs(a.y - b.y) > 12, (a, b)
