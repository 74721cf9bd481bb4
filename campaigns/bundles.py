"""A journey as text: everything that it needs in one stable JSON, to be kept beside code, compared and installed.

Keys are sorted and nothing in it depends on this installation's ids, so that the same journey gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from campaigns.graph import read_graph
from campaigns.models import Campaign, Goal, Journey
from common.params import Invalid, Problem
from messaging.models import Template, Topic
from segments.models import Badge, Benefit, CouponPool, Level, Mission, Segment
from segments.rules.parse import parse_rule

FORMAT = "perennial.journey/1"
PARTS = ("topics", "benefits", "pools", "levels", "badges", "missions", "segments")  # lists of things by key
TOP = frozenset({
    "format", "key", "name", "name_zh", "about", "about_zh", "why", "why_zh", "asks", "templates", "campaign", "goal",
    "journey", *PARTS,
})  # fmt: skip
FIELDS: Mapping[type[Any], tuple[str, ...]] = {
    Topic: ("key", "name", "name_zh", "purpose", "opt_in", "description", "description_zh"),
    Benefit: ("key", "name", "name_zh", "kind", "amount", "currency", "valid_days", "cost"),
    CouponPool: ("key", "name", "name_zh", "prefix", "endless", "low_stock", "per_person"),
    Badge: ("key", "name", "name_zh", "description", "icon"),
    Segment: ("key", "name", "name_zh", "description", "rule"),
    Template: ("key", "name", "name_zh", "channel", "klass", "content", "sample"),
    Campaign: ("key", "name", "name_zh", "utm_campaign", "utm_source", "holdout", "priority"),
    Goal: ("key", "fact", "filter", "window_days", "anchor", "primary"),
}
MODELS: Mapping[str, type[Any]] = {
    "topics": Topic, "benefits": Benefit, "pools": CouponPool, "levels": Level, "badges": Badge, "missions": Mission,
    "segments": Segment,
}  # fmt: skip
LINKS = frozenset({"benefit", "badge", "topic", "campaign"})  # fields that name another thing by its key
SEGMENTS = frozenset({"segment", "left_segment", "entered_segment"})
TEMPLATES = frozenset({"template", "fallback", "fallbacks", "or_else"})


def dump(data: Mapping[str, Any]) -> str:
    """Canonical text: sorted keys, two blanks, real characters, one line end at the end."""
    return json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def read(text: str) -> dict[str, Any]:
    """The data of a text. Raises Invalid when it is no JSON object; see `check_shape` for the rest."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise Invalid([Problem("", _("is no JSON: %(why)s") % {"why": error})]) from None
    if not isinstance(data, dict):
        raise Invalid([Problem("", _("must be an object"))])
    return data


def export(journey: Journey, *, number: int | None = None, words: bool = True) -> dict[str, Any]:
    """The journey's draft, or a version by its number (KeyError when there is none), with what it needs; templates with
    their `words`, else by key alone."""
    if number is None:
        graph = journey.draft
    else:
        version = journey.versions.filter(number=number).first()
        if version is None:
            raise KeyError(number)
        graph = version.graph
    needs = Needs(graph)
    pools = CouponPool.objects.filter(key__in=needs.pools).select_related("benefit").order_by("key")
    templates = Template.objects.filter(key__in=needs.templates).select_related("topic").order_by("key")
    topics = Topic.objects.filter(pk__in=[one.topic_id for one in templates if one.topic_id]).order_by("key")
    goal = Goal.objects.filter(campaign=journey.campaign, key=needs.goal).first()
    data: dict[str, Any] = {
        "format": FORMAT,
        "key": journey.key,
        "name": journey.name,
        "name_zh": journey.name_zh,
        "about": journey.description,
        "about_zh": journey.description_zh,
        "topics": [_row(one) for one in topics] if words else [],
        "benefits": [_row(one) for one in Benefit.objects.filter(pools__in=pools).distinct().order_by("key")],
        "pools": [_row(one) | {"benefit": one.benefit.key} for one in pools],
        "badges": [_row(one) for one in Badge.objects.filter(key__in=needs.badges).order_by("key")],
        "segments": [_row(one) for one in _segments(needs.segments)],
        "templates": [_template(one) for one in templates] if words else sorted(needs.templates),
        "campaign": _row(journey.campaign),
        "goal": _row(goal) if goal else None,
        "journey": {"key": journey.key, "name": journey.name, "name_zh": journey.name_zh, "graph": graph},
    }
    if journey.holdout is not None:
        data["journey"]["holdout"] = journey.holdout
    return {name: value for name, value in data.items() if value not in ([], None)}


