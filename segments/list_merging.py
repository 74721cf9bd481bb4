"""Lists follow when two profiles become one: the known person is on every list that the visitor was on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce

from segments.bulk import insert
from segments.lists import MEMBER
from segments.merge import MergeHandler, Pair, handlers
from segments.models.groups import ListMember, StaticList

KEY = "list_id, profile_id"


@handlers.register("lists")
class Lists(MergeHandler):
    """The refresh that follows a merge judges both anew, so no list states a fact here."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> Mapping[int, Any]:
        into = {pair.gone: pair.into for pair in pairs}
        rows = ListMember.objects.filter(profile__in=into)
        held = list(rows.order_by("pk").values_list("list_id", "profile_id", "added_at"))
        if not held:
            return {}
        new = _put([(on, into[person], at) for on, person, at in held])
        rows.delete()
        _count({on for on, _, _ in held})
        kept: dict[int, Any] = {}
        for on, person, _ in held:
            said = kept.setdefault(person, {"lists": [], "given": []})
            said["lists"].append(on)
            if (on, into[person]) in new:
                said["given"].append(on)
        return kept

    def restore(self, pair: Pair, kept: Any, *, now: datetime) -> None:
        """Each is on the lists again that they were on, as far as these still exist."""
        there = list(StaticList.objects.filter(pk__in=kept["lists"]).values_list("pk", flat=True))
        _put([(on, pair.gone, now) for on in there])
        ListMember.objects.filter(profile=pair.into, list__in=kept["given"]).delete()
        _count(there)


def _put(rows: Sequence[tuple[int, int, datetime]]) -> set[tuple[int, int]]:
    """Add (list, profile, since) where missing; returns those that were."""
    first = {(on, person): (on, person, at) for on, person, at in reversed(rows)}
    if not first:
        return set()
    conflict = f"({KEY}) DO NOTHING"
    new = insert("segments_listmember", MEMBER, list(first.values()), conflict=conflict, returning=KEY)
    return {(int(on), int(person)) for on, person in new}


def _count(lists: Collection[int]) -> None:
    """Count the people on these lists anew."""
    rows = ListMember.objects.filter(list=OuterRef("pk")).order_by().values("list")
    counted = Subquery(rows.annotate(people=Count("pk")).values("people"))
    StaticList.objects.filter(pk__in=lists).update(size=Coalesce(counted, 0))
