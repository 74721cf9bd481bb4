"""When two profiles turn out to be one person: walks and draws follow, and nobody walks the same journey twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction

from campaigns.endings import UNDER_WAY, Ending, end_walks
from campaigns.models import Assignment, Enrolment, Visit
from campaigns.rows import update_rows
from segments.frozen import freeze, thaw
from segments.merge import Kept, MergeHandler, Pair, family, handlers
from segments.unmerge import return_rows

MOVE = {"id": "bigint", "profile_id": "bigint", "origin": "bigint", "entry_key": "text"}
DRAW = {"id": "bigint", "profile_id": "bigint"}


class Held(NamedTuple):
    """One enrolment of either profile."""

    pk: int
    profile: int
    journey: int
    entry_key: str
    run_key: str
    state: str
    origin: int | None


@handlers.register("journeys")
class Journeys(MergeHandler):
    """Of two runs of one journey under way the older one goes on; of two draws the known person's counts."""

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> Kept:
        into = {pair.gone: pair.into for pair in pairs}
        people = set(into) | set(into.values())
        fields = ("pk", "profile_id", "journey_id", "entry_key", "run_key", "state", "origin")
        rows = Enrolment.objects.filter(profile__in=people).order_by("entered_at", "pk").values_list(*fields)
        held = [Held(*row) for row in rows]
        doubles, moves = _doubles(held, into), _moves(held, into)
        kept: dict[int, Any] = {pk: {"walks": [], "visits": [], "keys": [], "moved": [], "dropped": []} for pk in into}
        _keep_walks(kept, doubles, pairs)
        end_walks([Ending(one.pk, "merged") for one in doubles], now=now)
        update_rows(Enrolment, MOVE, moves)
        said = {one.pk: one for one in held}
        for pk, _, _, key in moves:
            if key != said[pk].entry_key:
                kept[said[pk].profile]["keys"].append([pk, said[pk].entry_key])
        _move_draws(into, kept)
        return {pk: one for pk, one in kept.items() if any(one.values())}

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        for pair in pairs:
            return_rows(Enrolment._meta.db_table, pair, family(pair.gone))

    def restore(self, pair: Pair, kept: Any, *, now: datetime) -> None:
        """Entry keys as they were, walks that only the merge had ended under way again, and both draws."""
        for pk, key in kept["keys"]:
            Enrolment.objects.filter(pk=pk, profile=pair.gone).update(entry_key=key)
        for row in kept["walks"]:
            _walk_on(row)
        Visit.objects.filter(pk__in=kept["visits"], reason="merged").update(left_at=None, reason="")
        Assignment.objects.filter(pk__in=kept["moved"], profile=pair.into).update(profile=pair.gone)
        thaw(Assignment, kept["dropped"])


STOOD = ("state", "reason", "ended_at", "due_at", "awaiting", "awaiting_since")


def _keep_walks(kept: dict[int, Any], doubles: Sequence[Held], pairs: Sequence[Pair]) -> None:
    """Where the walks stood that are about to end, kept with a merge of the person they belong to."""
    by_person = {pair.into: pair.gone for pair in pairs} | {pair.gone: pair.gone for pair in pairs}
    whose = {one.pk: by_person[one.profile] for one in doubles}
    for row in freeze(Enrolment.objects.filter(pk__in=whose)) if whose else ():
        kept[whose[row["id"]]]["walks"].append({name: row[name] for name in ("id", *STOOD)})
    visits = Visit.objects.filter(enrolment__in=whose, left_at__isnull=True) if whose else Visit.objects.none()
    for pk, walk in visits.values_list("pk", "enrolment_id"):
        kept[whose[walk]]["visits"].append(pk)


def _walk_on(row: dict[str, Any]) -> None:
    """Under way again from where it stood, unless another run of that journey is under way by now."""
    fields = {field.attname: field for field in Enrolment._meta.concrete_fields}
    stood = {name: fields[name].to_python(row[name]) for name in STOOD}
    try:
        with transaction.atomic():
            Enrolment.objects.filter(pk=row["id"], state="exited", reason="merged").update(**stood)
    except IntegrityError:
        return  # one run at a time: the newer one goes on


def _doubles(held: Sequence[Held], into: dict[int, int]) -> list[Held]:
    """Runs under way that have an older one under way beside them once the profiles are one."""
    seen: set[tuple[int, int, str]] = set()
    found = []
    for one in held:
        place = (into.get(one.profile, one.profile), one.journey, one.run_key)
        if one.state in UNDER_WAY:
            if place in seen:
                found.append(one)
            seen.add(place)
    return found


def _moves(held: Sequence[Held], into: dict[int, int]) -> list[tuple[int, int, int, str]]:
    """The rows of those who are gone, under their new profile; an entry key that is taken there is marked."""
    taken = {(one.profile, one.journey, one.entry_key) for one in held if one.profile not in into}
    moves = []
    for one in held:
        if one.profile in into:
            target, key = into[one.profile], one.entry_key
            if (target, one.journey, key) in taken:
                key = f"{key[:130]}~{one.profile}"
            taken.add((target, one.journey, key))
            moves.append((one.pk, target, one.origin or one.profile, key))
    return moves


def _move_draws(into: dict[int, int], kept: dict[int, Any]) -> None:
    """The survivor's arms stand: a draw for an experiment that the survivor was drawn for is kept aside."""
    rows = Assignment.objects.filter(profile__in=set(into) | set(into.values())).order_by("pk")
    held = list(rows.values_list("pk", "profile_id", "experiment_id"))
    taken = {(profile, experiment) for _, profile, experiment in held if profile not in into}
    moved: list[tuple[int, int]] = []
    dropped: list[tuple[int, int]] = []
    for pk, profile, experiment in held:
        if profile not in into:
            continue
        place = (into[profile], experiment)
        (dropped if place in taken else moved).append((pk, into[profile]))
        taken.add(place)
    whose = {pk: profile for pk, profile, _ in held}
    for pk, _ in moved:
        kept[whose[pk]]["moved"].append(pk)
    drops = Assignment.objects.filter(pk__in=[pk for pk, _ in dropped])
    for row in freeze(drops) if dropped else ():
        kept[row["profile_id"]]["dropped"].append(row)
    drops.delete()
    update_rows(Assignment, DRAW, moved)
