"""An anonymous visitor turns out to be a known person: rows move, keep where they came from, and start nothing.

Facts keep their place and shard in the log, so no reader sees them again. Lifetime rows are counted anew, never
added up. Upper apps contribute handlers for what they keep about people. segments.unmerge is the way back: rows
return by their origin, and what was dropped or overwritten is kept in the row of the merge.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from common.faults import faultpoint
from common.registry import Registry
from segments.bulk import given, insert, update
from segments.facts.append import append_engine_facts
from segments.facts.names import MERGED
from segments.frozen import freeze, freeze_row
from segments.merge_pieces import Pair, TwoKnownPeople, begin, check, go_ahead, lock
from segments.models import EventStats, Membership, Merge, Profile, Scores
from segments.portrait import FIELDS, PORTRAIT, Portrait, fill_from, to_text

__all__ = ["Kept", "MergeHandler", "Pair", "TwoKnownPeople", "family", "handlers", "merge", "merge_many", "move_rows"]
MOVED = (
    "segments_identity", "segments_event", "segments_order", "segments_award", "segments_grant", "segments_coupon",
)  # fmt: skip  # each row remembers its `origin`
PAIR = (("gone", "bigint"), ("profile_id", "bigint"))
Kept = Mapping[int, Any]
AUDIT = (
    ("at", "timestamptz"), ("actor_name", "varchar"), ("action", "varchar"), ("subject", "varchar"),
    ("reason", "text"), ("detail", "jsonb"),
)  # fmt: skip
NOTE = (
    ("gone_id", "bigint"), ("into_id", "bigint"), ("at", "timestamptz"), ("actor_name", "varchar"),
    ("reason", "text"), ("kept", "jsonb"), ("finished_at", "timestamptz"), ("rows_moved", "bigint"),
    ("moved_at", "timestamptz"), ("undone_by", "varchar"),
)  # fmt: skip


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
    begin(pair, now=now, actor=actor, reason=reason, force=force)
    go_ahead(pair, now=now)
    faultpoint("before_merge_commit")
    with transaction.atomic():
        check(pair, force=force)
        merge_many([pair], now=now, actor=actor, reason=reason)


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
    Membership.rows.filter(profile__in=gone).delete()
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
    begun = Merge.objects.filter(gone__in=kept, undone_at=None)
    ahead = {gone: (rows, at) for gone, rows, at in begun.values_list("gone", "rows_moved", "moved_at")}
    if ahead:
        begun.delete()
    rows = [
        (
            pair.gone, pair.into, now, actor[:150], reason, to_text(kept[pair.gone]), now,
            *ahead.get(pair.gone, (0, None)), "",
        )
        for pair in pairs
    ]  # fmt: skip
    insert("segments_merge", NOTE, rows)


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