class Needs:
    """Keys of what a flow names: segments, templates, pools, badges, and its goal."""

    def __init__(self, graph: Any) -> None:
        self.segments, self.templates = set[str](), set[str]()
        self.pools, self.badges = set[str](), set[str]()
        goal = graph.get("goal") if isinstance(graph, Mapping) else None
        self.goal = str(goal.get("key", "")) if isinstance(goal, Mapping) else ""
        self._walk(graph)

    def _walk(self, value: Any) -> None:
        for name, one in _pairs(value):
            if name in SEGMENTS and isinstance(one, str) and one:
                self.segments.add(one)
            elif name in TEMPLATES:
                self.templates |= set(_texts(one))
            elif name == "pool" and isinstance(one, str) and one:
                self.pools.add(one)
            elif name == "badge" and isinstance(one, str) and one:
                self.badges.add(one)


def check_shape(data: Mapping[str, Any]) -> list[Problem]:
    """Everything wrong with the text itself, each with its path: names, keys, rules, the flow, and what the flow names
    that neither the text brings nor this installation has."""
    found = [Problem(name, "unknown name") for name in sorted(set(data) - TOP)]
    if data.get("format", FORMAT) != FORMAT:
        found.append(Problem("format", _("only %(format)s can be read") % {"format": FORMAT}))
    for part in ("campaign", "journey"):
        if not isinstance(data.get(part), Mapping) or not data[part].get("key"):
            found.append(Problem(part, _("must be an object with a key")))
    for part in PARTS:
        found += _keyed(part, data.get(part, []))
    return found or [*_check_fields(data), *_check_rules(data), *_check_flow(data)]


def _check_fields(data: Mapping[str, Any]) -> list[Problem]:
    """Names that the things do not have, and values that they do not take."""
    found = []
    rows = [(f"{part}.{n}", MODELS[part], row) for part in PARTS for n, row in enumerate(data.get(part, []))]
    rows += [("campaign", Campaign, data["campaign"])]
    rows += [("goal", Goal, data["goal"])] if isinstance(data.get("goal"), Mapping) else []
    rows += [
        (f"templates.{n}", Template, one) for n, one in enumerate(data.get("templates", [])) if isinstance(one, Mapping)
    ]
    for path, model, row in rows:
        known = {field.name for field in model._meta.get_fields()}
        found += [Problem(f"{path}.{name}", "unknown name") for name in sorted(set(row) - known)]
        plain = {name: value for name, value in row.items() if name in known - LINKS}
        try:
            model(**plain).clean_fields(exclude={field.name for field in model._meta.fields} - set(plain))
        except ValidationError as error:
            said = error.message_dict.items()
            found += [Problem(f"{path}.{name}", text) for name, texts in said for text in texts]
    return found


def _keyed(part: str, rows: Any) -> list[Problem]:
    if not isinstance(rows, list):
        return [Problem(part, "must be a list")]
    wrong = [n for n, row in enumerate(rows) if not isinstance(row, Mapping) or not row.get("key")]
    return [Problem(f"{part}.{n}", _("must be an object with a key")) for n in wrong]


def _check_rules(data: Mapping[str, Any]) -> list[Problem]:
    found = []
    for n, row in enumerate(data.get("segments", [])):
        try:
            parse_rule(row.get("rule"))
        except Invalid as error:
            found += [Problem(f"segments.{n}.rule.{one.path}".rstrip("."), one.message) for one in error.problems]
    return found


def _check_flow(data: Mapping[str, Any]) -> list[Problem]:
    graph = data["journey"].get("graph")
    try:
        read_graph(graph)
    except Invalid as error:
        return [Problem(f"journey.graph.{one.path}".rstrip("."), one.message) for one in error.problems]
    needs, found = Needs(graph), list[Problem]()
    brought = {
        "segments": (needs.segments, Segment),
        "templates": (needs.templates, Template),
        "pools": (needs.pools, CouponPool),
        "badges": (needs.badges, Badge),
    }
    for part, (keys, model) in brought.items():
        there = {row if isinstance(row, str) else row.get("key") for row in data.get(part, [])}
        missing = keys - there
        missing -= set(model._default_manager.filter(key__in=missing).values_list("key", flat=True))
        found += [Problem(f"{part}.{key}", _("is needed, and neither brought nor there")) for key in sorted(missing)]
    return found


def _segments(keys: set[str]) -> Iterator[Segment]:
    """The segments of those keys and those that their rules name, those first that others stand on."""
    found: dict[str, Segment] = {}
    todo = set(keys)
    while todo:
        rows = list(Segment.objects.filter(key__in=todo).order_by("key"))
        found = {row.key: row for row in rows} | found
        todo = {one for row in rows for name, one in _pairs(row.rule) if name == "segment" and isinstance(one, str)}
        todo -= set(found)
    yield from found.values()


def _template(row: Template) -> dict[str, Any]:
    return _row(row) | {"topic": row.topic.key if row.topic else ""}


def _row(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in FIELDS[type(row)]}


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Every (name, value) at any depth."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield str(name), one
            yield from _pairs(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _pairs(one)


def _texts(value: Any) -> Iterator[str]:
    """Template keys in whatever form a step names them."""
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
