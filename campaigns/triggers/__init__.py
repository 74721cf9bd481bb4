"""The contract of a trigger, and the registry that holds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from common.params import Params
from common.registry import Registry
from segments.facts.fact import Fact

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Entry:
    """A person who is to enter: `key` makes the entry once, `run_key` allows several runs at once.

    `at` is when the cause arrived, from which moment the walk begins; `since` is when it occurred: facts that occurred
    before it do not count for the walk. None: the moment of entry.
    """

    profile: int
    key: str
    run_key: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    depth: int = 0
    reason: str = ""
    at: datetime | None = None
    since: datetime | None = None


class Trigger(ABC, Generic[P]):
    """One way into a journey: by facts (`facts`, `match`) or by slots of time over an audience (`slot`)."""

    key: ClassVar[str]
    Params: type[P]

    def facts(self, params: P) -> frozenset[str]:
        """Names of facts that may start it; empty for triggers of time."""
        return frozenset()

    def match(self, params: P, fact: Fact) -> Entry | None:
        """The entry this fact makes, or None."""
        return None

    def slot(self, params: P, after: datetime | None, now: datetime) -> datetime | None:
        """The latest slot in (after, now], or None; only the latest is ever caught up."""
        return None

    def audience(self, params: P) -> str:
        """The key of the segment that enters at a slot, or whose present members may enter at publish; ""."""
        return ""

    @abstractmethod
    def say(self, params: P, language: str) -> str:
        """The trigger as a sentence, in English or Chinese."""

    def check(self, params: P) -> list[str]:
        """Problems that only the database knows, as sentences."""
        return []


triggers: Registry[Trigger[Any]] = Registry("triggers", "campaigns.triggers")
