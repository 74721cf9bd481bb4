"""The contract of a segment operator, and the registry that holds them.

An operator is one question about a person. It compiles to a Q over Profile (`q`), says itself in English and
Chinese (`say`), and declares what it reads and at which edges of time it can flip without a new fact (`reads`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar
from zoneinfo import ZoneInfo

from django.db.models import Q

from common.params import Params
from common.registry import Registry

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class At:
    """The moment a rule is asked for, and the zone in which the workspace counts its days.

    `among` names the profile ids the question is about, so that a condition over their facts looks at no others;
    None asks about everyone. The answer for a person is the same either way.
    """

    now: datetime
    zone: ZoneInfo
    among: tuple[int, ...] | None = None


class Drift(StrEnum):
    """How silence alone can flip an operator's answer, beyond its windows."""

    NEVER = "never"
    DAILY = "daily"  # a calendar day, quantile or trend: a full pass after each local midnight


@dataclass(frozen=True)
class Edge:
    """A window of `width` over facts named `facts` (empty: any); a fact crossing either edge may flip the answer."""

    width: timedelta
    facts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Reads:
    """What an operator's answer depends on.

    `facts`: names in the fact log whose arrival may flip it ("@…" are the engine's own); `traits`: an identify,
    merge or correction may flip it; `segments`: keys of segments whose memberships it reads; `windows`: edges of
    time; `drift`: whether a daily full pass is needed. The fact name "*" stands for any of a sender.
    """

    facts: frozenset[str] = frozenset()
    traits: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    windows: tuple[Edge, ...] = field(default=())
    drift: Drift = Drift.NEVER

    def __or__(self, other: Reads) -> Reads:
        return Reads(
            self.facts | other.facts,
            self.traits | other.traits,
            self.segments | other.segments,
            tuple(dict.fromkeys(self.windows + other.windows)),
            Drift.DAILY if Drift.DAILY in (self.drift, other.drift) else Drift.NEVER,
        )


class Operator(ABC, Generic[P]):
    """One question about a person. `key` is its name in rule JSON, `Params` its parameters."""

    key: ClassVar[str]
    family: ClassVar[str]  # heading in the picker: "traits", "behaviour", "value", "engagement", "groups"
    profiling: ClassVar[bool] = True  # draws on what a person did; False: on what they told us, or hold
    Params: type[P]

    @abstractmethod
    def q(self, params: P, at: At) -> Q:
        """The condition over Profile (semi- and anti-joins by Exists, never HAVING over a join)."""

    @abstractmethod
    def say(self, params: P, language: str) -> str:
        """The condition as part of a sentence, in English or Chinese ("zh…")."""

    @abstractmethod
    def reads(self, params: P) -> Reads:
        """What may flip the answer."""

    def blank(self, params: P) -> bool | None:
        """The answer for a person of whom there is nothing but the profile; None when that depends on the profile.

        A rule that holds for such a person is asked about everyone who is new, whatever fact brought them in.
        """
        return None

    def check(self, params: P) -> list[str]:
        """Problems that only the database knows (unknown segment, pool …), as sentences; none by default."""
        return []


operators: Registry[Operator[Any]] = Registry("operators", "segments.rules.operators")
