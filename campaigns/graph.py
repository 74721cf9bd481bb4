"""Reading a flow: from JSON to parts that run, with everything that is wrong with it told at once.

What is proven here is what the engine relies on: every step can be reached, every walk can end, and no loop
can turn without waiting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from campaigns.sound import unsound
from campaigns.steps import Step, steps
from campaigns.triggers import Trigger, triggers
from common.params import LONGEST, Duration, Invalid, Params, Problem, read_params
from segments.facts.fact import Fact
from segments.facts.filter import passes
from segments.facts.names import SEGMENT_ENTERED, SEGMENT_LEFT

NODE_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
TOP = frozenset({"trigger", "start", "nodes", "exits", "entry", "goal", "utm"})
NODE = frozenset({"type", "params", "next", "label", "label_zh", "failure"})
ERROR = "error"  # the way out of who failed, where the node has one
MOST_NODES = 200


class ExitRule(Params):
    """A fact (or entering or leaving a segment) upon which a walk is left at once, wherever it stands."""

    fact: str = ""
    filter: dict[str, Any] = Field(default_factory=dict)
    left_segment: str = ""
    entered_segment: str = ""
    reason: str = Field(default="", max_length=150)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.fact, self.left_segment, self.entered_segment))) != 1:
            raise ValueError("say one of 'fact', 'left_segment' and 'entered_segment'")
        return self

    @property
    def name(self) -> str:
        """The fact it listens to."""
        return self.fact or (SEGMENT_LEFT if self.left_segment else SEGMENT_ENTERED)

    @property
    def why(self) -> str:
        """The reason that is stored with those who leave."""
        return self.reason or self.fact or f"{self.name}:{self.left_segment or self.entered_segment}"

    def matches(self, fact: Fact) -> bool:
        segment = self.left_segment or self.entered_segment
        wanted = {**self.filter, **({"segment": segment} if segment else {})}
        return fact.name == self.name and passes(fact.properties, wanted)


class EntryRules(Params):
    """Who may enter again, how many a day and at once, how old a cause may be, and its `priority`: at a cap of
    messages the higher one's go first, and of journeys that one fact begins the higher one is entered first."""

    reentry: Literal["once", "after_exit", "cooldown", "keyed"] = "once"
    cooldown: Duration | None = None
    per_day: int | None = Field(default=None, ge=0)
    in_flight: int | None = Field(default=None, ge=0)
    priority: int | None = Field(default=None, ge=-9, le=9)
    max_age: Duration = timedelta(days=2)

    @model_validator(mode="after")
    def _cooldown(self) -> Self:
        if (self.reentry == "cooldown") != (self.cooldown is not None):
            raise ValueError("'cooldown' goes with reentry \"cooldown\", and only with it")
        return self


class GoalRule(Params):
    """The campaign's goal that marks (and, with `ends`, ends) a walk; fact, filter and window are filled in and
    frozen at publish."""

    key: str = Field(min_length=1, max_length=80)
    ends: bool = False
    fact: str = ""
    filter: dict[str, Any] = Field(default_factory=dict)
    window_days: int = Field(default=0, ge=0, le=LONGEST.days)

    def matches(self, fact: Fact) -> bool:
        return bool(self.fact) and fact.name == self.fact and passes(fact.properties, self.filter)


class FailurePolicy(Params):
    """What becomes of who fails at a node for good: parked, let on by "next", or out by the port "error". `tries` is
    how often it is tried before."""

    then: Literal["park", "skip", "branch"] = "park"
    tries: int = Field(default=5, ge=1, le=5)


class UtmNames(Params):
    """What every link of the journey's messages says of where it comes from; fixed at publish."""

    source: str = Field(default="", max_length=200)
    campaign: str = Field(default="", max_length=200)
    id: str = Field(default="", max_length=200)


@dataclass(frozen=True)
class Node:
    """One step in its place: `next` maps each port to a node key."""

    key: str
    type: str
    step: Step[Any]
    params: Any
    next: Mapping[str, str]
    label: str = ""
    label_zh: str = ""
    failure: FailurePolicy = field(default_factory=FailurePolicy)

    def awaits(self) -> frozenset[str]:
        return self.step.awaits(self.params)


