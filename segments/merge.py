"""An anonymous visitor turns out to be a known person: rows move, keep where they came from, and start nothing.

Facts keep their place and shard in the log, so no reader sees them again. Lifetime rows are counted anew, never
added up. Upper apps contribute handlers for what they keep about people. `undo` is the way back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from common.registry import Registry
from segments.bulk import given, insert, update
from segments.facts.append import append_engine_facts
from segments.facts.names import MERGED
from segments.models import EventStats, Identity, Membership, Profile, Scores
from segments.portrait import FIELDS, PORTRAIT, Portrait, fill_from, to_text

MOVED = ("segments_identity", "segments_event", "segments_order")  # each row remembers its `origin`
FOLLOW = ("segments_award", "segments_grant", "segments_coupon")
PAIR = (("frm", "bigint"), ("tgt", "bigint"))
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
    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        """Move rows of each `gone` to its `into`, in the caller's transaction; several may share one `into`."""

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:  # noqa: B027 - nothing to move back is common
        """Move back what can be told apart; by default nothing."""


handlers: Registry[MergeHandler] = Registry("merge handlers", "segments")


def merge(gone: Profile, into: Profile, *, now: datetime, actor: str, reason: str, force: bool = False) -> None:
    """Join two profiles by hand. Raises TwoKnownPeople unless `force`, ValueError for a profile that is gone."""
    if gone.pk == into.pk or gone.merged_into_id or into.merged_into_id or gone.erased_at or into.erased_at:
        raise ValueError("both profiles must be alive and different")
    known = Identity.objects.filter(profile__in=[gone, into], kind=Identity.Kind.USER).values("profile").distinct()
    if known.count() == 2 and not force:
        raise TwoKnownPeople(f"{gone.public_id} and {into.public_id} both have a user id")
    with transaction.atomic():
        merge_many([Pair(gone.pk, into.pk)], now=now, actor=actor, reason=reason)


def merge_many(pairs: Sequence[Pair], *, now: datetime, actor: str, reason: str) -> None:
    """Join many, in a constant number of statements. Call inside a transaction; the pairs are not judged here."""
    if not pairs:
        return
    profiles = _lock(pairs)
    rows = [(pair.gone, pair.into) for pair in pairs]
    for table in MOVED:
        _move(table, rows, origin=True)
    for table in FOLLOW:
        _move(table, rows, origin=False)
    _move_points(rows)
    for handler in handlers:
        handler.merge(pairs, now=now)
    Membership.objects.filter(profile__in=[pair.gone for pair in pairs]).delete()
    Scores.objects.filter(profile__in=[pair.gone for pair in pairs]).delete()
    rebuild_stats({person for pair in pairs for person in (pair.gone, pair.into)})
    _fill(pairs, profiles)
    update("segments_profile", (("id", "bigint"), ("merged_into_id", "bigint")), rows)
    _tell(pairs, profiles, now=now, actor=actor, reason=reason)


def undo(gone: Profile, *, now: datetime, actor: str, reason: str) -> None:
    """The way back: identities, facts and orders that came from `gone` return to it. Raises ValueError if not merged.

    Points, badges and coupons stay where they are: they may have been spent since.
    """
    if gone.merged_into_id is None:
        raise ValueError(f"{gone.public_id} was not merged")
    pair = Pair(gone.pk, gone.merged_into_id)
    with transaction.atomic():
        profiles = _lock([pair])
        origins = _family(gone.pk)
        for table in MOVED:
            _return(table, pair, origins)
        for handler in handlers:
            handler.undo([pair], now=now)
        rebuild_stats({pair.gone, pair.into})
        Profile.objects.filter(pk=gone.pk).update(merged_into=None)
        _audit("person.unmerge", [pair], profiles, now=now, actor=actor, reason=reason)
        stamp = now.isoformat()
        said = {"undone": str(profiles[pair.gone].public_id)}
        append_engine_facts(
            [(pk, profiles[pk].shard, MERGED, f"unmerged:{pair.gone}:{pk}:{stamp}", said) for pk in profiles], now=now
        )


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


