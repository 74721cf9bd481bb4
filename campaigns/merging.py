"""When two profiles turn out to be one person: walks and draws follow, and nobody walks the same journey twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from campaigns.endings import UNDER_WAY, Ending, end_walks
from campaigns.models import Assignment, Enrolment
from campaigns.rows import update_rows
from segments.merge import MergeHandler, Pair, handlers

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

    def merge(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        into = {pair.gone: pair.into for pair in pairs}
        people = set(into) | set(into.values())
        fields = ("pk", "profile_id", "journey_id", "entry_key", "run_key", "state", "origin")
        rows = Enrolment.objects.filter(profile__in=people).order_by("entered_at", "pk").values_list(*fields)
        held = [Held(*row) for row in rows]
        end_walks([Ending(one.pk, "merged") for one in _doubles(held, into)], now=now)
        update_rows(Enrolment, MOVE, _moves(held, into))
        _move_draws(into)

    def undo(self, pairs: Sequence[Pair], *, now: datetime) -> None:
        for pair in pairs:
            Enrolment.objects.filter(profile=pair.into, origin=pair.gone).update(profile=pair.gone, origin=None)


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


def _move_draws(into: dict[int, int]) -> None:
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
    Assignment.objects.filter(pk__in=[pk for pk, _ in dropped]).delete()
    update_rows(Assignment, DRAW, moved)
