"""The builder as a form field: it draws the rule, reads it back, and answers what a person did to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from common.admin import JsonField
from common.params import Invalid, Problem
from segments.admin.builder.form import Posted, read_posted
from segments.admin.builder.inputs import inputs_of
from segments.admin.builder.nodes import SHARED, Drawing, Node
from segments.admin.builder.problems import in_words, prove
from segments.admin.builder.suggest import Known, Option
from segments.admin.builder.tree import VERBS, Draft, can_be_drawn, changed, kind_of, spots
from segments.admin.builder.words import families
from segments.rules.explain import sentence
from segments.rules.operators import operators
from segments.rules.parse import parse_rule
from segments.rules.tree import Leaf

TEMPLATE = "admin/segments/builder/builder.html"


class RuleBuilder(forms.Widget):
    """Draws a rule with boxes and inputs, or its JSON where boxes cannot show it."""

    class Media:
        css = {"all": ["perennial/builder.css"]}
        js = ["perennial/builder.js"]

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        return render_to_string("admin/segments/builder/frame.html", {"inner": draw(as_posted(value))})

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Posted | None:
        return read_posted(data, name)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return read_posted(data, name) is None


class RuleField(JsonField):
    """A rule in a form. It has changed when it means something else, not when it is written in another way."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget = RuleBuilder()  # type: ignore[assignment]

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, Posted):
            return super().to_python(value)
        if value.problems:
            raise ValidationError(list(value.problems))
        return value.raw

    def prepare_value(self, value: Any) -> Any:
        return value

    def has_changed(self, initial: Any, data: Any) -> bool:
        if not isinstance(data, Posted):
            return data is not None
        return bool(data.problems) or not same_rule(initial, data.raw)


def as_posted(value: Any) -> Posted:
    """What a form holds, whether it was sent or is shown for the first time."""
    return value if isinstance(value, Posted) else Posted({"all": []} if value is None else value, "builder")


def draw(posted: Posted, *, fresh: str = "", focus: str = "") -> SafeString:
    """The inside of the builder; `focus` is the id of what the keyboard goes on with."""
    if posted.view == "json" or not can_be_drawn(posted.raw):
        text = posted.text or json.dumps(posted.raw, ensure_ascii=False, indent=2)
        told = _said_of(posted)
        return render_to_string(TEMPLATE, {"view": "json", "text": text, "said": told, "focus": focus})
    _rule, problems = prove(posted.raw)
    drawing = Drawing(problems, get_language() or "en", fresh)
    root = drawing.draw(posted.raw)
    whole = [in_words(one.message) for one in problems if one.path == "" and kind_of(posted.raw) == "op"]
    context = {"view": "builder", "families": families(), "focus": focus, "root": root, "whole": whole}
    return render_to_string(TEMPLATE, {**context, "shared": _shared(root, drawing.known)})


def drawn(raw: Draft, problems: Sequence[Problem]) -> Node:
    """The root box of a rule that can be drawn, with what is known to be wrong with it."""
    return Drawing(problems, get_language() or "en").draw(raw)


def _shared(root: Node, known: Known) -> dict[str, list[Option]]:
    """The lists of offers that are the same for every question, as far as this rule asks for them."""
    used = {one.offers_id for node in root.walk() for one in node.every_field() if one.offers_id.startswith(SHARED)}
    return {source: known.options(source) for source in sorted(one.removeprefix(SHARED) for one in used)}


def change_draft(posted: Posted, verb: str, place: str, value: str) -> tuple[Posted, str]:
    """What a person did, done: the form's new content, and the place of a question just chosen."""
    if verb == "json":
        return Posted(posted.raw, "json", "" if posted.problems == () else posted.text, posted.problems), ""
    if posted.problems or not can_be_drawn(posted.raw):
        return posted, ""
    if verb in VERBS:
        raw = changed(posted.raw, verb, place, value)
    else:
        raw = _tidied(posted.raw, place) if verb == "redraw" else posted.raw
    fresh = place if verb == "choose" and value else ""
    return Posted(_fitting(raw, fresh) if fresh else raw, "builder"), fresh


def focus_after(verb: str, place: str, value: str) -> str:
    """The id of the element that the keyboard goes on with; "" leaves it to the page."""
    above, _dot, last = place.rpartition(".")
    mark = place.replace(".", "_")
    if verb == "move":
        there = int(last or 0) + (1 if value == "down" else -1)
        return f"rule-{above.replace('.', '_')}_{there}-{value}"
    named = {
        "remove": f"rule-{above.replace('.', '_')}-add",
        "choose": f"start-{mark}",
        "wrap": f"rule-{mark}-wrap",
        "unwrap": f"rule-{mark}-wrap",
        "json": "id_rule",
        "build": "rule-to-json",
    }
    return named.get(verb, "")


def same_rule(one: Any, other: Any) -> bool:
    """Whether two rules ask the same questions; a value that is left out is the same as its default."""
    return bool(_meaning(one) == _meaning(other))


def _meaning(raw: Any) -> Any:
    kind = kind_of(raw)
    if not can_be_drawn(raw):
        return raw
    if kind != "op":
        parts = [raw["not"]] if kind == "not" else raw[kind]
        return kind, [_meaning(part) for part in parts]
    try:
        leaf = parse_rule(raw)
    except Invalid:
        return raw
    assert isinstance(leaf, Leaf)
    return leaf.op, leaf.params.model_dump(mode="json")


def _said_of(posted: Posted) -> list[str]:
    if posted.problems:
        return list(posted.problems)
    return [f"{one.path}: {in_words(one.message)}".removeprefix(": ") for one in prove(posted.raw)[1]]


def _fitting(raw: Draft, place: str) -> Draft:
    """A question just chosen keeps of the last one what it asks for too."""
    for spot in spots(raw):
        if spot.place == place and spot.node.get("op") in operators:
            inputs, given = inputs_of(spot.node["op"]), spot.node.get("params", {})
            spot.node["params"] = {
                name: value
                for name, value in given.items()
                if name in inputs and (inputs[name].kind != "choice" or value in inputs[name].options)
            }
    return raw


def _tidied(raw: Draft, place: str) -> Draft:
    """After another comparison is chosen, values that it does not look at go: the question says and is the same
    without them."""
    for spot in spots(raw):
        if spot.place == place and kind_of(spot.node) == "op" and spot.node["op"] in operators:
            inputs = inputs_of(spot.node["op"])
            for name in list(spot.node.get("params", {})):
                if name in inputs and not inputs[name].needed and not inputs[name].plain:
                    _drop_if_idle(spot.node, name)
    return raw


def _drop_if_idle(node: Draft, name: str) -> None:
    rest = {**node, "params": {key: value for key, value in node["params"].items() if key != name}}
    try:
        idle = sentence(parse_rule(node), "en") == sentence(parse_rule(rest), "en")
    except Invalid:
        return  # what is wrong is told, not thrown away
    if idle:
        del node["params"][name]
