"""The contract of a journey step, and the registry that holds them.

A step decides for a whole group of enrolments that stand at one node; it returns outcomes and intents and
writes nothing. The engine alone writes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from common.params import Params, Problem
from common.registry import Registry
from segments.facts.fact import Fact

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Walker:
    """One enrolment as a step sees it. `arrived` is False when it was here already and has now woken up
    (its wait is over); `heard` is the awaited fact when it came."""

    enrolment: int
    profile: int
    public_id: UUID
    timezone: str
    locale: str
    ghost: bool
    node: str
    visit: int
    arrived: bool
    entered_at: datetime
    arrived_at: datetime
    context: Mapping[str, Any]
    heard: Fact | None = None


@dataclass(frozen=True)
class Intent:
    """Something to be done: `kind` names who does it (campaigns.engine.intents); `key` makes it happen once.

    For ghosts the engine records it and does not execute it.
    """

    kind: str
    key: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class Go:
    """Leave by `port`, now. `context` is merged into the enrolment's variables."""

    port: str = "next"
    intents: tuple[Intent, ...] = ()
    reason: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stay:
    """Wait here until `due_at` (None: for ever), or until a fact named `awaiting` that the step `wants`."""

    due_at: datetime | None
    awaiting: str = ""
    reason: str = ""


@dataclass(frozen=True)
class End:
    """The walk is over: "completed" or "exited"."""

    state: str = "completed"
    reason: str = ""


@dataclass(frozen=True)
class Fail:
    """The step could not decide for this one: retried (`permanent` False) or parked, with the reason."""

    reason: str
    permanent: bool = False


Result = Go | Stay | End | Fail


@dataclass(frozen=True)
class Place:
    """Where the group stands: journey and campaign keys, version number, node key, the workspace's zone;
    `broadcast` when people enter by the clock rather than by a fact; `goal` the journey's rule, if it has one."""

    journey: str
    campaign: str
    version: int
    node: str
    zone: str
    broadcast: bool = False
    goal: Any = None


class Step(ABC, Generic[P]):
    """One kind of node. `waits` tells the loop proof that a visit can take time."""

    key: ClassVar[str]
    waits: ClassVar[bool] = False
    Params: type[P]

    def ports(self, params: P) -> Sequence[str]:
        """The ways out, in drawing order."""
        return ("next",)

    @abstractmethod
    def decide(self, group: Sequence[Walker], params: P, place: Place, now: datetime) -> Mapping[int, Result]:
        """A Result per enrolment id; statements constant in the size of the group."""

    @abstractmethod
    def say(self, params: P, language: str) -> str:
        """The step as a short phrase for the drawn flow, in English or Chinese."""

    def check(self, params: P) -> Sequence[str | Problem]:
        """Problems that only the database knows (template missing, pool empty …), as sentences; with a path, which is
        that of the node's JSON, where one parameter holds much."""
        return []

    def awaits(self, params: P) -> frozenset[str]:
        """Names of facts that may wake a walker at this step."""
        return frozenset()

    def wants(self, params: P, fact: Fact) -> bool:
        """Whether this fact, of an awaited name, is the one that is waited for."""
        return True

    def longest(self, params: P) -> timedelta:
        """The longest time that one visit can wait; a step that `waits` says how long."""
        return timedelta(0)

    def pin(self, params: P, place: Place) -> P:
        """The parameters as they are frozen at publish: what "latest" meant then, salts, default times."""
        return params


steps: Registry[Step[Any]] = Registry("steps", "campaigns.steps")
