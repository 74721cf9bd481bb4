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
from segments.models import Membership

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


@dataclass(frozen=True)
class Member:
    """Somebody whom a slot lets in: `at` is when the walk begins (None: at once); `key`, when given, makes the entry
    once instead of the slot."""

    profile: int
    at: datetime | None = None
    key: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)


class Trigger(ABC, Generic[P]):
    """One way into a journey: by facts (`facts`, `match`), by slots of time over people (`slot`, `page`), or only when
    somebody lets people in. `broadcast`: people enter by the clock, many at once."""

    key: ClassVar[str]
    broadcast: ClassVar[bool] = False
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

    def moment(self, params: P, slot: datetime, timezone: str) -> datetime | None:
        """When the walk of a person in that zone begins; None: at once."""
        return None

    def page(self, params: P, slot: datetime, last: int, limit: int) -> tuple[list[Member], int | None]:
        """The people of a slot whose ids follow `last`, in their order and at most `limit`, and where the next page
        begins; None when there is none. By default the members of the audience."""
        rows = Membership.objects.filter(segment__key=self.audience(params), profile__gt=last).order_by("profile")
        found = list(rows.values_list("profile_id", "profile__timezone")[:limit])
        members = [Member(pk, self.moment(params, slot, timezone)) for pk, timezone in found]
        return members, found[-1][0] if len(found) == limit else None

    def provides(self, params: P) -> frozenset[str]:
        """Variables that every walk it begins has."""
        return frozenset({"event"}) if self.facts(params) else frozenset()

    @abstractmethod
    def say(self, params: P, language: str) -> str:
        """The trigger as a sentence, in English or Chinese."""

    def check(self, params: P) -> list[str]:
        """Problems that only the database knows, as sentences."""
        return []


triggers: Registry[Trigger[Any]] = Registry("triggers", "campaigns.triggers")
