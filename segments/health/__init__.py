"""The contract of a health metric, and the registry that holds them.

A metric reads marks (a day on which something happened to a person, with a word or a number) and makes one value of
those in its window as of a local day. What it answers depends on marks and day alone, so the value of a fortnight
ago is the same computation, and the days on which silence changes it can be told beforehand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from common.params import Params
from common.registry import Registry

P = TypeVar("P", bound=Params)


class Mark(NamedTuple):
    """Something that happened to a person on a local day: `what` tells marks apart, `number` is its measure."""

    day: date
    what: str = ""
    number: float = 0.0


@dataclass(frozen=True)
class About:
    """Whose marks are asked for (profile ids), and from which instant on; days are those of the zone."""

    ids: Collection[int]
    since: datetime
    zone: ZoneInfo


class Metric(ABC, Generic[P]):
    """One part of the health score, in whatever unit; bounds make it a number from 0 to 100.

    `weight` and `bounds` are the defaults: the share in the score, and the values worth 0 and 100. `width` is the
    window in days, today included. `silent` metrics have a value (0) for who does nothing, once the person has been
    known for a whole window; the others have none without marks, and then lower the coverage.
    """

    key: ClassVar[str]
    place: ClassVar[int]  # among the parts of an explanation
    weight: ClassVar[float]
    bounds: ClassVar[tuple[float, float]]
    width: ClassVar[int]
    silent: ClassVar[bool] = False
    Params: type[P]

    @abstractmethod
    def facts(self, params: P) -> frozenset[str]:
        """Names of the facts that may change the value; "*" stands for any of a sender."""

    @abstractmethod
    def marks(self, params: P, about: About) -> Iterable[tuple[int, Mark]]:
        """(profile id, mark) of everything the value may depend on, in one query; ahead of today too."""

    @abstractmethod
    def value(self, params: P, marks: Sequence[Mark], today: date) -> float | None:
        """The value made of the marks of the window that ends today; None when it cannot be known."""

    @abstractmethod
    def title(self, language: str) -> str:
        """What is measured, in English or Chinese ("zh…")."""

    @abstractmethod
    def say(self, params: P, value: float, language: str) -> str:
        """The value in words."""

    def delays(self, params: P) -> tuple[int, ...]:
        """After how many days a mark can change the value again: by default when it leaves the window."""
        return (self.width,)

    def ready(self, params: P) -> bool:
        """Whether the parameters suffice to measure anything."""
        return True


metrics: Registry[Metric[Any]] = Registry("health metrics", "segments.health")


def in_order() -> list[Metric[Any]]:
    """Every metric, in the order in which they are explained."""
    return sorted(metrics, key=lambda metric: (metric.place, metric.key))
