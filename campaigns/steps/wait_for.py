"""Wait for what happens first, at most so long: a way out for each thing awaited, and one for the time-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from campaigns.steps import Go, Place, Result, Stay, Step, Walker, steps
from campaigns.steps._pace import scaled
from common.params import Duration, Params, format_duration
from common.text import say
from segments.facts.fact import Fact
from segments.facts.filter import passes
from segments.facts.names import SEGMENT_ENTERED, SEGMENT_LEFT

HAPPENED, TIMEOUT = "happened", "timeout"


class Awaited(Params):
    """One thing that may happen: a fact whose properties pass `filter`, or coming into or leaving a segment."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    fact: str = Field(default="", max_length=200)
    filter: dict[str, Any] = Field(default_factory=dict)
    entered_segment: str = Field(default="", max_length=80)
    left_segment: str = Field(default="", max_length=80)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(map(bool, (self.fact, self.left_segment, self.entered_segment))) != 1:
            raise ValueError("say one of 'fact', 'left_segment' and 'entered_segment'")
        return self

    @property
    def listens(self) -> str:
        """The name of the fact it listens to."""
        return self.fact or (SEGMENT_LEFT if self.left_segment else SEGMENT_ENTERED)

    def is_it(self, fact: Fact) -> bool:
        segment = self.left_segment or self.entered_segment
        wanted = {**self.filter, **({"segment": segment} if segment else {})}
        return fact.name == self.listens and passes(fact.properties, wanted)


class WaitForParams(Params):
    """A `fact` whose properties pass `filter`, or several `branches`, each with a name (a port): the first in the log
    that is one of them wins. Or else the `timeout` (at the installation's pace)."""

    fact: str = Field(default="", max_length=200)
    filter: dict[str, Any] = Field(default_factory=dict)
    branches: tuple[Awaited, ...] = Field(default=(), max_length=20)
    timeout: Duration = Field(gt=timedelta(0))

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if bool(self.fact) == bool(self.branches):
            raise ValueError(say("say either one 'fact' or several 'branches'", "请填写一个 'fact' 或多个 'branches'"))
        names = [one.name for one in self.branches]
        if len(set(names)) < len(names) or TIMEOUT in names:
            raise ValueError(
                say(
                    "the names of branches must differ from each other and from 'timeout'",
                    "分支名称须互不相同，且不能为 'timeout'",
                )
            )
        return self

    @property
    def awaited(self) -> tuple[Awaited, ...]:
        return self.branches or (Awaited(name=HAPPENED, fact=self.fact, filter=self.filter),)


@steps.register("wait_for")
class WaitFor(Step[WaitForParams]):
    key: ClassVar[str] = "wait_for"
    waits: ClassVar[bool] = True
    Params = WaitForParams

    def ports(self, params: WaitForParams) -> Sequence[str]:
        return (*(one.name for one in params.awaited), TIMEOUT)

    def provides(self, params: WaitForParams, port: str) -> tuple[str, ...]:
        return () if port == TIMEOUT else ("happened",)

    def decide(
        self, group: Sequence[Walker], params: WaitForParams, place: Place, now: datetime
    ) -> Mapping[int, Result]:
        span = scaled(params.timeout)
        return {w.enrolment: _decide(w, params, w.arrived_at + span, now) for w in group}

    def longest(self, params: WaitForParams) -> timedelta:
        return scaled(params.timeout)

    def say(self, params: WaitForParams, language: str) -> str:
        span = format_duration(params.timeout)
        names = ["“" + (one.fact or one.name) + "”" for one in params.awaited]
        english, chinese = " or ".join(names), "或".join(names)
        return say(f"Wait for {english}, at most {span}", f"等待{chinese}，最多 {span}", language)

    def awaits(self, params: WaitForParams) -> frozenset[str]:
        return frozenset(one.listens for one in params.awaited)

    def wants(self, params: WaitForParams, fact: Fact) -> bool:
        return any(one.is_it(fact) for one in params.awaited)


def _decide(walker: Walker, params: WaitForParams, deadline: datetime, now: datetime) -> Result:
    heard = walker.heard
    if heard is not None:
        port = next(one.name for one in params.awaited if one.is_it(heard))
        return Go(port, reason=f"fact:{heard.id}")
    if not walker.arrived and now >= deadline:
        return Go(TIMEOUT)
    return Stay(deadline, awaiting="|".join(sorted({one.listens for one in params.awaited}))[:200])
