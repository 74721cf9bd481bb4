"""Whether somebody is on a list that was put together by hand or from a file."""

from __future__ import annotations

from typing import Annotated

from django.db.models import Q
from pydantic import Field

from common.params import Params
from common.semijoin import by_key, has
from common.text import say
from segments.facts.names import LIST_ADDED, LIST_REMOVED
from segments.models.groups import ListMember, StaticList
from segments.rules.operators import At, Operator, Reads, operators
from segments.rules.operators._words import Text


class InListParams(Params):
    """The key of the list."""

    list: Annotated[Text, Field(json_schema_extra={"suggest": "staticlist"})]


@operators.register("in_list")
class InList(Operator[InListParams]):
    """Whoever is on it now; each change of a list is a fact about the person."""

    key = "in_list"
    family = "groups"
    profiling = False
    Params = InListParams

    def q(self, params: InListParams, at: At) -> Q:
        return has(ListMember.objects.filter(list=by_key(StaticList, params.list)), at.among)

    def say(self, params: InListParams, language: str) -> str:
        return say(f"is on the list “{params.list}”", f"在名单“{params.list}”中", language)

    def blank(self, params: InListParams) -> bool | None:
        return False

    def reads(self, params: InListParams) -> Reads:
        return Reads(facts=frozenset({LIST_ADDED, LIST_REMOVED}))

    def check(self, params: InListParams) -> list[str]:
        known = StaticList.objects.filter(key=params.list).exists()
        return [] if known else [f"no list has the key '{params.list}'"]
