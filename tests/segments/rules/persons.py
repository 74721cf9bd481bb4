"""Who the people of the small world are, and the words that every judge of a rule uses."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

BASE = datetime(2026, 3, 2, 12, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
EVENTS = ["Viewed", "Added", "Signed Up"]
OPS = ["at_least", "at_most", "exactly", "more_than", "less_than"]


@dataclass
class Fact:
    name: str
    at: datetime
    said: dict[str, Any]
    value: int | None = None


@dataclass
class Bought:
    at: datetime
    net: int | None
    state: str
    coupon: str = ""


@dataclass
class Moved:
    """Entering or leaving a segment."""

    how: str
    segment: str
    at: datetime


@dataclass
class Lot:
    """Points earned at once, what was drawn from them, and when they end."""

    amount: int
    drawn: list[int]
    ends: datetime | None


@dataclass
class Person:
    """Everything that the judge needs to know of one person."""

    pk: int = 0
    bucket: int = 0
    refuses: bool = False  # profiling
    columns: dict[str, Any] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    orders: list[Bought] = field(default_factory=list)
    stage: str | None = None
    won_back: bool = False
    cell: str = ""
    octant: str = ""
    scores: tuple[int, int, int] | None = None
    groups: set[str] = field(default_factory=set)
    points: int | None = None
    level: str = ""
    badges: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)
    stage_since: datetime | None = None
    moves: list[Moved] = field(default_factory=list)
    missions: list[datetime] = field(default_factory=list)
    progress: list[int] = field(default_factory=list)
    earned: int = 0
    lots: list[Lot] = field(default_factory=list)
    health: dict[str, Any] | None = None


def near(rng: random.Random, days: float = 8) -> datetime:
    """A moment around BASE, often exactly on an edge of a window."""
    if rng.random() < 0.4:
        return BASE + timedelta(days=rng.randint(-8, 3))
    return BASE + timedelta(minutes=rng.randint(int(-days * 1440), 3 * 1440))


def standing(person: Person) -> list[Bought]:
    return [order for order in person.orders if order.state in ("paid", "placed")]


def compare(op: str, value: float, bound: float) -> bool:
    return {
        "at_least": value >= bound,
        "at_most": value <= bound,
        "exactly": value == bound,
        "more_than": value > bound,
        "less_than": value < bound,
    }[op]


def in_window(at: datetime, days: float | None, now: datetime) -> bool:
    return days is None or now - timedelta(days=days) < at <= now


def same(a: Any, b: Any) -> bool:
    """Equal in value and kind: True is not 1, "1" is not 1, 1 is 1.0."""
    return a == b and (isinstance(a, bool) == isinstance(b, bool)) and (isinstance(a, str) == isinstance(b, str))


def maybe_days(rng: random.Random) -> dict[str, Any]:
    return rng.choice([{}, {"days": rng.choice([1, 2, 3, 7, 0.5])}])
