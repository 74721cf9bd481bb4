"""An anonymous visitor turns out to be a known person: rows move, keep where they came from, and start nothing.

Facts keep their place and shard in the log, so no reader sees them again. Lifetime rows are counted anew, never
added up. Upper apps contribute handlers for what they keep about people. segments.unmerge is the way back: rows
return by their origin, and what was dropped or overwritten is kept in the row of the merge.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce

from common.faults import faultpoint
from common.registry import Registry
from segments.bulk import given, insert, update
from segments.facts.append import append_engine_facts
from segments.facts.names import MERGED
from segments.frozen import freeze, freeze_row
from segments.models import Event, EventStats, Identity, Membership, Merge, Order, Profile, Scores
from segments.portrait import FIELDS, PORTRAIT, Portrait, fill_from, to_text

MOVED = (
    "segments_identity", "segments_event", "segments_order", "segments_award", "segments_grant", "segments_coupon",
)  # fmt: skip  # each row remembers its `origin`
AHEAD = (Event, Order)  # of these a person may have very many
STEP = 2000
PAIR = (("gone", "bigint"), ("profile_id", "bigint"))
Kept = Mapping[int, Any]
AUDIT = (
    ("at", "timestamptz"), ("actor_name", "varchar"), ("action", "varchar"), ("subject", "varchar"),
    ("reason", "text"), ("detail", "jsonb"),
)  # fmt: skip


class TwoKnownPeople(ValueError):
    """Both profiles have a user id; joining them takes `force` and a reason."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The profile `gone` becomes part of `into` (ids)."""

    gone: int
    into: int


class MergeHandler(ABC):
    """Moves what one part of an app keeps about people. Set-based: called once for all pairs of a batch."""

    @abstractmethod
    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> Kept | None:
        """Move rows of each `gone` to its `into`, in the caller's transaction; several may share one `into`.

        Returns, by `gone`, the JSON that `restore` will need: what had to be dropped or changed beside moving.
        """

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:  # noqa: B027 - nothing to move back is common
        """Move back what can be told apart; by default nothing. `into` is whom the person belongs to by now."""

    def restore(self, pair: Pair, kept: Any, *, now: datetime) -> None:  # noqa: B027 - nothing kept is common
        """After `undo`: bring back what `merge` said it dropped, unless something has taken its place."""


handlers: Registry[MergeHandler] = Registry("merge handlers", "segments")


def merge(gone: Profile, into: Profile, *, now: datetime, actor: str, reason: str, force: bool = False) -> None:
    """Join two profiles by hand. Raises TwoKnownPeople unless `force`, ValueError for a profile that is gone.

    Facts and orders go ahead in short transactions; one that was interrupted is finished by the same call.
    """
    pair = Pair(gone.pk, into.pk)
    with transaction.atomic():
        check(pair, force=force)
        begun = Merge.objects.filter(gone=gone, undone_at=None).first()
        if begun is None:
            Merge.objects.create(gone=gone, into=into, at=now, actor_name=actor[:150], reason=reason)
        elif begun.into_id != into.pk:
            raise ValueError("this profile is on its way to another; undo that first")
    for model in AHEAD:
        _go_ahead(model, pair)
    faultpoint("before_merge_commit")
    with transaction.atomic():
        check(pair, force=force)
        merge_many([pair], now=now, actor=actor, reason=reason)


def check(pair: Pair, *, force: bool) -> None:
    """Lock both and make sure that they may be joined. Raises TwoKnownPeople or ValueError."""
    rows = lock([pair]).values()
    if len(rows) != 2 or any(row.merged_into_id or row.erased_at for row in rows):
        raise ValueError("both profiles must be alive and different")
    known = Identity.objects.filter(profile__in=rows, kind=Identity.Kind.USER).values("profile").distinct()
    if known.count() == 2 and not force:
        raise TwoKnownPeople(" and ".join(str(row.public_id) for row in rows) + " both have a user id")


def merge_many(pairs: Sequence[Pair], *, now: datetime, actor: str, reason: str) -> None:
    """Join many, in a constant number of statements. Call inside a transaction; the pairs are not judged here."""
    if not pairs:
        return
    profiles = lock(pairs)
    rows = [(pair.gone, pair.into) for pair in pairs]
    gone = [pair.gone for pair in pairs]
    kept: dict[int, dict[str, Any]] = {pk: {} for pk in gone}
    for table in MOVED:
        move_rows(table, pairs)
    for key, handler in handlers.items():
        for pk, said in (handler.merge(pairs, now=now) or {}).items():
            kept[pk][key] = said
    for row in freeze(Scores.objects.filter(profile__in=gone)):
        kept[row["profile_id"]]["scores"] = row
    Membership.objects.filter(profile__in=gone).delete()
    Scores.objects.filter(profile__in=gone).delete()
    rebuild_stats({person for pair in pairs for person in (pair.gone, pair.into)})
    for pk, filled in _fill(pairs, profiles).items():
        kept[pk]["filled"] = filled
    update("segments_profile", (("id", "bigint"), ("merged_into_id", "bigint")), rows)
    _note(pairs, kept, now=now, actor=actor, reason=reason)
    _tell(pairs, profiles, now=now, actor=actor, reason=reason)


