"""A dry run: one person through the draft from now on, by a clock that jumps to whatever comes next.

It is a back-test of one person that goes ahead instead of back: the same store, the same looks, nothing sent, nothing
written. What the person will do is not known; what is assumed of it is told as facts at their times.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from campaigns.enrol import enrol
from campaigns.models import Enrolment, Journey, Visit
from campaigns.rehearsal import history
from campaigns.rehearsal.asked import Asked
from campaigns.rehearsal.history import Told
from campaigns.rehearsal.looks import Beat
from campaigns.rehearsal.scratch import NAMES
from campaigns.triggers import Entry
from messaging.models import Delivery
from segments.models import Award, Grant, PointEntry

MOST_LOOKS = 300
KEY = "rehearsal"
WAITING = ("planned", "held")
INSTANT, DAY = timedelta(seconds=1), timedelta(days=1)


def story(asked: Asked) -> dict[str, Any]:
    """Let the person in at `since`, follow them until the walk is over or the days are, and tell what happened."""
    journey, now = Journey.objects.get(key=asked.journey), asked.since
    assert asked.person is not None
    enrol(journey, [Entry(asked.person, KEY, context={"event": asked.event}, reason=KEY, at=now)], now=now)
    beat, before, ahead = Beat(), now, assumed(asked)
    for _ in range(MOST_LOOKS):
        due = [one for one in ahead if one.at <= now]
        ahead = [one for one in ahead if one.at > now]
        history.take_in(due, now=now, historical=False)
        beat.look(now, before=before)
        moment = next_moment(journey, ahead, now)
        if moment is None or moment > asked.until:
            break
        before, now = now, max(moment, now + INSTANT)
    return told(journey, asked)


def assumed(asked: Asked) -> list[Told]:
    """The facts that are assumed, in the order of their times."""
    facts = [
        Told(asked.since + timedelta(seconds=one["after"]), _call(asked, one, number))
        for number, one in enumerate(asked.assumed)
    ]
    return sorted(facts, key=lambda one: one.at)


def _call(asked: Asked, one: dict[str, Any], number: int) -> dict[str, Any]:
    at = asked.since + timedelta(seconds=one["after"])
    return {
        "type": "track", "event": one["fact"], "userId": f"{NAMES}{asked.person}", "timestamp": at.isoformat(),
        "messageId": f"assumed:{number}", "properties": one.get("properties", {}),
    }  # fmt: skip


def next_moment(journey: Journey, ahead: Sequence[Told], now: datetime) -> datetime | None:
    """When to look next: when the walk, a message of it, or what is assumed is due, and once a day, since segments
    change by time alone; None once all is over."""
    walks = Enrolment.objects.filter(journey=journey, entry_key=KEY, state=Enrolment.State.ACTIVE)
    waiting = Delivery.objects.filter(journey=journey.key, state__in=WAITING)
    moments = [at for at in walks.values_list("due_at", flat=True) if at is not None]
    moments += waiting.values_list("not_before", flat=True)
    if not moments and not walks.exists():
        return None
    return min([*moments, *(one.at for one in ahead[:1]), now + DAY])


def told(journey: Journey, asked: Asked) -> dict[str, Any]:
    """The walk, every step with how it was left and why, every message with what became of it, and what was given."""
    walk = Enrolment.objects.filter(journey=journey, entry_key=KEY).first()
    if walk is None:
        return {"walk": None, "steps": [], "messages": [], "given": []}
    visits = Visit.objects.filter(enrolment=walk).order_by("n")
    sent = Delivery.objects.filter(journey=journey.key).select_related("version__template").order_by("pk")
    return {
        "walk": {
            "state": walk.state, "reason": walk.reason, "node": walk.node, "held_out": walk.ghost,
            "ended_at": _iso(walk.ended_at), "converted_at": _iso(walk.converted_at), "waits_for": walk.awaiting,
            "due_at": _iso(walk.due_at),
        },
        "steps": [
            {"node": row.node, "came": _iso(row.entered_at), "left": _iso(row.left_at), "port": row.port,
             "reason": row.reason}
            for row in visits
        ],
        "messages": [
            {"node": row.node, "channel": row.channel, "template": row.version.template.key, "state": row.state,
             "reason": row.reason, "ghost": row.ghost, "at": _iso(row.sent_at or row.not_before)}
            for row in sent
        ],
        "given": _given(journey, asked),
    }  # fmt: skip


def _given(journey: Journey, asked: Asked) -> list[dict[str, Any]]:
    """Points, badges and benefits that the journey's steps gave."""
    reason = f"journey:{journey.key}:"
    points = PointEntry.objects.filter(wallet=asked.person, reason__startswith=reason)
    badges = Award.objects.filter(profile=asked.person, reason__startswith=reason).select_related("badge")
    grants = Grant.objects.filter(profile=asked.person, reason__startswith=reason).select_related("benefit")
    return [
        *({"kind": "points", "what": str(row.sign * row.amount), "at": _iso(row.at)} for row in points),
        *({"kind": "badge", "what": row.badge.key, "at": _iso(row.at)} for row in badges),
        *({"kind": "benefit", "what": row.benefit.key, "at": _iso(row.at)} for row in grants),
    ]


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
