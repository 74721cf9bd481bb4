"""Whether a draft could be published: what the flow itself proves, what the database knows, and everything in it fixed
that may change later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from campaigns.graph import Graph, read_graph
from campaigns.models import Goal, Journey
from campaigns.steps import Place
from common.params import Invalid, Problem
from common.text import utm_value


def check(journey: Journey, draft: object = None) -> Graph:
    """The draft (the journey's own unless another is given) as it would be published. Raises Invalid with every
    problem, also those the database knows."""
    graph = read_graph(journey.draft if draft is None else draft)
    found = [Problem("trigger", text) for text in graph.trigger.check(graph.trigger_params)]
    for key, node in graph.nodes.items():
        found += [_of_node(key, one) for one in node.step.check(node.params)]
    goal = None
    if graph.goal is not None:
        goal = Goal.objects.filter(campaign=journey.campaign_id, key=graph.goal.key).first()
        if goal is None:
            found.append(Problem("goal.key", _("the campaign has no goal '%(key)s'") % {"key": graph.goal.key}))
    if found:
        raise Invalid(found)
    return _pinned(journey, graph, goal)


def _of_node(key: str, found: str | Problem) -> Problem:
    """What a step found, with its place in the flow."""
    path = f"nodes.{key}"
    return Problem(f"{path}.{found.path}", found.message) if isinstance(found, Problem) else Problem(path, found)


def digest_of(frozen: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of a flow."""
    return hashlib.sha256(json.dumps(frozen, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def digest_of_draft(journey: Journey) -> str:
    """The content hash that publishing the draft now would give; "" when it cannot be published."""
    try:
        return digest_of(check(journey).dump())
    except Invalid:
        return ""


def share_of(journey: Journey) -> float:
    """The share held out: the journey's own, else the campaign's; 0 for none."""
    return (journey.campaign.holdout if journey.holdout is None else journey.holdout) or 0.0


def _pinned(journey: Journey, graph: Graph, goal: Goal | None) -> Graph:
    """The flow with everything fixed that may change later: template versions, salts, the goal, UTM names."""
    zone, broadcast = settings.WORKSPACE_ZONE, graph.broadcast
    nodes = {}
    for key, node in graph.nodes.items():
        place = Place(journey.key, journey.campaign.key, 0, key, zone, broadcast)
        nodes[key] = replace(node, params=node.step.pin(node.params, place))
    fixed = graph.goal
    if fixed is not None and goal is not None:
        known = {"fact": goal.fact, "filter": goal.filter, "window_days": goal.window_days}
        fixed = fixed.model_copy(update=known)
    return replace(graph, nodes=nodes, goal=fixed, utm=_utm(journey))


def _utm(journey: Journey) -> dict[str, str]:
    campaign = journey.campaign
    source = campaign.utm_source or settings.BRAND_NAME
    return {"source": utm_value(source), "campaign": utm_value(campaign.utm_campaign), "id": campaign.key}
