"""Put people on a list; whoever is on it already stays."""

from __future__ import annotations

from typing import ClassVar

from campaigns.steps import steps
from campaigns.steps._lists import ListParams, ListStep
from common.text import say


@steps.register("list_add")
class ListAdd(ListStep):
    key: ClassVar[str] = "list_add"
    kind: ClassVar[str] = "list_add"

    def say(self, params: ListParams, language: str) -> str:
        return say(f"Put on the list “{params.list}”", f"加入名单“{params.list}”", language)
