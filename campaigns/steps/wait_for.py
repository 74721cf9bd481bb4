"""Wait for a fact, at most so long: two ways out, one for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from campaigns.steps import Go, Place, Result, Stay, Step, Walker, steps
from campaigns.steps._pace import scaled
from common.params import Duration, Params, format_duration
from common.text import say
from segments.facts.fact import Fact
from segments.facts.filter import passes


class WaitForParams(Params):
    """A fact named `fact` whose properties pass `filter`, or the `timeout` (at the installation's pace)."""

    fact: str = Field(min_length=1, max_length=200)
    filter: dict[str, Any] = Field(default_factory=dict)
    timeout: Duration = Field(gt=timedelta(0))


@steps.register("wait_for")
class WaitFor(Step[WaitForParams]):
    key: ClassVar[str] = "wait_for"
    waits: ClassVar[bool] = True
    Params = WaitForParams

    def ports(self, params: WaitForParams) -> Sequence[str]:
        return ("happened", "timeout")

    def decide(
        self, group: Sequence[Walker], params: WaitForParams, place: Place, now: datetime
    ) -> Mapping[int, Result]:
        span = scaled(params.timeout)
        return {w.enrolment: _decide(w, params, w.arrived_at + span, now) for w in group}

    def longest(self, params: WaitForParams) -> timedelta:
        return scaled(params.timeout)

    def say(self, params: WaitForParams, language: str) -> str:
        span = format_duration(params.timeout)
        return say(f"Wait for “{params.fact}”, at most {span}", f"等待“{params.fact}”，最多 {span}", language)

    def awaits(self, params: WaitForParams) -> frozenset[str]:
        return frozenset({params.fact})

    def wants(self, params: WaitForParams, fact: Fact) -> bool:
        return fact.name == params.fact and passes(fact.properties, params.filter)


def _decide(walker: Walker, params: WaitForParams, deadline: datetime, now: datetime) -> Result:
    if walker.happened:
        return Go("happened", reason=f"fact:{walker.fact}")
    if not walker.arrived and now >= deadline:
        return Go("timeout")
    return Stay(deadline, awaiting=params.fact)
