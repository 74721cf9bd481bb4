"""Journeys for tests: a campaign, templates that can be sent, and flows as short dictionaries."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from campaigns.models import Campaign, Enrolment, Goal, Journey, JourneyVersion, Visit
from campaigns.publish import publish
from campaigns.react import react_shard
from common.buckets import SHARDS
from messaging.models import Template, TemplateVersion
from segments.facts.position import horizon
from segments.models import Event, Membership, Profile, Segment
from tests.people import NOW

ORDER = "Order Completed"
DONE = {"type": "exit", "params": {}}


def make_campaign(key: str = "spring", **fields: Any) -> Campaign:
    defaults = {"name": key.title(), "utm_campaign": key, **fields}
    return Campaign.objects.get_or_create(key=key, defaults=defaults)[0]


def make_template(key: str = "welcome", *, klass: str = "lifecycle", channel: str = "email") -> TemplateVersion:
    """A template with its next published version (the text does not matter here, but marketing has its way out)."""
    out = " {{ links.unsubscribe }}" if klass == "marketing" else ""
    content = {"en": {"subject": "Hi", "html": f"<p>Hi{out}</p>", "text": f"Hi{out}"}}
    template, _ = Template.objects.get_or_create(
        key=key, defaults={"name": key, "klass": klass, "channel": channel, "content": content}
    )
    return TemplateVersion.objects.create(
        template=template, number=template.versions.count() + 1, channel=channel, klass=klass, content=content,
        digest="", published_at=NOW,
    )  # fmt: skip


def make_goal(campaign: Campaign, key: str = "first_order", fact: str = ORDER, **fields: Any) -> Goal:
    return Goal.objects.create(campaign=campaign, key=key, fact=fact, **fields)


def make_segment(key: str = "vip", members: tuple[Profile, ...] = ()) -> Segment:
    segment, _ = Segment.objects.get_or_create(key=key, defaults={"name": key, "rule": {"all": []}})
    for member in members:
        Membership.objects.create(segment=segment, profile=member, entered_at=NOW)
    return segment


def flow(nodes: dict[str, Any], *, start: str = "", fact: str = "Signed Up", **parts: Any) -> dict[str, Any]:
    """A flow begun by a fact; the first node is the start."""
    return {
        "trigger": {"type": "fact", "params": {"fact": fact}},
        "start": start or next(iter(nodes)),
        "nodes": nodes,
        **parts,
    }


def node(kind: str, to: str | dict[str, str] = "done", **params: Any) -> dict[str, Any]:
    """One node; `for` is written `for_`."""
    named = {name.rstrip("_"): value for name, value in params.items()}
    return {"type": kind, "params": named, "next": {"next": to} if isinstance(to, str) else to}


def live(graph: dict[str, Any], *, key: str = "welcome", now: datetime = NOW, **fields: Any) -> Journey:
    """A journey with that flow, published."""
    campaign = fields.pop("campaign", None) or make_campaign()
    journey = Journey.objects.create(key=key, name=key, campaign=campaign, draft=graph, **fields)
    publish(journey, now=now)
    journey.refresh_from_db()
    return journey


def republish(journey: Journey, graph: dict[str, Any], *, now: datetime = NOW) -> JourneyVersion:
    journey.draft = graph
    journey.save(update_fields=["draft"])
    return publish(journey, now=now)


def react_all(now: datetime = NOW) -> int:
    """Let every shard's facts act; returns how many were read.

    On PostgreSQL any open writing transaction in the cluster holds readers back, also that of another test run.
    """
    for _ in range(300):
        if horizon().tx >= (Event.objects.order_by("-tx").values_list("tx", flat=True).first() or 0):
            break
        time.sleep(0.1)
    read = 0
    for shard in range(SHARDS):
        while page := react_shard(shard, now):
            read += page
    return read


def path(enrolment: Enrolment) -> list[tuple[str, str]]:
    """(node, port) of every visit, in order."""
    return list(Visit.objects.filter(enrolment=enrolment).order_by("n").values_list("node", "port"))


def conserved() -> bool:
    """Entered = active + parked + completed + exited, per node in = out + waiting, and nobody is stuck."""
    entered = Enrolment.objects.exclude(state="refused")
    total = sum(entered.filter(state=state).count() for state in ("active", "parked", "completed", "exited"))
    stuck = entered.filter(state="active", due_at__isnull=True, awaiting="")
    open_visits = Visit.objects.filter(left_at__isnull=True).values_list("enrolment_id", "node")
    standing = entered.filter(state__in=["active", "parked"], visit__gt=0).values_list("pk", "node")
    return total == entered.count() and not stuck.exists() and sorted(open_visits) == sorted(standing)
