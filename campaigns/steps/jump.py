"""Go on elsewhere in the flow, as a line that would cross others is better said than drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from campaigns.steps import Go, Place, Result, Step, Walker, steps
from common.params import Params
from common.text import say


class JumpParams(Params):
    """None: where it leads is its way out."""


@steps.register("jump")
class Jump(Step[JumpParams]):
    key: ClassVar[str] = "jump"
    Params = JumpParams

    def decide(self, group: Sequence[Walker], params: JumpParams, place: Place, now: datetime) -> Mapping[int, Result]:
        return {w.enrolment: Go() for w in group}

    def say(self, params: JumpParams, language: str) -> str:
        return say("Go to another step", "跳转到另一步骤", language)
