"""Branch by rules: the first rule that a person meets decides the way, else `else`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from campaigns.steps import Go, Place, Result, Step, Walker, steps
from common.params import Invalid, Params, Problem
from common.text import say
from segments.rules.compile import matching
from segments.rules.operators import At
from segments.rules.parse import check_rule, parse_rule

ELSE = "else"


class Way(Params):
    """One way out: its name (a port) and the rule that leads to it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    rule: dict[str, Any]


class BranchParams(Params):
    """`branches` are asked in order."""

    branches: tuple[Way, ...] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [way.name for way in self.branches]
        if len(set(names)) < len(names) or ELSE in names:
            raise ValueError("the names of branches must differ from each other and from 'else'")
        return self


@steps.register("branch")
class Branch(Step[BranchParams]):
    key: ClassVar[str] = "branch"
    Params = BranchParams

    def ports(self, params: BranchParams) -> Sequence[str]:
        return (*(way.name for way in params.branches), ELSE)

    def decide(
        self, group: Sequence[Walker], params: BranchParams, place: Place, now: datetime
    ) -> Mapping[int, Result]:
        at = At(now, ZoneInfo(place.zone))
        ports: dict[int, str] = {}
        for way in params.branches:
            asked = {w.profile for w in group if w.enrolment not in ports}
            met = matching(parse_rule(way.rule), asked, at) if asked else set()
            ports.update({w.enrolment: way.name for w in group if w.profile in met and w.enrolment not in ports})
        return {w.enrolment: Go(ports.get(w.enrolment, ELSE)) for w in group}

    def say(self, params: BranchParams, language: str) -> str:
        names = ", ".join(way.name for way in params.branches)
        return say(f"Branch: {names}", f"分支：{names}", language)

    def check(self, params: BranchParams) -> Sequence[Problem]:
        return [
            problem for n, way in enumerate(params.branches) for problem in _wrong(way, f"params.branches.{n}.rule")
        ]


def _wrong(way: Way, path: str) -> list[Problem]:
    """What is wrong with the rule of a way, each with its place below `path`."""
    try:
        found = check_rule(parse_rule(way.rule))
    except Invalid as error:
        found = error.problems
    return [Problem(f"{path}.{one.path}".rstrip("."), one.message) for one in found]
