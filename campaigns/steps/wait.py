"""Wait for a time: a duration, until a wall-clock time where the person lives, or the one and then the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from campaigns.steps import Go, Place, Result, Stay, Step, Walker, steps
from campaigns.steps._pace import scaled
from common.params import Duration, Params, format_duration
from common.periods import next_local, zone
from common.text import say


class WaitParams(Params):
    """`for` a duration (at the installation's pace), then `until` the next such wall time, in the zone of the
    `recipient` (the workspace's when unknown) or of the `workspace`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    duration: Duration = Field(default=timedelta(0), alias="for", ge=timedelta(0))
    until: time | None = None
    zone: Literal["recipient", "workspace"] = "recipient"

    @model_validator(mode="after")
    def _waits(self) -> Self:
        if not self.duration and self.until is None:
            raise ValueError("say how long ('for') or until what time ('until') to wait")
        if self.until is not None and self.until.tzinfo is not None:
            raise ValueError("'until' is a wall time without a zone, such as 09:00")
        return self


@steps.register("wait")
class Wait(Step[WaitParams]):
    key: ClassVar[str] = "wait"
    waits: ClassVar[bool] = True
    Params = WaitParams

    def decide(self, group: Sequence[Walker], params: WaitParams, place: Place, now: datetime) -> Mapping[int, Result]:
        span = scaled(params.duration)
        return {w.enrolment: Stay(_due(w, params, place, now + span)) if w.arrived else Go() for w in group}

    def longest(self, params: WaitParams) -> timedelta:
        return scaled(params.duration) + timedelta(days=1 if params.until is not None else 0)

    def say(self, params: WaitParams, language: str) -> str:
        parts = []
        if params.duration:
            span = format_duration(params.duration)
            parts.append(say(f"for {span}", span, language))
        if params.until is not None:
            clock = f"{params.until:%H:%M}"
            parts.append(say(f"until {clock}", f"至 {clock}", language))
        return say("Wait " + ", then ".join(parts), "等待 " + "，再".join(parts), language)


def _due(walker: Walker, params: WaitParams, place: Place, at: datetime) -> datetime:
    if params.until is None:
        return at
    at += timedelta(microseconds=1)  # strictly later, so that a loop at this very minute cannot turn twice
    name = walker.timezone if params.zone == "recipient" else ""
    return next_local(at, params.until, zone(name or place.zone, fallback=place.zone))