def rebuild_stats(profile_ids: set[int]) -> None:
    """Count the lifetime rows of these people anew from their facts."""
    EventStats.objects.filter(profile__in=profile_ids).delete()
    source, params = given((("id", "bigint"),), [(pk,) for pk in sorted(profile_ids)])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO segments_eventstats (profile_id, name, first_at, last_at, count, amount)"
            " SELECT profile_id, name, MIN(occurred_at), MAX(occurred_at), COUNT(*), SUM(value)"
            f" FROM segments_event WHERE profile_id IN (SELECT given.id FROM {source})"
            " AND kind <> 'system' GROUP BY profile_id, name",
            params,
        )


def unknown_only(profile_ids: Sequence[int]) -> set[int]:
    """Those of the profiles that still have no user id and are neither merged nor erased."""
    users = Identity.objects.filter(profile=OuterRef("pk"), kind=Identity.Kind.USER)
    rows = Profile.objects.filter(pk__in=profile_ids, merged_into=None, erased_at=None).exclude(Exists(users))
    return set(rows.values_list("pk", flat=True))


def lock(pairs: Sequence[Pair]) -> dict[int, Profile]:
    """All profiles of the pairs, locked in the order of their ids."""
    people = {person for pair in pairs for person in (pair.gone, pair.into)}
    rows = Profile.objects.filter(pk__in=people).order_by("pk").select_for_update(no_key=True)
    return {row.pk: row for row in rows}


def _go_ahead(model: type[Any], pair: Pair) -> None:
    """Move a model's rows a piece at a time, each in a transaction of its own under both locks."""
    ids = list(model._default_manager.filter(profile=pair.gone).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(ids) - STEP, STEP):  # the last piece goes with the merge itself
        with transaction.atomic():
            lock([pair])
            rows = model._default_manager.filter(pk__in=ids[start : start + STEP], profile=pair.gone)
            rows.update(profile=pair.into, origin=Coalesce(F("origin"), F("profile_id")))


def move_rows(table: str, pairs: Sequence[Pair]) -> None:
    """All rows of each `gone` become rows of its `into` and remember whose they were, in one statement."""
    rows = [(pair.gone, pair.into) for pair in pairs]
    kept = f"origin = COALESCE({table}.origin, {table}.profile_id)"
    update(table, PAIR, rows, key="profile_id", also=kept)


def family(profile_id: int) -> set[int]:
    """The profile and all that were merged into it, directly or not."""
    found, layer = {profile_id}, {profile_id}
    while layer:
        layer = set(Profile.objects.filter(merged_into__in=layer).values_list("pk", flat=True)) - found
        found |= layer
    return found


def _fill(pairs: Sequence[Pair], profiles: dict[int, Profile]) -> dict[int, Any]:
    """What only the visitor had said fills the known person's gaps; returns by visitor what was there before."""

    def draw(row: Profile) -> Portrait:
        values = {name: getattr(row, name) for name in FIELDS}
        return Portrait(**{**values, "traits": to_text(row.traits)})

    drawn = {pk: draw(row) for pk, row in profiles.items()}
    filled = {}
    for pair in pairs:
        before, drawn[pair.into] = drawn[pair.into], fill_from(drawn[pair.into], drawn[pair.gone])
        filled[pair.gone] = _changes(before, drawn[pair.into])
    people = sorted({pair.into for pair in pairs})
    update("segments_profile", (("id", "bigint"), *PORTRAIT), [(pk, *drawn[pk]) for pk in people])
    return filled


def _changes(before: Portrait, after: Portrait) -> dict[str, Any]:
    """Columns that changed, with what they held; of the traits the names that came."""
    was, now = before._asdict(), after._asdict()
    columns = {name: was[name] for name in FIELDS if was[name] != now[name] and name != "traits"}
    names = sorted(set(json.loads(after.traits)) - set(json.loads(before.traits)))
    said = {"columns": columns, "after": {name: now[name] for name in columns}}
    return {name: freeze_row(row) for name, row in said.items()} | {"traits": names}


def _note(pairs: Sequence[Pair], kept: dict[int, dict[str, Any]], *, now: datetime, actor: str, reason: str) -> None:
    """One row for each merge, in place of the one that said it had begun."""
    Merge.objects.filter(gone__in=kept, undone_at=None).delete()
    Merge.objects.bulk_create(
        [
            Merge(
                gone_id=pair.gone, into_id=pair.into, at=now, actor_name=actor[:150], reason=reason,
                kept=kept[pair.gone], finished_at=now,
            )
            for pair in pairs
        ]
    )  # fmt: skip


def _tell(pairs: Sequence[Pair], profiles: dict[int, Profile], *, now: datetime, actor: str, reason: str) -> None:
    audit("person.merge", pairs, profiles, now=now, actor=actor, reason=reason)
    append_engine_facts(
        [
            (
                pair.into,
                profiles[pair.into].shard,
                MERGED,
                f"merged:{pair.gone}:{pair.into}:{now.isoformat()}",
                {"from": str(profiles[pair.gone].public_id)},
            )
            for pair in pairs
        ],
        now=now,
    )


def audit(action: str, pairs: Iterable[Pair], profiles: Mapping[int, Profile], **said: Any) -> None:
    """One entry of the audit log for each pair, in one statement."""
    rows = [
        (
            said["now"],
            said["actor"],
            action,
            f"person:{profiles[pair.into].public_id}",
            said["reason"],
            to_text({"from": str(profiles[pair.gone].public_id), "gone": pair.gone, "into": pair.into}),
        )
        for pair in pairs
    ]
    insert("common_auditentry", AUDIT, rows)
