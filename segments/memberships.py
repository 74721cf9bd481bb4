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
    "INSERT INTO segments_membership (segment_id, profile_id, entered_at, counts_from)"
    " SELECT held.segment_id, given.tgt, MIN(held.entered_at), MIN(held.counts_from) FROM segments_membership AS held"
    " JOIN segments_segment AS segment ON segment.id = held.segment_id"
    " JOIN {pairs} ON held.profile_id = given.frm"
    " WHERE held.counts_from <= segment.generation"
    " AND (held.counts_until IS NULL OR held.counts_until > segment.generation)"
    " GROUP BY held.segment_id, given.tgt"
    " ON CONFLICT (segment_id, profile_id) DO UPDATE SET counts_from = excluded.counts_from, counts_until = NULL"
    " WHERE segments_membership.counts_from > excluded.counts_from OR segments_membership.counts_until IS NOT NULL"
)


@handlers.register("memberships")
class Memberships(MergeHandler):
    """The known person is a member where the visitor was; the refresh that follows the merge judges anew. What a build
    has written ahead of the visitor does not follow."""

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
            said["rows"].append({**row, "counts_from": 0, "counts_until": None})
            if (into[row["profile_id"]], row["segment_id"]) not in there:
                said["given"].append(row["segment_id"])
        return kept

    def restore(self, pair: Pair, kept: Any, *, now: datetime) -> None:
        """Both are members where they were, so that what follows is judged as a change and not as a first entry."""
        thaw(Membership, kept["rows"])
        Membership.rows.filter(profile=pair.into, segment__in=kept["given"]).delete()