def _lock(pairs: Sequence[Pair]) -> dict[int, Profile]:
    """All profiles of the pairs, locked in the order of their ids."""
    people = {person for pair in pairs for person in (pair.gone, pair.into)}
    rows = Profile.objects.filter(pk__in=people).order_by("pk").select_for_update(no_key=True)
    return {row.pk: row for row in rows}


def _move(table: str, rows: Sequence[tuple[int, int]], *, origin: bool) -> None:
    source, params = given(PAIR, rows)
    sets = "profile_id = given.tgt" + (f", origin = COALESCE({table}.origin, {table}.profile_id)" if origin else "")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {sets} FROM {source} WHERE {table}.profile_id = given.frm", params)


def _return(table: str, pair: Pair, origins: set[int]) -> None:
    """Rows whose origin lies in the family go back; what was the profile's own forgets its origin."""
    source, params = given((("id", "bigint"),), [(pk,) for pk in sorted(origins)])
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET profile_id = %s, origin = CASE WHEN origin = %s THEN NULL ELSE origin END"
            f" FROM {source} WHERE {table}.origin = given.id AND {table}.profile_id = %s",
            [pair.gone, pair.gone, *params, pair.into],
        )


def _family(profile_id: int) -> set[int]:
    """The profile and all that were merged into it, directly or not."""
    found, layer = {profile_id}, {profile_id}
    while layer:
        layer = set(Profile.objects.filter(merged_into__in=layer).values_list("pk", flat=True)) - found
        found |= layer
    return found


def _move_points(rows: Sequence[tuple[int, int]]) -> None:
    """Ledger entries go to the known person's wallet; both balances are summed anew."""
    source, params = given(PAIR, rows)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT given.frm, given.tgt FROM {source} JOIN segments_wallet"
            " ON segments_wallet.profile_id = given.frm",
            params,
        )
        found = [(int(frm), int(tgt)) for frm, tgt in cursor.fetchall()]
        if not found:
            return
        columns = (("profile_id", "bigint"), ("balance", "bigint"), ("earned", "bigint"))
        wallets = sorted({(tgt, 0, 0) for _, tgt in found})
        insert("segments_wallet", columns, wallets, conflict="(profile_id) DO NOTHING")
        source, params = given(PAIR, found)
        cursor.execute(
            f"UPDATE segments_pointentry SET wallet_id = given.tgt FROM {source} WHERE wallet_id = given.frm", params
        )
        ids, params = given((("id", "bigint"),), [(pk,) for pk in sorted({pk for pair in found for pk in pair})])
        cursor.execute(
            "UPDATE segments_wallet SET balance = (SELECT COALESCE(SUM(sign * amount), 0) FROM segments_pointentry"
            f" WHERE wallet_id = segments_wallet.profile_id) FROM {ids} WHERE segments_wallet.profile_id = given.id",
            params,
        )


def _fill(pairs: Sequence[Pair], profiles: dict[int, Profile]) -> None:
    """What only the visitor had said fills the known person's gaps."""

    def draw(row: Profile) -> Portrait:
        values = {name: getattr(row, name) for name in FIELDS}
        return Portrait(**{**values, "traits": to_text(row.traits)})

    drawn = {pk: draw(row) for pk, row in profiles.items()}
    for pair in pairs:
        drawn[pair.into] = fill_from(drawn[pair.into], drawn[pair.gone])
    people = sorted({pair.into for pair in pairs})
    update("segments_profile", (("id", "bigint"), *PORTRAIT), [(pk, *drawn[pk]) for pk in people])


def _tell(pairs: Sequence[Pair], profiles: dict[int, Profile], *, now: datetime, actor: str, reason: str) -> None:
    _audit("person.merge", pairs, profiles, now=now, actor=actor, reason=reason)
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


def _audit(action: str, pairs: Sequence[Pair], profiles: dict[int, Profile], **said: Any) -> None:
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
