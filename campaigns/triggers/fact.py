"""Enter when a fact arrives."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from campaigns.triggers import Entry, Trigger, triggers
from campaigns.triggers._cause import entry_of
from common.params import Params
from common.text import say
from segments.facts.fact import Fact
from segments.facts.filter import passes


class FactParams(Params):
    """A fact named `fact` whose properties pass `filter`; `key` is a property that tells runs apart."""

    fact: str = Field(min_length=1, max_length=200)
    filter: dict[str, Any] = Field(default_factory=dict)
    key: str = Field(default="", max_length=100)


@triggers.register("fact")
class FactTrigger(Trigger[FactParams]):
    key: ClassVar[str] = "fact"
    Params = FactParams

    def facts(self, params: FactParams) -> frozenset[str]:
        return frozenset({params.fact})

    def match(self, params: FactParams, fact: Fact) -> Entry | None:
        if fact.name != params.fact or not passes(fact.properties, params.filter):
            return None
        run_key = str(fact.properties.get(params.key, ""))[:120] if params.key else ""
        return entry_of(fact, run_key=run_key)

    def say(self, params: FactParams, language: str) -> str:
        text = say(f"When “{params.fact}” happens", f"当发生“{params.fact}”时", language)
        return f"{text} {params.filter}" if params.filter else text
