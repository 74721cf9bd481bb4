"""Letting whole segments in: at the slots of a schedule, and at publish when those present are to enter.

Each occasion is one row (a Tick), which is the lock and the book-mark: pages of members enter in transactions of
their own, and a killed process goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.db import connection, transaction

from campaigns.enrol import enrol_into
from campaigns.models import Journey
from campaigns.plans import Plan, live_plan
from campaigns.triggers import Entry, Member
from common.models import Tick
from segments.models import Membership

PAGE = 500
SLOT, PRESENT = "journey:", "present:"


def run_schedules(now: datetime, *, go_on: Callable[[], bool] = lambda: True) -> dict[str, int]:
    """Open the slots that are due and let people in; returns slots opened and people enrolled."""
    opened = sum(_open_slot(journey, now=now) for journey in Journey.objects.filter(state=Journey.State.LIVE))
    return {"slots": opened, "entered": _in_turns(_unfinished(), now=now, go_on=go_on)}


def _in_turns(ticks: list[Tick], *, now: datetime, go_on: Callable[[], bool]) -> int:
    """A page of each, and again, until all are filled or `go_on` says no: a large segment holds up no small one."""
    entered = 0
    while ticks:
        left = []
        for tick in ticks:
            done = _page(tick.pk, now=now)
            if done is not None:
                entered += done
                left.append(tick)
            if not go_on():
                return entered
        ticks = left
    return entered


def fill(tick: Tick, *, now: datetime, go_on: Callable[[], bool] = lambda: True) -> int:
    """Let the segment's members in, page by page, until all are or `go_on` says no; returns how many entered."""
    entered = 0
    while True:
        done = _page(tick.pk, now=now)
        if done is None:
            return entered
        entered += done
        if not go_on():
            return entered


def _open_slot(journey: Journey, *, now: datetime) -> int:
    """Note the latest slot that is due, once; slots before the journey went live are nobody's."""
    plan = live_plan(journey)
    if plan is None or plan.graph is None:
        return 0
    name = f"{SLOT}{journey.pk}"
    last = Tick.objects.filter(schedule=name).order_by("-slot").values_list("slot", flat=True).first()
    after = max(filter(None, (last, plan.live_since)), default=None)
    slot = plan.graph.trigger.slot(plan.graph.trigger_params, after, now)
    if slot is None:
        return 0
    return int(Tick.objects.get_or_create(schedule=name, slot=slot, defaults={"started_at": now})[1])


def _unfinished() -> list[Tick]:
    rows = Tick.objects.filter(finished_at__isnull=True).order_by("pk")
    return [tick for tick in rows if tick.schedule.startswith((SLOT, PRESENT))]


def _page(pk: int, *, now: datetime) -> int | None:
    """Let one page in; how many entered, None when there is nothing left or somebody else is at it."""
    with transaction.atomic():
        rows = Tick.objects.filter(pk=pk, finished_at__isnull=True)
        if connection.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        tick = rows.first()
        plan = _plan_of(tick) if tick else None
        if tick is None or (plan is not None and plan.state == Journey.State.PAUSED):
            return None
        members, last = _members(plan, tick) if plan else ([], None)
        report = enrol_into(plan, [_entry(tick, one) for one in members], now=now) if plan and members else None
        entered = len(report.entered) if report else 0
        tick.result = {
            "last": tick.result.get("last", 0) if last is None else last,
            "entered": tick.result.get("entered", 0) + entered,
        }
        tick.finished_at = now if last is None else None
        tick.save(update_fields=["result", "finished_at"])
        return entered


def _plan_of(tick: Tick) -> Plan | None:
    """The plan that people enter now; None when the journey is gone for good."""
    journey = Journey.objects.filter(pk=int(tick.schedule.partition(":")[2])).first()
    if journey is None or journey.state == Journey.State.ARCHIVED:
        return None
    return live_plan(journey)


def _members(plan: Plan, tick: Tick) -> tuple[list[Member], int | None]:
    """The next page of people, in the order of their ids, and where the one after it begins. To whom the slot came
    before the journey was live it does not come any more."""
    assert plan.graph is not None
    trigger, params, last = plan.graph.trigger, plan.graph.trigger_params, int(tick.result.get("last", 0))
    if tick.schedule.startswith(PRESENT):
        rows = Membership.objects.filter(segment__key=trigger.audience(params), profile__gt=last).order_by("profile")
        found = list(rows.values_list("profile_id", flat=True)[:PAGE])
        return [Member(pk) for pk in found], found[-1] if len(found) == PAGE else None
    members, after = trigger.page(params, tick.slot, last, PAGE)
    since = plan.live_since
    return [one for one in members if not (one.at and since and one.at < since)], after


def _entry(tick: Tick, member: Member) -> Entry:
    """Keyed by the occasion: however often it is tried, a person enters once."""
    kind = "present" if tick.schedule.startswith(PRESENT) else "slot"
    slot = f"{kind}:{tick.slot.strftime('%Y-%m-%dT%H:%M:%SZ')}"
    return Entry(member.profile, member.key or slot, context=member.context, reason=slot, at=member.at)
