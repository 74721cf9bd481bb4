"""Memberships follow when two profiles become one, so that nobody enters twice what only changed its name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from segments.bulk import given
from segments.frozen import freeze, thaw
from segments.merge import Kept, MergeHandler, Pair, handlers
from segments.models import Membership

_FOLLOW = (
    "INSERT INTO segments_membership (segment_id, profile_id, entered_at)"
    " SELECT member.segment_id, given.tgt, MIN(member.entered_at) FROM segments_membership AS member"
    " JOIN {pairs} ON member.profile_id = given.frm GROUP BY member.segment_id, given.tgt"
    " ON CONFLICT (segment_id, profile_id) DO NOTHING"
)


@handlers.register("memberships")
class Memberships(MergeHandler):
    """The known person is a member where the visitor was; the refresh that follows the merge judges anew."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> Kept:
        into = {pair.gone: pair.into for pair in pairs}
        held = freeze(Membership.objects.filter(profile__in=into))
        if not held:
            return {}
        there = set(Membership.objects.filter(profile__in=into.values()).values_list("profile_id", "segment_id"))
        rows, params = given((("frm", "bigint"), ("tgt", "bigint")), [(pair.gone, pair.into) for pair in pairs])
        with connection.cursor() as cursor:
            cursor.execute(_FOLLOW.format(pairs=rows), params)
        kept: dict[int, Any] = {}
        for row in held:
            said = kept.setdefault(row["profile_id"], {"rows": [], "given": []})
            said["rows"].append(row)
            if (into[row["profile_id"]], row["segment_id"]) not in there:
                said["given"].append(row["segment_id"])
        return kept

    def restore(self, pair: Pair, kept: Any, *, now: datetime) -> None:
        """Both are members where they were, so that what follows is judged as a change and not as a first entry."""
        thaw(Membership, kept["rows"])
        Membership.objects.filter(profile=pair.into, segment__in=kept["given"]).delete()
