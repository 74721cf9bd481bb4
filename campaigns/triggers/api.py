"""Enter when a program says so: by POST to the journey, with variables of its own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from campaigns.triggers import Trigger, triggers
from common.params import Params
from common.text import say

Name = Annotated[str, Field(min_length=1, max_length=64)]


class ApiParams(Params):
    """`needs` names the variables without which nobody is let in; `key` is the one that tells runs apart."""

    needs: tuple[Name, ...] = Field(default=(), max_length=50)
    key: str = Field(default="", max_length=64)


@triggers.register("api")
class ApiTrigger(Trigger[ApiParams]):
    key: ClassVar[str] = "api"
    Params = ApiParams

    def provides(self, params: ApiParams) -> frozenset[str]:
        return frozenset({"event"})

    def say(self, params: ApiParams, language: str) -> str:
        needs = ", ".join(params.needs)
        text = say("When a program lets a person in", "当程序让用户进入时", language)
        return text + say(f" with {needs}", f"（带 {needs}）", language) if needs else text