@dataclass(frozen=True)
class Graph:
    """A flow that is proven to run."""

    trigger_type: str
    trigger: Trigger[Any]
    trigger_params: Any
    start: str
    nodes: Mapping[str, Node]
    exits: tuple[ExitRule, ...] = ()
    entry: EntryRules = field(default_factory=EntryRules)
    goal: GoalRule | None = None
    utm: Mapping[str, str] = field(default_factory=dict)

    @property
    def broadcast(self) -> bool:
        """Whether people enter by the clock, not by facts."""
        return self.trigger.broadcast

    def ending_facts(self) -> frozenset[str]:
        """Names of facts that may end or mark a walk."""
        goal = {self.goal.fact} if self.goal and self.goal.fact else set()
        return frozenset({rule.name for rule in self.exits} | goal)

    def awaited_facts(self) -> frozenset[str]:
        return frozenset().union(*(node.awaits() for node in self.nodes.values()))

    def dump(self) -> dict[str, Any]:
        """The flow as canonical JSON; `read_graph` reads it back to an equal Graph."""
        return {
            "trigger": {"type": self.trigger_type, "params": _dump(self.trigger_params)},
            "start": self.start,
            "nodes": {key: _dump_node(node) for key, node in self.nodes.items()},
            "exits": [_dump(rule) for rule in self.exits],
            "entry": _dump(self.entry),
            **({"goal": _dump(self.goal)} if self.goal else {}),
            **({"utm": dict(self.utm)} if self.utm else {}),
        }


def read_graph(raw: object) -> Graph:
    """The flow in `raw`. Raises Invalid with every problem and its path ("nodes.gift.params.pool")."""
    if not isinstance(raw, Mapping):
        raise Invalid([Problem("", "the flow must be an object with a trigger, a start and nodes")])
    found = [Problem(str(key), "unknown name") for key in raw if key not in TOP]
    kind, trigger, params = _read_trigger(raw.get("trigger"), found)
    nodes = _read_nodes(raw.get("nodes"), found)
    exits = _read_list(ExitRule, raw.get("exits", []), "exits", found)
    entry = _read_entry(raw.get("entry", {}), params, found)
    goal = _read_goal(raw.get("goal"), found)
    utm = _read_utm(raw.get("utm"), found)
    start = _read_start(raw.get("start"), raw.get("nodes"), nodes, found)
    if found or trigger is None or entry is None:
        raise Invalid(found)
    return Graph(kind, trigger, params, start, nodes, tuple(exits), entry, goal, utm)


def _read_start(raw: object, keys: object, nodes: Mapping[str, Node], found: list[Problem]) -> str:
    """Where a walk begins; when all nodes could be read, everything is proven that follows from there."""
    if not isinstance(raw, str) or (isinstance(keys, Mapping) and raw not in keys):
        found.append(Problem("start", "must name one of the nodes"))
        return ""
    if nodes:
        ways = {key: frozenset(node.next.values()) for key, node in nodes.items()}
        ends = frozenset(key for key, node in nodes.items() if not tuple(node.step.ports(node.params)))
        waits = frozenset(key for key, node in nodes.items() if node.step.waits)
        found += unsound(raw, ways, ends=ends, waits=waits)
    return raw


def _read_entry(raw: object, trigger_params: Any, found: list[Problem]) -> EntryRules | None:
    entry: EntryRules | None = _read_part(EntryRules, raw, "entry", found)
    if entry and entry.reentry == "keyed" and trigger_params is not None and not getattr(trigger_params, "key", ""):
        found.append(Problem("entry.reentry", "\"keyed\" needs a trigger that names a 'key'"))
    return entry


def _read_goal(raw: object, found: list[Problem]) -> GoalRule | None:
    """The goal; none when the name is left out or null."""
    goal: GoalRule | None = None if raw is None else _read_part(GoalRule, raw, "goal", found)
    return goal


def _read_utm(raw: object, found: list[Problem]) -> dict[str, str]:
    """The UTM names that are said; none when the name is left out or null."""
    names: UtmNames | None = None if raw is None else _read_part(UtmNames, raw, "utm", found)
    return names.model_dump(exclude_unset=True) if names else {}


def _read_trigger(raw: object, found: list[Problem]) -> tuple[str, Trigger[Any] | None, Any]:
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    if not isinstance(raw, Mapping) or not isinstance(kind, str):
        found.append(Problem("trigger", "a flow needs a trigger with a type"))
        return "", None, None
    if kind not in triggers:
        found.append(Problem("trigger.type", f"no trigger '{kind}' (known: {', '.join(triggers.keys())})"))
        return kind, None, None
    trigger = triggers.get(kind)
    return kind, trigger, _read_part(trigger.Params, raw.get("params", {}), "trigger.params", found)


