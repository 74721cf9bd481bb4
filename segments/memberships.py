"""Memberships follow when two profiles become one, so that nobody enters twice what only changed its name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from segments.bulk import given
from segments.merge import MergeHandler, Pair, handlers

_FOLLOW = (
    "INSERT INTO segments_membership (segment_id, profile_id, entered_at)"
    " SELECT member.segment_id, given.tgt, MIN(member.entered_at) FROM segments_membership AS member"
    " JOIN {pairs} ON member.profile_id = given.frm GROUP BY member.segment_id, given.tgt"
    " ON CONFLICT (segment_id, profile_id) DO NOTHING"
)


@handlers.register("memberships")
class Memberships(MergeHandler):
    """The known person is a member where the visitor was; the refresh that follows the merge judges anew."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        rows, params = given((("frm", "bigint"), ("tgt", "bigint")), [(pair.gone, pair.into) for pair in pairs])
        with connection.cursor() as cursor:
            cursor.execute(_FOLLOW.format(pairs=rows), params)
