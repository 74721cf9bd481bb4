"""The way back of a merge: every row that came returns, and what was dropped or overwritten is put back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, F, Value, When

from common.faults import faultpoint
from common.semijoin import among
from segments.bulk import given
from segments.facts.append import append_engine_facts
from segments.facts.names import MERGED
from segments.frozen import thaw
from segments.merge import MOVED, audit, family, handlers, rebuild_stats
from segments.merge_pieces import AHEAD, STEP, Pair, lock
from segments.models import Merge, Profile, Scores


def undo(gone: Profile, *, now: datetime, actor: str, reason: str) -> None:
    """Make two people of one again. Raises ValueError if `gone` is not merged, or was erased.

    Rows return by their origin, also when the other person has since become part of a third. Points that were
    spent since stay with whoever spent them. Facts and orders go ahead in short transactions.
    """
    row = Merge.objects.filter(gone=gone, undone_at=None).order_by("-pk").first()
    into = gone.merged_into_id or (row.into_id if row else None)
    if into is None:
        raise ValueError(f"{gone.public_id} was not merged")
    if gone.erased_at is not None:
        raise ValueError(f"{gone.public_id} was erased")
    pair = Pair(gone.pk, root_of(into))
    origins = family(gone.pk)
    for model in AHEAD:
        _go_ahead(model, pair, origins)
    faultpoint("before_unmerge_commit")
    with transaction.atomic():
        profiles = lock([pair])
        for table in MOVED:
            return_rows(table, pair, origins)
        for handler in handlers:
            handler.undo([pair], now=now)
        if row is not None:
            _restore(row, pair, now=now)
            Merge.objects.filter(pk=row.pk).update(undone_at=now, undone_by=actor[:150], kept={})
        rebuild_stats({pair.gone, pair.into})
        Profile.objects.filter(pk=gone.pk).update(merged_into=None)
        audit("person.unmerge", [pair], profiles, now=now, actor=actor, reason=reason)
        stamp = now.isoformat()
        said = {"undone": str(profiles[pair.gone].public_id)}
        append_engine_facts(
            [(pk, profiles[pk].shard, MERGED, f"unmerged:{pair.gone}:{pk}:{stamp}", said) for pk in profiles], now=now
        )


def root_of(profile_id: int) -> int:
    """Whom the profile belongs to in the end."""
    seen = {profile_id}
    while True:
        into = Profile.objects.only("merged_into").get(pk=profile_id).merged_into_id
        if into is None or into in seen:
            return profile_id
        seen.add(into)
        profile_id = into


def _go_ahead(model: type[Any], pair: Pair, origins: set[int]) -> None:
    """Return a model's rows a piece at a time, until less than one is left: that goes with the rest."""
    own = Case(When(origin=pair.gone, then=Value(None)), default=F("origin"))
    while True:
        with transaction.atomic():
            lock([pair])
            rows = model._default_manager.filter(profile=pair.into, origin__in=origins)
            ids = list(rows.values_list("pk", flat=True)[:STEP])
            if len(ids) < STEP:
                return
            rows.filter(among("pk", ids)).update(profile=pair.gone, origin=own)
        faultpoint("unmerge.piece")


def return_rows(table: str, pair: Pair, origins: set[int]) -> None:
    """Rows whose origin lies in the family go back; what was the profile's own forgets its origin."""
    source, params = given((("id", "bigint"),), [(pk,) for pk in sorted(origins)])
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET profile_id = %s, origin = CASE WHEN origin = %s THEN NULL ELSE origin END"
            f" FROM {source} WHERE {table}.origin = given.id AND {table}.profile_id = %s",
            [pair.gone, pair.gone, *params, pair.into],
        )


def _restore(row: Merge, pair: Pair, *, now: datetime) -> None:
    """What the merge kept: by handler, the scores of the one, and the gaps it filled in the other."""
    for key, handler in handlers.items():
        if key in row.kept:
            handler.restore(pair, row.kept[key], now=now)
    if "scores" in row.kept:
        thaw(Scores, [row.kept["scores"]])
    if "filled" in row.kept:
        _empty_again(row.into_id, row.kept["filled"])


def _empty_again(profile_id: int, filled: dict[str, Any]) -> None:
    """Take out what the merge filled in, where nobody has said anything else since."""
    profile = Profile.objects.get(pk=profile_id)
    fields = {field.attname: field for field in Profile._meta.concrete_fields}
    for name, before in filled["columns"].items():
        if getattr(profile, name) == fields[name].to_python(filled["after"][name]):
            setattr(profile, name, fields[name].to_python(before))
    for name in filled["traits"]:
        profile.traits.pop(name, None)
    profile.save(update_fields=[*filled["columns"], "traits"])
