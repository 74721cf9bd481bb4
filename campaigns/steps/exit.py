"""The end of a walk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from pydantic import Field

from campaigns.steps import End, Place, Result, Step, Walker, steps
from common.params import Params
from common.text import say


class ExitParams(Params):
    """`reason` is shown on the person's timeline."""

    reason: str = Field(default="", max_length=200)


@steps.register("exit")
class Exit(Step[ExitParams]):
    key: ClassVar[str] = "exit"
    Params = ExitParams

    def ports(self, params: ExitParams) -> Sequence[str]:
        return ()

    def decide(self, group: Sequence[Walker], params: ExitParams, place: Place, now: datetime) -> Mapping[int, Result]:
        return {w.enrolment: End("completed", params.reason) for w in group}

    def say(self, params: ExitParams, language: str) -> str:
        end = say("End", "结束", language)
        return f"{end}: {params.reason}" if params.reason else end
