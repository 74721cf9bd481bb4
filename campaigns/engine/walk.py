"""One enrolment while the engine holds it: where it stands, and what has to be written when the batch is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from campaigns.models import Enrolment
from campaigns.steps import Walker
from segments.facts.fact import Fact


@dataclass(slots=True)
class Stop:
    """One visit that began or ended in this batch. `stored` when its row was there before."""

    n: int
    node: str
    entered_at: datetime
    left_at: datetime | None = None
    port: str = ""
    reason: str = ""
    stored: bool = False


@dataclass(slots=True)
class Walk:
    """An enrolment claimed by this batch. `moment` is when its present stretch began: the cause's arrival, the
    end of the last wait, or the awaited fact's arrival; steps without waits take no time."""

    id: int
    journey: int
    version: int
    profile: int
    public_id: UUID
    timezone: str
    locale: str
    erased: bool
    ghost: bool
    arm: str
    node: str
    visit: int
    moment: datetime
    awaiting: str
    awaiting_since: datetime | None
    since: datetime
    tries: int
    context: dict[str, Any]
    depth: int
    entered_at: datetime
    moved_at: datetime
    state: str = "active"
    reason: str = ""
    due_at: datetime | None = None
    ended_at: datetime | None = None
    heard: Fact | None = None
    moving: bool = True
    context_changed: bool = False
    stops: list[Stop] = field(default_factory=list)

    def arrive(self, node: str, now: datetime) -> None:
        """Stand at the next node, on a new visit."""
        self.node, self.visit, self.moved_at = node, self.visit + 1, now
        self.awaiting, self.awaiting_since, self.tries, self.heard = "", None, 0, None
        self.stops.append(Stop(self.visit, node, now))

    def leave(self, now: datetime, *, port: str = "", reason: str = "") -> None:
        """Close the present visit."""
        if not self.stops or self.stops[-1].n != self.visit:
            self.stops.append(Stop(self.visit, self.node, self.moved_at, stored=True))
        stop = self.stops[-1]
        stop.left_at, stop.port, stop.reason = now, port, reason[:200]

    def learn(self, news: dict[str, Any]) -> None:
        """Merge into the walk's variables."""
        self.context = {**self.context, **news}
        self.context_changed = True

    def end(self, state: str, reason: str, now: datetime) -> None:
        self.leave(now, reason=reason)
        self.state, self.reason, self.ended_at, self.due_at, self.moving = state, reason[:200], now, None, False
        self.awaiting, self.awaiting_since = "", None

    def rest(self, due_at: datetime | None, awaiting: str = "", reason: str = "") -> None:
        """Stay at this node until then (or until the awaited fact)."""
        if self.awaiting_since is None:
            self.awaiting_since = self.moment
        self.due_at, self.awaiting, self.reason = due_at, awaiting, reason[:200]
        self.tries, self.moving = 0, False

    def park(self, reason: str) -> None:
        self.state, self.reason, self.due_at, self.moving = Enrolment.State.PARKED, reason[:200], None, False

    def retry(self, due_at: datetime, reason: str) -> None:
        self.due_at, self.reason, self.moving = due_at, reason[:200], False

    @property
    def arrived(self) -> bool:
        """Whether it has yet to be decided for the first time on this visit."""
        return self.awaiting_since is None

    def seen(self) -> Walker:
        """What a step may know."""
        return Walker(
            enrolment=self.id,
            profile=self.profile,
            public_id=self.public_id,
            timezone=self.timezone,
            locale=self.locale,
            ghost=self.ghost,
            node=self.node,
            visit=self.visit,
            arrived=self.arrived,
            heard=self.heard,
            entered_at=self.entered_at,
            arrived_at=self.moved_at,
            context=self.context,
        )
