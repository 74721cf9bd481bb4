"""The contract of a lint of journeys, and the registry that holds them.

A lint judges a flow that can be read: it looks at plain data, changes nothing and asks nobody. An error keeps the
flow from being published; a warning asks a person to confirm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from common.registry import Registry

Window = tuple[time, time]


class Node(Protocol):
    """A step in its place, as campaigns.graph has it."""

    @property
    def key(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def step(self) -> Any: ...
    @property
    def params(self) -> Any: ...
    @property
    def next(self) -> Mapping[str, str]: ...


class Flow(Protocol):
    """A flow that can be read, as campaigns.graph has it."""

    @property
    def start(self) -> str: ...
    @property
    def nodes(self) -> Mapping[str, Node]: ...
    @property
    def trigger_params(self) -> Any: ...
    @property
    def entry(self) -> Any: ...
    @property
    def goal(self) -> Any: ...
    @property
    def broadcast(self) -> bool: ...


class Severity(StrEnum):
    """What a finding does to publishing."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """One thing that is said, and where: `place` is a path such as "nodes.hello" or "entry.reentry". `message` is in
    the active language."""

    severity: Severity
    message: str
    place: str = ""
    lint: str = ""

    @property
    def node(self) -> str:
        """The node it speaks of, or ""."""
        parts = self.place.split(".")
        return parts[1] if parts[0] == "nodes" and len(parts) > 1 else ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


@dataclass(frozen=True)
class Take:
    """A variable that a message takes from outside: `root` and second step; `sure` when something stands in for it."""

    root: str
    step: str
    sure: bool


@dataclass(frozen=True)
class Letter:
    """What one step sends: the version that is pinned, in its languages. `way_out`: every body offers to leave."""

    template: str
    channel: str
    klass: str
    topic: str
    locales: frozenset[str]
    takes: tuple[Take, ...] = ()
    way_out: bool = True


@dataclass(frozen=True)
class Limit:
    """A limit that binds a message: `at_most` within `width`; `name` as stored with who is held by it
    (cap:email:week). `calendar`: the period begins at the recipient's midnight."""

    name: str
    at_most: int
    width: timedelta
    calendar: bool = False


@dataclass(frozen=True)
class Sight:
    """A flow with what the database knows of it, by node key where it belongs to one.

    `letters` of steps that send (several where a step has ways to fall back on), `limits` and `quiet` that bind them,
    `longest` how long each step can hold somebody (written days, whatever the installation's pace), `given` what the
    trigger provides, `provides` what is known after leaving a node by a port, `holdout` the share held out, `goal_days`
    the goal's window (None without a goal), `wanted` the languages of the workspace.
    """

    graph: Flow
    letters: Mapping[str, tuple[Letter, ...]] = field(default_factory=dict)
    limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    quiet: Mapping[str, Window] = field(default_factory=dict)
    longest: Mapping[str, timedelta] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    provides: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    holdout: float = 0.0
    goal_days: int | None = None
    wanted: tuple[str, ...] = ()

    def sends(self) -> Iterator[tuple[str, Letter]]:
        """Node and message of everything that the flow sends."""
        for key, letters in self.letters.items():
            for letter in letters:
                yield key, letter

    def persuades(self) -> bool:
        """Whether it sends anything that needs proof or permission: transactional messages alone do not."""
        return any(letter.klass != "transactional" for _key, letter in self.sends())

    def next_sends(self, start: str) -> set[str]:
        """The first senders that a walk meets from `start` on (itself included) before anything waits."""
        found, seen, todo = set[str](), {start}, [start]
        while todo:
            node = self.graph.nodes[todo.pop()]
            if node.key in self.letters:
                found.add(node.key)
                continue
            if node.step.waits and node.key != start:
                continue
            todo += [to for to in node.next.values() if to not in seen]
            seen |= set(node.next.values())
        return found


class Lint(ABC):
    """One thing to look for."""

    key: ClassVar[str]

    @abstractmethod
    def find(self, sight: Sight) -> Iterator[Finding]:
        """What is wrong with the flow, in the order of its nodes."""


lints: Registry[Lint] = Registry("journey lints", "campaigns.lints")
