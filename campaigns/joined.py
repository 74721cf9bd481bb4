"""When two profiles prove to be one person, their touches and conversions join, and credit is worked out anew.

An anonymous visitor's landing is often a known person's click: once joined, it is the same touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from campaigns.credit import recredit
from campaigns.models import Conversion, Touch
from campaigns.touches import absorb_visits, conversions_after
from segments.bulk import given
from segments.merge import MergeHandler, Pair, handlers
from segments.models import Profile

COLUMNS = (("frm", "bigint"), ("tgt", "bigint"))
TABLES = (Touch._meta.db_table, Conversion._meta.db_table)


@handlers.register("credit")
class JoinCredit(MergeHandler):
    """Moves touches and conversions, each remembering its origin; nothing is counted twice."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        gone = {pair.gone: pair.into for pair in pairs}
        touches = [
            (gone[who], at) for who, at in Touch.objects.filter(profile__in=gone).values_list("profile_id", "at")
        ]
        converted = list(Conversion.objects.filter(profile__in=gone).values_list("pk", flat=True))
        if not touches and not converted:
            return
        source, params = given(COLUMNS, sorted(gone.items()))
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(
                    f"UPDATE {table} SET profile_id = given.tgt, origin = COALESCE({table}.origin, {table}.profile_id)"
                    f" FROM {source} WHERE {table}.profile_id = given.frm",
                    params,
                )
        absorbed = absorb_visits(set(gone.values()), [at for _, at in touches])
        recredit({*converted, *conversions_after([*touches, *absorbed])}, now=now)

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        for pair in pairs:
            mine = {"profile": pair.into, "origin__in": _family(pair.gone)}
            Touch.objects.filter(**mine).update(profile=pair.gone)
            Conversion.objects.filter(**mine).update(profile=pair.gone)
            for model in (Touch, Conversion):
                model._default_manager.filter(profile=pair.gone, origin=pair.gone).update(origin=None)
            both = Conversion.objects.filter(profile__in=[pair.gone, pair.into])
            recredit(both.values_list("pk", flat=True), now=now)


def _family(profile: int) -> set[int]:
    """The profile and all that were merged into it, directly or not."""
    found, layer = {profile}, {profile}
    while layer:
        layer = set(Profile.objects.filter(merged_into__in=layer).values_list("pk", flat=True)) - found
        found |= layer
    return found
