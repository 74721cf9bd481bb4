"""The contract of a measure, by which a mission counts what people do, and the registry that holds them.

A measure folds deeds into what it keeps of one person in one period (any JSON) and makes a whole number of it. Days are
those of the person's own calendar, so the days on which clocks change are days like others. A deed may come up to two
days late, after later ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar, Generic, TypeVar

from common.params import Params
from common.registry import Registry

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Deed:
    """One fact that counts: its day in the person's zone, its properties, its money in minor units or None."""

    day: date
    properties: Mapping[str, Any]
    value: int | None = None


class Measure(ABC, Generic[P]):
    """One way of counting towards a mission's target."""

    key: ClassVar[str]
    place: ClassVar[int]  # among the choices of a form
    Params: type[P]

    @abstractmethod
    def begin(self, count: int) -> Any:
        """What is kept before the first deed; `count` is what an older version of us had counted, else 0."""

    @abstractmethod
    def add(self, params: P, kept: Any, deed: Deed, target: int) -> Any:
        """What is kept once the deed is in."""

    @abstractmethod
    def count(self, params: P, kept: Any, target: int) -> int:
        """How far it goes towards the target."""

    @abstractmethod
    def rest(self, params: P, kept: Any, target: int) -> Any:
        """What is kept once the target was reached: nothing that counted for it counts for the next time."""

    def lapses(self, params: P, kept: Any) -> date | None:
        """The first day on which the count is lost unless something is done before; None when it stays."""
        return None

    @abstractmethod
    def title(self, language: str) -> str:
        """The name of the measure, in English or Chinese ("zh…")."""

    @abstractmethod
    def say(self, params: P, fact: str, target: int, language: str) -> str:
        """What a person has to do, as the beginning of a sentence."""


measures: Registry[Measure[Any]] = Registry("measures of missions", "segments.growth.measures")


def in_order() -> list[Measure[Any]]:
    """Every measure, in the order of a form's choices."""
    return sorted(measures, key=lambda measure: (measure.place, measure.key))
