"""Take people off a list; whoever is not on it stays so."""

from __future__ import annotations

from typing import ClassVar

from campaigns.steps import steps
from campaigns.steps._lists import ListParams, ListStep
from common.text import say


@steps.register("list_remove")
class ListRemove(ListStep):
    key: ClassVar[str] = "list_remove"
    kind: ClassVar[str] = "list_remove"

    def say(self, params: ListParams, language: str) -> str:
        return say(f"Take off the list “{params.list}”", f"移出名单“{params.list}”", language)
