"""Published flows as the engine runs them: read once per process, with what may change read each time."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from campaigns.graph import Graph, read_graph
from campaigns.models import Journey, JourneyVersion
from campaigns.steps import Place
from common.params import Invalid

log = logging.getLogger(__name__)
FIELDS = (
    "id", "digest", "number", "journey_id", "journey__key", "journey__state", "journey__live_version_id",
    "journey__live_since", "journey__experiment_id", "journey__campaign__key", "journey__campaign__starts_at",
    "journey__campaign__ends_at",
)  # fmt: skip

MOST_KNOWN = 2000
_known: dict[tuple[int, str], tuple[Graph | None, str]] = {}  # by id and content hash: versions never change


@dataclass(frozen=True)
class Plan:
    """One version in its journey. `graph` is None when a part of it is no longer installed (`broken` says why)."""

    version: int
    number: int
    journey: int
    journey_key: str
    campaign_key: str
    state: str
    is_live: bool
    live_since: datetime | None
    experiment: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    graph: Graph | None
    broken: str = ""

    def place(self, node: str) -> Place:
        broadcast = self.graph.broadcast if self.graph else False
        goal = self.graph.goal if self.graph else None
        return Place(self.journey_key, self.campaign_key, self.number, node, settings.WORKSPACE_ZONE, broadcast, goal)

    @property
    def markets(self) -> bool:
        """Whether it sends marketing messages: only then does the universal holdout hold people out."""
        nodes = self.graph.nodes.values() if self.graph else ()
        return any(getattr(node.params, "klass", "") == "marketing" for node in nodes)

    def in_window(self, now: datetime) -> bool:
        """Whether the campaign takes people in at `now`."""
        return (self.starts_at is None or self.starts_at <= now) and (self.ends_at is None or now < self.ends_at)


@dataclass(frozen=True)
class Watch:
    """What the reader of facts must look at: every version that people may be walking, by what it listens to."""

    plans: dict[int, Plan] = field(default_factory=dict)
    starting: dict[str, list[Plan]] = field(default_factory=dict)
    ending: frozenset[str] = frozenset()
    awaited: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.starting) | self.ending | self.awaited


def load_plans(versions: Iterable[int]) -> dict[int, Plan]:
    """Plans by version id: one query, and one more when a flow is met for the first time in this process."""
    return _plans(JourneyVersion.objects.filter(pk__in=set(versions)))


def live_plan(journey: Journey) -> Plan | None:
    """The plan of the version that new people walk; None before the first publish."""
    if journey.live_version_id is None:
        return None
    return load_plans([journey.live_version_id]).get(journey.live_version_id)


def watch() -> Watch:
    """All versions of journeys that are live or paused: paused ones take nobody in, but people still leave them."""
    rows = JourneyVersion.objects.filter(journey__state__in=[Journey.State.LIVE, Journey.State.PAUSED])
    plans = _plans(rows)
    starting: dict[str, list[Plan]] = {}
    ending: set[str] = set()
    awaited: set[str] = set()
    for plan in plans.values():
        if plan.graph is None:
            continue
        ending |= plan.graph.ending_facts()
        awaited |= plan.graph.awaited_facts()
        if plan.is_live:
            for name in plan.graph.trigger.facts(plan.graph.trigger_params):
                starting.setdefault(name, []).append(plan)
    return Watch(plans, starting, frozenset(ending), frozenset(awaited))


def _plans(versions: QuerySet[JourneyVersion]) -> dict[int, Plan]:
    rows = list(versions.order_by("pk").values_list(*FIELDS))
    unread = [row[0] for row in rows if (row[0], row[1]) not in _known]
    if unread:
        for pk, digest, graph in JourneyVersion.objects.filter(pk__in=unread).values_list("pk", "digest", "graph"):
            if len(_known) >= MOST_KNOWN:
                _known.clear()
            _known[pk, digest] = _read(graph)
    return {row[0]: _plan(row) for row in rows}


def _read(raw: Any) -> tuple[Graph | None, str]:
    try:
        return read_graph(raw), ""
    except Invalid as error:
        log.error("a published flow cannot be run: %s", error)
        return None, f"the flow cannot be run: {error}"[:200]


def _plan(row: tuple[Any, ...]) -> Plan:
    pk, digest, number, journey, key, state, live, since, experiment, campaign, starts, ends = row
    graph, broken = _known[pk, digest]
    is_live = state == Journey.State.LIVE and live == pk
    return Plan(pk, number, journey, key, campaign, state, is_live, since, experiment, starts, ends, graph, broken)
