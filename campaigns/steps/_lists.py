"""What putting people on a list and taking them off it have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from pydantic import Field

from campaigns.steps import Go, Intent, Place, Result, Step, Walker
from campaigns.steps._keys import intent_key
from common.params import Params
from common.text import say
from segments.models.groups import StaticList


class ListParams(Params):
    """`list` is the key of a list of people."""

    list: str = Field(min_length=1, max_length=80)


class ListStep(Step[ListParams]):
    """A step that changes who is on a list; `kind` names the intent."""

    kind: ClassVar[str]
    Params = ListParams

    def decide(self, group: Sequence[Walker], params: ListParams, place: Place, now: datetime) -> Mapping[int, Result]:
        detail = {"list": params.list}
        return {w.enrolment: Go(intents=(Intent(self.kind, intent_key(w, self.kind), detail),)) for w in group}

    def check(self, params: ListParams) -> list[str]:
        if StaticList.objects.filter(key=params.list).exists():
            return []
        return [say(f"there is no list '{params.list}'", f"没有名单 '{params.list}'")]