def _read_nodes(raw: object, found: list[Problem]) -> dict[str, Node]:
    if not isinstance(raw, Mapping) or not raw:
        found.append(Problem("nodes", "a flow needs at least one node"))
        return {}
    if len(raw) > MOST_NODES:
        found.append(Problem("nodes", f"at most {MOST_NODES} nodes"))
        return {}
    nodes = {}
    for key, body in raw.items():
        node = _read_node(str(key), body, set(map(str, raw)), found)
        if node is not None:
            nodes[node.key] = node
    return nodes if len(nodes) == len(raw) else {}


def _read_node(key: str, raw: object, known: set[str], found: list[Problem]) -> Node | None:
    path = f"nodes.{key}"
    if not NODE_KEY.fullmatch(key):
        found.append(Problem(path, "a node's key has lower-case letters, digits, - and _, at most 60"))
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    if not isinstance(raw, Mapping) or not isinstance(kind, str) or kind not in steps:
        found.append(Problem(f"{path}.type", f"no step '{kind}' (known: {', '.join(steps.keys())})"))
        return None
    found += [Problem(f"{path}.{name}", "unknown name") for name in raw if name not in NODE]
    step = steps.get(kind)
    params = _read_part(step.Params, raw.get("params", {}), f"{path}.params", found)
    failure = _read_part(FailurePolicy, raw.get("failure", {}), f"{path}.failure", found)
    ports = None if params is None or failure is None else _ports(step, params, failure, path, found)
    ways = _read_next(raw.get("next", {}), ports, known, path, found)
    if params is None or failure is None:
        return None
    label, label_zh = (_read_label(raw.get(name, ""), f"{path}.{name}", found) for name in ("label", "label_zh"))
    return Node(key, kind, step, params, ways, label, label_zh, failure)


def _ports(step: Step[Any], params: Any, failure: FailurePolicy, path: str, found: list[Problem]) -> tuple[str, ...]:
    """The step's own ways out, and that of who fails."""
    ports = tuple(step.ports(params))
    if failure.then == "skip" and "next" not in ports:
        found.append(Problem(f"{path}.failure.then", "only a step with the port 'next' can be skipped"))
    return (*ports, ERROR) if failure.then == "branch" else ports


def _read_label(raw: object, path: str, found: list[Problem]) -> str:
    if not isinstance(raw, str):
        found.append(Problem(path, "must be text"))
        return ""
    return raw


def _read_next(
    raw: object, ports: tuple[str, ...] | None, known: set[str], path: str, found: list[Problem]
) -> dict[str, str]:
    """Where each port leads, in drawing order; a bare node key stands for the only port. Without `ports` (the
    parameters that tell them are wrong) only the targets are judged."""
    ways = {(ports or ("next",))[0]: raw} if isinstance(raw, str) and (ports is None or len(ports) == 1) else raw
    if not isinstance(ways, Mapping):
        found.append(Problem(f"{path}.next", f"must say where each port leads: {', '.join(ports or ()) or 'none'}"))
        return {}
    for port, target in ways.items():
        if ports is not None and port not in ports:
            found.append(Problem(f"{path}.next.{port}", "this step has no such port"))
        elif not isinstance(target, str) or target not in known:
            found.append(Problem(f"{path}.next.{port}", f"there is no node '{target}'"))
    found += [Problem(f"{path}.next.{port}", "this port leads nowhere") for port in ports or () if port not in ways]
    good = {port: to for port, to in ways.items() if isinstance(to, str) and to in known}
    return {port: good[port] for port in ports or () if port in good}


def _read_part(model: type[Any], raw: object, path: str, found: list[Problem]) -> Any:
    if not isinstance(raw, Mapping):
        found.append(Problem(path, "must be an object"))
        return None
    try:
        return read_params(model, raw, path=path)
    except Invalid as error:
        found += error.problems
        return None


def _read_list(model: type[Any], raw: object, path: str, found: list[Problem]) -> list[Any]:
    if not isinstance(raw, list):
        found.append(Problem(path, "must be a list"))
        return []
    parts: Iterable[Any] = (_read_part(model, one, f"{path}.{n}", found) for n, one in enumerate(raw))
    return [part for part in parts if part is not None]


def _dump(params: Any) -> dict[str, Any]:
    return dict(params.model_dump(mode="json", by_alias=True, exclude_none=True))


def _dump_node(node: Node) -> dict[str, Any]:
    labels = {name: text for name, text in (("label", node.label), ("label_zh", node.label_zh)) if text}
    failure = {} if node.failure == FailurePolicy() else {"failure": _dump(node.failure)}
    return {"type": node.type, "params": _dump(node.params), "next": dict(node.next), **failure, **labels}
