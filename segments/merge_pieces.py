"""What a large profile has goes ahead of its merge: a piece at a time, each in a short transaction of its own.

The row of the merge says that it has begun and how far it has come. Whoever is killed on the way leaves it there: the
same merge goes on where it stood, and the timetable finishes what nobody comes back for (segments.unfinished).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce

from common.faults import faultpoint
from common.semijoin import among
from segments.bulk import given
from segments.models import Event, Identity, Merge, Order, Profile

AHEAD = (Event, Order)  # of these a person may have very many
STEP = 2000
MOST = 3 * STEP  # rows that the merges of one transaction move


class TwoKnownPeople(ValueError):
    """Both profiles have a user id; joining them takes `force` and a reason."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The profile `gone` becomes part of `into` (ids)."""

    gone: int
    into: int


def lock(pairs: Sequence[Pair]) -> dict[int, Profile]:
    """All profiles of the pairs, locked in the order of their ids."""
    people = {person for pair in pairs for person in (pair.gone, pair.into)}
    rows = Profile.objects.filter(pk__in=people).order_by("pk").select_for_update(no_key=True)
    return {row.pk: row for row in rows}


def check(pair: Pair, *, force: bool) -> None:
    """Lock both and make sure that they may be joined. Raises TwoKnownPeople or ValueError."""
    rows = lock([pair]).values()
    if len(rows) != 2 or any(row.merged_into_id or row.erased_at for row in rows):
        raise ValueError("both profiles must be alive and different")
    known = Identity.objects.filter(profile__in=rows, kind=Identity.Kind.USER).values("profile").distinct()
    if known.count() == 2 and not force:
        raise TwoKnownPeople(" and ".join(str(row.public_id) for row in rows) + " both have a user id")


def unknown_only(profile_ids: Sequence[int]) -> set[int]:
    """Those of the profiles that still have no user id and are neither merged nor erased."""
    users = Identity.objects.filter(profile=OuterRef("pk"), kind=Identity.Kind.USER)
    rows = Profile.objects.filter(pk__in=profile_ids, merged_into=None, erased_at=None).exclude(Exists(users))
    return set(rows.values_list("pk", flat=True))


def too_large(pairs: Sequence[Pair]) -> list[Pair]:
    """Those whose facts must go ahead, so that what is left of all moves at most MOST rows; one query."""
    if not pairs:
        return []
    sql, params = given((("id", "bigint"),), [(pair.gone,) for pair in pairs])
    with connection.cursor() as cursor:
        cursor.execute(_SIZES.format(given=sql), params)
        sizes = dict(cursor.fetchall())
    total, found = sum(sizes.values()), []
    for pair in sorted(pairs, key=lambda pair: -sizes[pair.gone]):
        if total <= MOST:
            break
        total -= sizes[pair.gone]
        found.append(pair)
    return found


_SIZES = (  # counted no further than tells that it is too many
    "SELECT given.id, (SELECT count(*) FROM (SELECT 1 FROM segments_event e WHERE e.profile_id = given.id"
    f" LIMIT {MOST + 1}) AS counted) FROM {{given}}"
)


def begin(pair: Pair, *, now: datetime, actor: str, reason: str, force: bool = False) -> Merge:
    """The row of a merge that goes in pieces, made or found. Raises TwoKnownPeople, or ValueError for a profile that
    is gone or on its way to somebody else."""
    with transaction.atomic():
        check(pair, force=force)
        begun = Merge.objects.filter(gone=pair.gone, undone_at=None).first()
        if begun is None:
            return Merge.objects.create(
                gone_id=pair.gone, into_id=pair.into, at=now, actor_name=actor[:150], reason=reason
            )
        if begun.into_id != pair.into:
            raise ValueError("this profile is on its way to another; undo that first")
        return begun


def go_ahead(pair: Pair, *, now: datetime) -> None:
    """Move facts and orders until less than a piece is left: that goes with the merge itself."""
    for model in AHEAD:
        while _piece(model, pair, now=now):
            faultpoint("merge.piece")


def _piece(model: type[Any], pair: Pair, *, now: datetime) -> bool:
    """Move one piece, under both locks; returns whether there was a whole one."""
    with transaction.atomic():
        if any(row.merged_into_id or row.erased_at for row in lock([pair]).values()):
            return False  # somebody else has finished it, or erased one of them
        rows = model._default_manager.filter(profile=pair.gone)
        ids = list(rows.values_list("pk", flat=True)[:STEP])
        if len(ids) < STEP:
            return False
        origin = Coalesce(F("origin"), F("profile_id"))
        moved = rows.filter(among("pk", ids)).update(profile=pair.into, origin=origin)
        open_one = Merge.objects.filter(gone=pair.gone, undone_at=None, finished_at=None)
        open_one.update(rows_moved=F("rows_moved") + moved, moved_at=now)
    return True
