"""Enter when a person of the team says so: by hand, or with a file."""

from __future__ import annotations

from typing import ClassVar

from campaigns.triggers import Trigger, triggers
from common.params import Params
from common.text import say


class ManualParams(Params):
    """None: who enters is said each time."""


@triggers.register("manual")
class Manual(Trigger[ManualParams]):
    key: ClassVar[str] = "manual"
    Params = ManualParams

    def provides(self, params: ManualParams) -> frozenset[str]:
        return frozenset({"event"})

    def say(self, params: ManualParams, language: str) -> str:
        return say("When somebody of the team lets a person in", "当团队成员让用户进入时", language)
