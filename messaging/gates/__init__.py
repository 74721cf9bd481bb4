"""The contract of a gate, and the registry that holds them in their order.

A gate is one reason not to send (now). Gates are judged twice: when a message is claimed and, under the locks,
in the transaction that commits the marker. All gates' `columns` go into one query over the group; `judge`
then looks at one row of it, in Python, without a query.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from common.registry import Registry


class Ruling(StrEnum):
    """What a gate says: hold until later, skip for good, or let the message expire or be cancelled."""

    HOLD = "held"
    SKIP = "skipped"
    EXPIRE = "expired"
    CANCEL = "cancelled"


@dataclass(frozen=True)
class Verdict:
    """A gate's objection: its reason ("quiet_hours", "cap:email:day") and, for a hold, until when."""

    ruling: Ruling
    reason: str
    until: datetime | None = None


Row = Mapping[str, Any]  # the delivery's columns and every gate's `columns`, by name


class Sent(NamedTuple):
    """Another message of the same person: when it passed its last gate (or, of a rival, is due). `content` tells what
    it says, by version and variables; "" when no gate asks for it."""

    channel: str
    klass: str
    topic: str
    campaign: str
    at: datetime
    content: str = ""

    @property
    def kind(self) -> tuple[str, str, tuple[str, str]]:
        """Channel, class and tags."""
        return self.channel, self.klass, (self.topic, self.campaign)


class Gate(ABC):
    """One reason not to send. `order` places it (lower first); `classes` are the message classes it stops."""

    key: ClassVar[str]
    order: ClassVar[int]
    classes: ClassVar[frozenset[str]] = frozenset({"transactional", "lifecycle", "marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        """ORM expressions to annotate on Delivery rows, by name prefixed with the gate's key; none by default.

        They may depend on `now` and on nothing else: the query is compiled once per process, and only what follows
        `now` is filled in anew.
        """
        return {}

    def prepare(self, now: datetime) -> Any:
        """What the gate needs once per group (open pauses, cap policy): at most one query, handed to `judge`."""
        return None

    def ask(self, now: datetime) -> Callable[[], Any]:
        """Ask for what `prepare` returns; what is returned waits for it. A gate whose `prepare` reads the database asks
        here (common.compiled), so that one journey serves for all."""
        return lambda: self.prepare(now)

    def lookback(self, now: datetime) -> timedelta:
        """How far back the gate reads `row["recent"]`; zero (the default) when it does not read it."""
        return timedelta(0)

    def compares(self, now: datetime) -> bool:
        """Whether the gate reads `row["content"]` and that of `row["recent"]`, which costs more to read."""
        return False

    @abstractmethod
    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        """The objection to this message now, or None.

        `row["recent"]` lists the person's other messages (`Sent`) that passed their last gate within the longest
        lookback, ghosts too; a group holds at most one message of a person. `row["rivals"]` lists those of higher
        priority that are due.
        """


gates: Registry[Gate] = Registry("gates", "messaging.gates")


def in_order() -> list[Gate]:
    """Every gate, in its place."""
    return sorted(gates.values(), key=lambda gate: gate.order)
