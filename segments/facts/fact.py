"""The shapes of a fact: as it is handed in, and as it is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact to be appended. `key` is unique within `source` (an id); `value` is money in minor units of the
    reporting currency, or None; `depth` counts the chain fact → enrolment → fact."""

    profile: int
    shard: int
    name: str
    occurred_at: datetime
    key: str
    source: int
    kind: str = "track"
    value: int | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    live: bool = True
    flags: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of the fact log, as readers, triggers, goals, exits and waits see it."""

    id: int
    profile: int
    shard: int
    source: int
    kind: str
    name: str
    occurred_at: datetime
    received_at: datetime
    value: int | None
    properties: Mapping[str, Any]
    context: Mapping[str, Any]
    live: bool
    depth: int


class Position(NamedTuple):
    """A place in the log: everything at or before it has been read."""

    tx: int
    id: int


START = Position(0, 0)
