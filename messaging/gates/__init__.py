"""The contract of a gate, and the registry that holds them in their order.

A gate is one reason not to send (now). Gates are judged twice: when a message is claimed and, under the locks,
in the transaction that commits the marker. All gates' `columns` go into one query over the group; `judge`
then looks at one row of it, in Python, without a query.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

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


class Gate(ABC):
    """One reason not to send. `order` places it (lower first); `classes` are the message classes it stops."""

    key: ClassVar[str]
    order: ClassVar[int]
    classes: ClassVar[frozenset[str]] = frozenset({"transactional", "lifecycle", "marketing"})

    def columns(self, now: datetime) -> Mapping[str, Any]:
        """ORM expressions to annotate on Delivery rows, by name prefixed with the gate's key; none by default."""
        return {}

    def prepare(self, now: datetime) -> Any:
        """What the gate needs once per group (open pauses, cap policy): at most one query, handed to `judge`."""
        return None

    @abstractmethod
    def judge(self, row: Row, now: datetime, prepared: Any) -> Verdict | None:
        """The objection to this message now, or None. `row["sent_in_group"]` lists (channel, klass) already
        let through for the same person in this group, so that a cap counts them."""


gates: Registry[Gate] = Registry("gates", "messaging.gates")


def in_order() -> list[Gate]:
    """Every gate, in its place."""
    return sorted(gates.values(), key=lambda gate: gate.order)
