"""Everything that can be said about a draft before it is published, in one list with places and severities: what keeps
the flow from being read, what the database knows against it, and what the lints find."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings

from campaigns.checking import check, share_of
from campaigns.graph import Graph, read_graph
from campaigns.letters import letters_of, limits_of, quiet_of
from campaigns.lints import Finding, Severity, Sight, lints
from campaigns.models import Goal, Journey
from common.params import Invalid, Problem
from common.told import tell

DAY = 86_400
_RANK = {Severity.ERROR: 0, Severity.WARNING: 1}
PROVEN = {  # what reading a flow proves, under the names that lints have (docs/journey-lints.md)
    "cannot be reached from the start": "unreachable",
    "no end can be reached from here": "dead_end",
    "this port leads nowhere": "dead_end",
    "the flow has no end: add an exit": "dead_end",
    "a loop without a wait": "loop",
}
PROVIDED: Mapping[tuple[str, str], frozenset[str]] = {  # (step, port) → variables of the walk; "" is every port
    ("grant", "next"): frozenset({"coupon"}),
    ("split", ""): frozenset({"variant"}),
    ("wait_for", "happened"): frozenset({"happened"}),
}


class Unconfirmed(Invalid):
    """Nothing keeps the draft from being published, but a person has not said yes to every warning. `warnings` are
    all of them, and `ask` what a person says yes to."""

    def __init__(self, warnings: list[Finding]) -> None:
        self.warnings = warnings
        self.ask = ask_of(warnings)
        super().__init__([Problem(one.place, one.message) for one in warnings])


def find_all(journey: Journey, draft: object = None) -> list[Finding]:
    """Every finding of the journey's draft (or of another flow in its place), errors first, then by step."""
    raw = journey.draft if draft is None else draft
    try:
        graph = read_graph(raw)
    except Invalid as error:
        return [_proven(problem) for problem in error.problems]
    found: list[Finding] = []
    try:
        graph = check(journey, raw)
    except Invalid as error:
        found = [_proven(problem) for problem in error.problems]
    return found + lint_graph(graph, journey)


def lint_graph(graph: Graph, journey: Journey) -> list[Finding]:
    """What the lints say of a flow that can be read, in a number of statements that does not depend on its size."""
    sight = sight_of(graph, journey)
    found = [replace(one, lint=lint.key) for lint in lints.values() for one in lint.find(sight)]
    order = list(graph.nodes)
    return sorted(found, key=lambda one: (_RANK[one.severity], order.index(one.node) if one.node in order else -1))


def sight_of(graph: Graph, journey: Journey) -> Sight:
    """The flow with what the database knows of it."""
    letters = letters_of(graph)
    pace = settings.DAY_SECONDS / DAY
    return Sight(
        graph=graph,
        letters=letters,
        limits=limits_of(letters, journey.campaign.key),
        quiet=quiet_of(letters),
        longest={key: timedelta(seconds=_seconds(node) / pace) for key, node in graph.nodes.items()},
        given=_given(graph),
        provides=_provides(graph),
        holdout=share_of(journey),
        goal_days=_goal_days(graph, journey),
        wanted=tuple(settings.MESSAGE_LOCALES),
    )


def errors_of(findings: Iterable[Finding]) -> list[Problem]:
    """Those that keep the draft from being published."""
    return [Problem(one.place, one.message) for one in findings if one.severity == Severity.ERROR]


def refuse(findings: Collection[Finding], confirmed: Collection[str] | None) -> list[Finding]:
    """Raise Invalid with all errors, or Unconfirmed unless a person said yes to every warning (`ask_of`; None, for
    programs, says yes to all). Returns the warnings."""
    errors = errors_of(findings)
    if errors:
        raise Invalid(errors)
    warnings = [one for one in findings if one.severity == Severity.WARNING]
    if confirmed is not None and not set(ask_of(warnings)) <= set(confirmed):
        raise Unconfirmed(warnings)
    return warnings


def ask_of(warnings: Iterable[Finding]) -> list[str]:
    """Each warning as a short hash of what it says and where: another text asks again."""
    said = [f"{one.lint}|{one.place}|{one.message}" for one in warnings]
    return [hashlib.sha256(text.encode()).hexdigest()[:16] for text in said]


def _proven(problem: Problem) -> Finding:
    lint = next((key for start, key in PROVEN.items() if problem.message.startswith(start)), "flow")
    return Finding(Severity.ERROR, tell(problem.message), problem.path, lint)


def _seconds(node: Any) -> float:
    """The longest stay at a node in seconds, at the installation's pace."""
    return float(node.step.longest(node.params).total_seconds())


def _given(graph: Graph) -> frozenset[str]:
    """What the trigger brings: a trigger may say so itself, else a fact is the walk's variable `event`."""
    own = getattr(graph.trigger, "provides", None)
    if own is not None:
        return frozenset(own(graph.trigger_params))
    return frozenset() if graph.broadcast else frozenset({"event"})


def _provides(graph: Graph) -> dict[tuple[str, str], frozenset[str]]:
    """What is known after leaving a node by a port: a step may say so itself (`provides`)."""
    found = {}
    for key, node in graph.nodes.items():
        own = getattr(node.step, "provides", None)
        for port in node.next:
            brought = own(node.params, port) if own is not None else ()
            also = PROVIDED.get((node.type, port), frozenset()) | PROVIDED.get((node.type, ""), frozenset())
            found[key, port] = frozenset(brought) | also
    return found


def _goal_days(graph: Graph, journey: Journey) -> int | None:
    if graph.goal is None:
        return None
    if graph.goal.window_days:
        return graph.goal.window_days
    days = Goal.objects.filter(campaign=journey.campaign_id, key=graph.goal.key).values_list("window_days", flat=True)
    return days.first()
