"""One hop: everybody who stands at the same node of the same version is decided together, and moved."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from django.db import OperationalError, transaction

from campaigns.engine.effects import Effect
from campaigns.engine.intents import execute
from campaigns.engine.walk import Walk
from campaigns.graph import ERROR, Graph, Node
from campaigns.plans import Plan
from campaigns.steps import End, Fail, Go, Intent, Result, Stay

log = logging.getLogger(__name__)
HOPS = 20
BACK_OFF = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))


def walk_on(walks: Sequence[Walk], plans: Mapping[int, Plan], now: datetime) -> None:
    """Move walks until each rests, ends or has done HOPS hops (it is then due again at once)."""
    for walk in walks:
        _set_out(walk, plans[walk.version], now)
    for _ in range(HOPS):
        standing = sorted((w for w in walks if w.moving), key=lambda w: (w.version, w.node, w.id))
        if not standing:
            return
        for (version, _node), group in groupby(standing, key=lambda w: (w.version, w.node)):
            decide_together(list(group), plans[version], now)
    for walk in walks:
        if walk.moving:
            walk.due_at, walk.moving = now, False


def _set_out(walk: Walk, plan: Plan, now: datetime) -> None:
    """Stand at the start when new; end when the person was erased; park when the version cannot be run."""
    if walk.visit == 0:
        walk.arrive(walk.node, now)
    if walk.erased:
        walk.end("exited", "erased", now)
    elif plan.graph is None:
        walk.park(plan.broken)
    elif walk.node not in plan.graph.nodes:
        walk.park(f"there is no node '{walk.node}'")


def decide_together(group: list[Walk], plan: Plan, now: datetime) -> None:
    """Let the step decide for the group and do what it intends; a fault undoes the group's part only.

    A group that fails is done again one by one, so that one bad row does not hold up the others.
    """
    assert plan.graph is not None
    node = plan.graph.nodes[group[0].node]
    try:
        with transaction.atomic():
            results = node.step.decide([walk.seen() for walk in group], node.params, plan.place(node.key), now)
            missing = [walk.id for walk in group if walk.id not in results]
            if missing:
                raise LookupError(f"the step '{node.type}' decided nothing for {len(missing)} of {len(group)}")
            effects = execute(_intents(group, results), plan, node, now=now)
    except OperationalError:
        raise
    except Exception as error:
        if len(group) > 1:
            for walk in group:
                decide_together([walk], plan, now)
            return
        log.exception("step %s of journey %s failed for enrolment %s", node.key, plan.journey_key, group[0].id)
        _fail(
            group[0],
            Fail(f"{type(error).__name__}: {error}", permanent=bool(getattr(error, "permanent", False))),
            plan.graph, node, now,
        )  # fmt: skip
        return
    for walk in group:
        _apply(walk, results[walk.id], effects, plan.graph, node, now)


def _intents(group: list[Walk], results: Mapping[int, Result]) -> list[tuple[Walk, Intent]]:
    found = []
    for walk in group:
        result = results[walk.id]
        if isinstance(result, Go):
            found += [(walk, intent) for intent in result.intents]
    return found


def _apply(walk: Walk, result: Result, effects: Mapping[str, Effect], graph: Graph, node: Node, now: datetime) -> None:
    if isinstance(result, Go):
        _go(walk, result, effects, graph, node, now)
    elif isinstance(result, Stay):
        _stay(walk, result, graph, node, now)
    elif isinstance(result, End):
        walk.end(result.state, result.reason, now)
    else:
        _fail(walk, result, graph, node, now)


def _go(walk: Walk, go: Go, effects: Mapping[str, Effect], graph: Graph, node: Node, now: datetime) -> None:
    """Leave by the port that the step chose, or that what it intended led to."""
    port, reasons = go.port, [go.reason]
    news = dict(go.context)
    for intent in go.intents:
        effect = effects.get(intent.key)
        if effect is not None:
            port = effect.port or port
            reasons.append(effect.reason)
            news.update(effect.context)
    if port not in node.next:
        _fail(walk, Fail(f"the step '{node.type}' has no port '{port}'", permanent=True), graph, node, now)
        return
    if news:
        walk.learn(news)
    walk.leave(now, port=port, reason="; ".join(filter(None, reasons)))
    walk.reason = ""
    walk.arrive(node.next[port], now)


def _stay(walk: Walk, stay: Stay, graph: Graph, node: Node, now: datetime) -> None:
    """Rest. Who has only now begun to wait for a fact is due again at once: the log is then asked anew, in
    another transaction, for what came while this one was open."""
    if stay.due_at is None and not stay.awaiting:
        _fail(walk, Fail("the step waits for nothing", permanent=True), graph, node, now)
    elif walk.arrived and stay.awaiting:
        walk.rest(now, stay.awaiting, stay.reason)
    elif not walk.arrived and stay.due_at is not None and stay.due_at <= now:
        _fail(walk, Fail("the step waits for a time that has passed"), graph, node, now)
    else:
        walk.rest(stay.due_at, stay.awaiting, stay.reason)


def _fail(walk: Walk, fail: Fail, graph: Graph, node: Node, now: datetime) -> None:
    """Try again later, a few times; then do as the node says: let on, let out by its own way, or park."""
    policy = node.failure
    walk.tries += 1
    if not fail.permanent and walk.tries < policy.tries:
        walk.retry(now + BACK_OFF[walk.tries - 1], fail.reason)
        return
    port = {"skip": "next", "branch": ERROR}.get(policy.then, "")
    if port not in node.next:
        walk.park(fail.reason)
        return
    walk.leave(now, port=port, reason=f"failed: {fail.reason}")
    walk.reason = ""
    walk.arrive(node.next[port], now)
