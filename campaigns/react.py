"""Reacting: new facts end walks, mark goals, wake those who wait, and let people in; one page, one transaction.

Facts of one person act in the order of the log: a page is worked off in rounds, each holding at most one fact
per person, and each round is done for everybody at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import NamedTuple

from campaigns.endings import Ending, end_walks
from campaigns.enrol import enrol_into
from campaigns.goals import mark_goals
from campaigns.models import SINCE, Enrolment
from campaigns.plans import Plan, Watch, watch
from campaigns.touches import present_owners
from campaigns.triggers import Entry
from segments.facts.fact import Fact
from segments.facts.read import process_shard

log = logging.getLogger(__name__)
READER = "react"
PAGE = 500


class Standing(NamedTuple):
    """One walk under way, as a fact meets it."""

    pk: int
    profile: int
    version: int
    state: str
    node: str
    awaiting: str
    since: datetime


def react_shard(shard: int, now: datetime, *, limit: int = PAGE) -> int:
    """Take in one page of one shard's facts; returns how many facts it held."""
    seen = watch()
    return process_shard(READER, shard, partial(react, seen, now=now), now=now, limit=limit, names=seen.names)


def react(seen: Watch, facts: Sequence[Fact], *, now: datetime) -> None:
    """Let facts act, in the order given. Call inside a transaction. Facts that are not live act on nothing."""
    live = [fact for fact in facts if fact.live]
    owners = present_owners(fact.profile for fact in live)
    mine = [replace(fact, profile=owners[fact.profile]) for fact in live if fact.profile in owners]
    for once in rounds(mine):
        _act(seen, once, now=now)


def rounds(facts: Sequence[Fact]) -> Iterator[dict[int, Fact]]:
    """Facts by profile, the first of everybody, then the second …"""
    queues: dict[int, list[Fact]] = {}
    for fact in facts:
        queues.setdefault(fact.profile, []).append(fact)
    turn = 0
    while any(turn < len(queue) for queue in queues.values()):
        yield {profile: queue[turn] for profile, queue in queues.items() if turn < len(queue)}
        turn += 1


def _act(seen: Watch, facts: Mapping[int, Fact], *, now: datetime) -> None:
    """What ends, ends first, so that a fact that both ends and begins lets a person in anew."""
    mark_goals(facts, seen.plans.values())
    ended = _end_and_wake(seen, facts, now=now)
    if ended:
        log.info("left walks=%s", ended)
    for plan, entries in _entries(seen, facts, now=now):
        enrol_into(plan, entries, now=now)


def _end_and_wake(seen: Watch, facts: Mapping[int, Fact], *, now: datetime) -> int:
    """End walks by exits and goals, and make due those that wait for their fact. Returns how many ended. A fact
    that occurred before a walk's cause does nothing to it."""
    relevant = seen.ending | seen.awaited
    people = [profile for profile, fact in facts.items() if fact.name in relevant]
    if not people:
        return 0
    rows = Enrolment.objects.filter(
        profile__in=people, version__in=list(seen.plans), state__in=[Enrolment.State.ACTIVE, Enrolment.State.PARKED]
    )
    endings, woken = [], []
    for row in rows.values_list("pk", "profile_id", "version_id", "state", "node", "awaiting", SINCE):
        walk = Standing(*row)
        if facts[walk.profile].occurred_at < walk.since:
            continue
        reason = _end_reason(seen.plans[walk.version], facts[walk.profile])
        if reason:
            endings.append(Ending(walk.pk, reason))
        elif walk.awaiting and _wakes(seen.plans[walk.version], walk, facts[walk.profile]):
            woken.append(walk.pk)
    _wake(woken, now=now)
    return end_walks(endings, now=now)


def _end_reason(plan: Plan, fact: Fact) -> str:
    """Why this fact ends a walk of the plan, or ""."""
    if plan.graph is None:
        return ""
    goal = plan.graph.goal
    if goal is not None and goal.ends and goal.matches(fact):
        return f"goal:{goal.key}"
    return next((f"exit:{rule.why}" for rule in plan.graph.exits if rule.matches(fact)), "")


def _wakes(plan: Plan, walk: Standing, fact: Fact) -> bool:
    node = plan.graph.nodes.get(walk.node) if plan.graph else None
    return node is not None and fact.name in node.awaits() and bool(node.step.wants(node.params, fact))


def _wake(ids: list[int], *, now: datetime) -> None:
    """Make walks due; the engine then finds the fact in the log itself, so that a wrong wake does no harm."""
    if ids:
        rows = Enrolment.objects.filter(pk__in=ids, state=Enrolment.State.ACTIVE, due_at__gt=now)
        rows.exclude(awaiting="").update(due_at=now)


def _entries(seen: Watch, facts: Mapping[int, Fact], *, now: datetime) -> list[tuple[Plan, list[Entry]]]:
    """The entries that these facts make, by plan, the journey of the highest priority first."""
    found: dict[int, tuple[Plan, list[Entry]]] = {}
    for fact in facts.values():
        for plan in seen.starting.get(fact.name, ()):
            entry = _entry(plan, fact, now=now)
            if entry is not None:
                found.setdefault(plan.version, (plan, []))[1].append(entry)
    return sorted(found.values(), key=lambda one: -_priority(one[0]))


def _priority(plan: Plan) -> int:
    return (plan.graph.entry.priority if plan.graph else None) or 0


def _entry(plan: Plan, fact: Fact, *, now: datetime) -> Entry | None:
    """The entry, unless the fact came before the journey was live or happened too long ago."""
    assert plan.graph is not None
    if plan.live_since is not None and fact.received_at < plan.live_since:
        return None
    if now - fact.occurred_at > plan.graph.entry.max_age:
        return None
    return plan.graph.trigger.match(plan.graph.trigger_params, fact)
