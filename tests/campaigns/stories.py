"""Small stories for tests of credit: a delivery, its click, a landing, an order, a refund."""

from __future__ import annotations

import time
import uuid
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from campaigns.models import Campaign, Goal
from campaigns.touches import touch_shard
from common.buckets import SHARDS
from messaging.models import Delivery, Template, TemplateVersion
from segments.facts.append import append_facts, engine_source
from segments.facts.fact import NewFact
from segments.facts.position import horizon
from segments.models import Event, Profile
from tests.people import NOW, make_source

UTM = {"utm_source": "shop", "utm_medium": "email", "utm_campaign": "winback", "utm_id": "c-1", "utm_content": "hero"}


def make_campaign(key: str = "winback", **fields: Any) -> Campaign:
    defaults = {"name": key.title(), "utm_campaign": key, **fields}
    return Campaign.objects.get_or_create(key=key, defaults=defaults)[0]


def make_goal(campaign: Campaign | None = None, *, fact: str = "Order Completed", **fields: Any) -> Goal:
    campaign = campaign or make_campaign()
    key = fields.pop("key", fact.lower().replace(" ", "-"))
    return Goal.objects.create(campaign=campaign, key=key, fact=fact, **fields)


def make_version(key: str = "hello", channel: str = "email") -> TemplateVersion:
    template, _ = Template.objects.get_or_create(key=key, defaults={"name": key, "channel": channel})
    found = template.versions.first()
    return found or TemplateVersion.objects.create(
        template=template, number=1, channel=channel, klass="marketing", content={}, digest=key, published_at=NOW
    )


def make_delivery(
    profile: Profile, *, at: datetime = NOW, utm: dict[str, str] | None = None, **fields: Any
) -> Delivery:
    """An accepted message of the e-mail channel, sent at `at`; `fields` are columns."""
    defaults: dict[str, Any] = {
        "dedupe_key": uuid.uuid4().hex,
        "public_id": uuid.uuid4(),
        "klass": "marketing",
        "channel": "email",
        "profile": profile,
        "version": make_version(),
        "utm": UTM if utm is None else utm,
        "planned_at": at,
        "not_before": at,
        "sent_at": at,
        "state": "accepted",
        "reached": 1,
    }
    return Delivery.objects.create(**{**defaults, **fields})


def say(profile: Profile, name: str, at: datetime, *, value: int | None = None, **fields: Any) -> None:
    """One fact with a key of its own; `fields` may hold kind, key, source, properties, context."""
    fields.setdefault("key", uuid.uuid4().hex)
    fields.setdefault("source", make_source().pk)
    with transaction.atomic():
        append_facts([NewFact(profile.pk, profile.shard, name, at, value=value, **fields)], now=NOW)


def click(profile: Profile, message: Delivery, at: datetime, **properties: Any) -> None:
    said = {"delivery": message.pk, "link": 1, "url": "https://shop.example/", **properties}
    say(profile, "@message_clicked", at, kind="system", source=engine_source(), properties=said)


def visit(profile: Profile, at: datetime, query: str = "utm_source=shop&utm_medium=email&utm_campaign=winback") -> None:
    url = f"https://shop.example/a?{query}#top"
    say(profile, "page", at, kind="page", properties={"url": url}, context={"page": {"url": url}})


def order(profile: Profile, at: datetime, value: int | None = 10_000, *, ref: str = "", **said: Any) -> None:
    properties = {"order_id": ref or uuid.uuid4().hex, **said}
    say(profile, "Order Completed", at, value=value, properties=properties)


def read_all() -> int:
    """Run the reader over all shards until nothing is left.

    PostgreSQL's horizon spans the whole cluster: another database's open transaction holds it back for a while.
    """
    last = Event.objects.aggregate(last=Max("tx"))["last"] or 0
    until = time.monotonic() + 150
    while horizon().tx < last:
        assert time.monotonic() < until, "another database of the cluster holds a transaction open"
        time.sleep(0.02)
    total, before = 0, -1
    while total != before:
        before = total
        total += sum(touch_shard(shard, NOW) for shard in range(SHARDS))
    return total
