"""What a back-test is asked to do, as it is told to the process that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    """Walk `draft` of `journey` with at most `people` through the `days` before `until`, looking every `step_minutes`.

    `enter_present`: who is in the trigger's segment when it begins enters then. With `person` it is a dry run of that
    one instead, let in at the beginning with `event` as the cause; `assumed` are facts that will be told: each with
    `fact`, `after` (seconds) and perhaps `properties`.
    """

    journey: str
    draft: Mapping[str, Any]
    until: datetime
    days: int
    people: int
    step_minutes: int
    enter_present: bool
    person: int | None = None
    event: Mapping[str, Any] = field(default_factory=dict)
    assumed: tuple[dict[str, Any], ...] = ()

    @property
    def since(self) -> datetime:
        return self.until - timedelta(days=self.days)

    @property
    def step(self) -> timedelta:
        return timedelta(minutes=self.step_minutes)

    def told(self) -> dict[str, Any]:
        return asdict(self) | {"until": self.until.isoformat()}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        return cls(**{**told, "until": datetime.fromisoformat(told["until"]), "assumed": tuple(told["assumed"])})
