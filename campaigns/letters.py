"""What the steps of a flow send, read once for all that judge a flow: versions, variables, languages, limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from jinja2 import TemplateSyntaxError

from campaigns.graph import Graph, Node
from campaigns.lints import Letter, Limit, Take, Window
from messaging.gates import _policy as policy
from messaging.models import TemplateVersion
from messaging.render.cell import guard
from messaging.render.cell.limits import Refused

BODIES = frozenset({"html", "mjml", "text"})
WIDTHS = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
TEMPLATES = ("template", "fallback", "fallbacks", "or_else")  # names under which a step's parameters hold templates


def letters_of(graph: Graph) -> dict[str, tuple[Letter, ...]]:
    """What each step that sends would send, by node key; one statement. A template that is not there is left out."""
    wanted = {key: list(_named(node)) for key, node in graph.nodes.items()}
    keys = {template for named in wanted.values() for template, _version in named}
    if not keys:
        return {}
    rows = TemplateVersion.objects.filter(template__key__in=keys).select_related("template").order_by("number")
    versions = {(row.template.key, row.number): row for row in rows}
    newest = {key: row for (key, _number), row in versions.items()}
    read: dict[int, Letter] = {}
    found = {}
    for node, named in wanted.items():
        rows_here = [versions.get((key, number)) if number else newest.get(key) for key, number in named]
        there = [row for row in rows_here if row is not None]
        if there:
            found[node] = tuple(read.setdefault(row.pk, _letter(row)) for row in there)
    return found


def limits_of(letters: Mapping[str, tuple[Letter, ...]], campaign: str) -> dict[str, tuple[Limit, ...]]:
    """The limits in force that bind what each step sends first."""
    caps = policy.current().caps
    found = {}
    for key, (first, *_others) in letters.items():
        binding = [cap for cap in caps if cap.concerns(first.channel, first.klass, (first.topic, campaign))]
        found[key] = tuple(
            Limit(cap.reason, cap.limit or 0, cap.width or WIDTHS[cap.period], cap.period in WIDTHS) for cap in binding
        )
    return found


def quiet_of(letters: Mapping[str, tuple[Letter, ...]]) -> dict[str, Window]:
    """The quiet hours that hold what each step sends first, by node key."""
    rules = policy.current().quiet
    found = {}
    for key, (first, *_others) in letters.items():
        if first.klass == "transactional":
            continue
        rule = rules.get(first.channel) or (rules.get(policy.ALL) if first.channel not in policy.SILENT else None)
        if rule is not None and rule.window is not None:
            found[key] = rule.window
    return found


def _named(node: Node) -> Iterable[tuple[str, int | None]]:
    """(template, version or None) of everything that a step's parameters name."""
    said = node.params.model_dump()
    if "template" not in said:
        return
    yield said["template"], said.get("version")
    for name in TEMPLATES[1:]:
        yield from _others(said.get(name))


def _others(value: Any) -> Iterable[tuple[str, int | None]]:
    if isinstance(value, str) and value:
        yield value, None
    elif isinstance(value, Mapping) and value.get("template"):
        yield value["template"], value.get("version")
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _others(one)


def _letter(row: TemplateVersion) -> Letter:
    takes: dict[Take, None] = {}
    way_out = True
    for parts in row.content.values():
        for name, source in parts.items():
            if isinstance(source, str):
                here = _takes(source, html=name in ("html", "mjml"))
                takes |= dict.fromkeys(here)
                way_out &= name not in BODIES or not source.strip() or any(_leaves(take) for take in here)
    return Letter(row.template.key, row.channel, row.klass, row.topic, frozenset(row.content), tuple(takes), way_out)


def _leaves(take: Take) -> bool:
    return (take.root, take.step) == ("links", "unsubscribe")


def _takes(source: str, *, html: bool) -> list[Take]:
    """What a part takes from outside; nothing when it cannot be read, which its own publishing has said."""
    try:
        reading = guard.read(source, html=html)
    except (TemplateSyntaxError, Refused):
        return []
    return [Take(use.root, use.step, use.sure) for use in reading.uses]
