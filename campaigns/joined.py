"""When two profiles prove to be one person, their touches and conversions join, and credit is worked out anew.

An anonymous visitor's landing is often a known person's click: once joined, it is the same touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from campaigns.credit import recredit
from campaigns.models import Conversion, Touch
from campaigns.touches import SAME_VISIT, absorb_visits, conversions_after
from segments.frozen import freeze, thaw
from segments.merge import Kept, MergeHandler, Pair, family, handlers, move_rows
from segments.unmerge import return_rows

TABLES = (Touch._meta.db_table, Conversion._meta.db_table)


@handlers.register("credit")
class JoinCredit(MergeHandler):
    """Moves touches and conversions, each remembering its origin; nothing is counted twice."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> Kept | None:
        gone = {pair.gone: pair.into for pair in pairs}
        touches = [
            (gone[who], at) for who, at in Touch.objects.filter(profile__in=gone).values_list("profile_id", "at")
        ]
        converted = list(Conversion.objects.filter(profile__in=gone).values_list("pk", flat=True))
        if not touches and not converted:
            return None
        near = _near({*gone, *gone.values()}, [at for _, at in touches])
        for table in TABLES:
            move_rows(table, pairs)
        absorbed = absorb_visits(set(gone.values()), [at for _, at in touches])
        recredit({*converted, *conversions_after([*touches, *absorbed])}, now=now)
        return _lost(near, pairs)

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        for pair in pairs:
            origins = family(pair.gone)
            for table in TABLES:
                return_rows(table, pair, origins)
            _credit_both(pair, now=now)

    def restore(self, pair: Pair, kept: Any, *, now: datetime) -> None:
        """Visits that were taken for the landing of the other's click are visits again."""
        thaw(Touch, kept)
        _credit_both(pair, now=now)


def _credit_both(pair: Pair, *, now: datetime) -> None:
    both = Conversion.objects.filter(profile__in=[pair.gone, pair.into])
    recredit(both.values_list("pk", flat=True), now=now)


def _near(people: set[int], times: Sequence[datetime]) -> list[dict[str, Any]]:
    """The visits that joining may absorb, as they are before."""
    if not times:
        return []
    rows = Touch.objects.filter(profile__in=people, kind=Touch.Kind.VISIT)
    return freeze(rows.filter(at__gte=min(times) - SAME_VISIT, at__lte=max(times) + SAME_VISIT))


def _lost(near: Sequence[dict[str, Any]], pairs: Sequence[Pair]) -> Kept:
    """By merged profile, the visits that are there no more."""
    there = set(Touch.objects.filter(pk__in=[row["id"] for row in near]).values_list("pk", flat=True))
    whose = {pair.into: pair.gone for pair in pairs} | {pair.gone: pair.gone for pair in pairs}
    kept: dict[int, Any] = {}
    for row in near:
        if row["id"] not in there:
            kept.setdefault(whose[row["profile_id"]], []).append(row)
    return kept
