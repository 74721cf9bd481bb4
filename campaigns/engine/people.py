"""Doing what steps intend with people themselves: traits, lists, and other journeys. The held out are left alone."""

from __future__ import annotations

from datetime import datetime

from campaigns.engine.effects import CannotDo, Effect, Wanted, by_depth, real_ones, why
from campaigns.enrol import enrol_into
from campaigns.graph import Node
from campaigns.models import Enrolment, Journey
from campaigns.plans import Plan, live_plan
from campaigns.triggers import Entry
from segments.correct import Correction, correct_many
from segments.lists import add_people, remove_people
from segments.models.groups import StaticList


def traits(wanted: Wanted, plan: Plan, node: Node, now: datetime) -> dict[str, Effect]:
    """Change traits. Of two walks of one person in a group the later one's word stands."""
    real, effects = real_ones(wanted)
    for depth, some in by_depth(real):
        last = {walk.profile: (walk, intent) for walk, intent in some}
        items = [Correction(w.profile, i.detail["traits"], i.key, why(plan, node)) for w, i in last.values()]
        correct_many(items, now=now, depth=depth)
    return effects


def list_add(wanted: Wanted, plan: Plan, node: Node, now: datetime) -> dict[str, Effect]:
    real, effects = real_ones(wanted)
    for depth, some in by_depth(real):
        add_people(_list(some), {walk.profile for walk, _ in some}, now=now, depth=depth)
    return effects


def list_remove(wanted: Wanted, plan: Plan, node: Node, now: datetime) -> dict[str, Effect]:
    real, effects = real_ones(wanted)
    for depth, some in by_depth(real):
        remove_people(_list(some), {walk.profile for walk, _ in some}, now=now, depth=depth)
    return effects


def _list(wanted: Wanted) -> StaticList:
    key = wanted[0][1].detail["list"]
    try:
        return StaticList.objects.get(key=key)
    except StaticList.DoesNotExist:
        raise CannotDo(f"there is no list '{key}'") from None


def enter(wanted: Wanted, plan: Plan, node: Node, now: datetime) -> dict[str, Effect]:
    """Let people into the node's other journey; why somebody is refused there stands with the visit."""
    real, effects = real_ones(wanted)
    key = wanted[0][1].detail["journey"]
    journey = Journey.objects.filter(key=key).first()
    other = live_plan(journey) if journey else None
    if other is None or not other.is_live:
        closed = Effect(reason=f"journey '{key}' takes nobody in")
        return effects | {intent.key: closed for _, intent in real}
    entries = []
    for walk, intent in real:
        said = {name: value for name, value in walk.context.items() if not name.startswith("_")}
        said = said if intent.detail["variables"] else {}
        entries.append(
            Entry(walk.profile, intent.key, run_key=intent.key[:120], context=said, depth=walk.depth + 1,
                  reason=f"journey:{plan.journey_key}", at=now)
        )  # fmt: skip
    enrol_into(other, entries, now=now)
    keys = [intent.key for _, intent in real]
    rows = Enrolment.objects.filter(journey=other.journey, entry_key__in=keys, state=Enrolment.State.REFUSED)
    refused = {entry: Effect(reason=f"shut_out: {said}") for entry, said in rows.values_list("entry_key", "reason")}
    return effects | refused
