"""Templates, accounts and messages for tests: plain factory functions, and a renderer that needs no child."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from common.buckets import bucket_of, shard_of
from messaging.models import Account, Address, Template, TemplateVersion, Topic
from messaging.outbox.queue import NewDelivery, queue_deliveries
from messaging.permission import address_for, give_consent
from messaging.render import Rendered, RenderError, RenderJob
from segments.models import Profile
from tests.people import make_profile

OFFERS = "offers"


def render_plainly(jobs: Sequence[RenderJob]) -> list[Rendered | RenderError]:
    """A page per job: subject and bodies name the person, the delivery is in the header that a witness reads."""
    return [render_one(job) for job in jobs]


def render_one(job: RenderJob) -> Rendered:
    who = job.context["profile"]["first_name"]
    parts = {
        "subject": f"Hello {who}",
        "html": f"<p>Hello {who}</p>",
        "text": f"Hello {who}",
        "title": "Hello",
        "body": "Hi",
    }
    return Rendered(
        parts, {"X-Delivery": job.public_id, "List-Unsubscribe": f"<https://example.com/u/{job.public_id}>"}
    )


def make_topic(key: str = OFFERS, **fields: Any) -> Topic:
    return Topic.objects.get_or_create(key=key, defaults={"name": key.title(), **fields})[0]


def make_version(
    key: str = "welcome",
    *,
    channel: str = "email",
    klass: str = "marketing",
    topic: str = OFFERS,
    now: datetime,
    **fields: Any,
) -> TemplateVersion:
    """A published version of a template (which the stand-in renderer does not read)."""
    row = make_topic(topic) if topic else None
    template, _ = Template.objects.get_or_create(
        key=key, defaults={"name": key.title(), "channel": channel, "klass": klass, "topic": row}
    )
    number = template.versions.count() + 1
    content = {"en": {"subject": "Hello", "html": "<p>Hello</p>", "text": "Hello"}}
    return TemplateVersion.objects.create(
        template=template, number=number, channel=channel, klass=klass, topic=topic, content=content, digest="",
        published_at=now, **fields,
    )  # fmt: skip


def make_account(key: str = "mail", *, channel: str = "email", port: int = 25, **fields: Any) -> Account:
    """The default account of a channel; e-mail goes to a mail server on this machine."""
    settings = {"host": "127.0.0.1", "port": port, "timeout": 5, **fields.pop("settings", {})}
    defaults = {"name": key, "transport": "smtp", "sender": "Shop <shop@example.com>", "is_default": True}
    return Account.objects.create(key=key, channel=channel, settings=settings, **defaults | fields)


def make_readers(
    count: int, *, now: datetime, prefix: str = "reader", topic: str = OFFERS, **fields: Any
) -> list[Profile]:
    """People with an e-mail address who agreed to the topic."""
    people = []
    for number in range(count):
        email = f"{prefix}-{number}@example.com"
        person = make_profile(email=email, first_name=f"N{number}", now=now, **fields)
        address = address_for(person, "email", now)
        assert address is not None
        if topic:
            give_consent(address, topic, now=now, source="test")
        people.append(person)
    return people


def queue_to(
    people: Sequence[Profile], version: TemplateVersion, *, now: datetime, prefix: str = "k", **fields: Any
) -> list[int]:
    """One message of that version to each; returns the ids."""
    items = [
        NewDelivery(
            f"{prefix}:{version.pk}:{person.pk}",
            person.pk,
            version.pk,
            fields.get("not_before", now),
            **{name: value for name, value in fields.items() if name != "not_before"},
        )
        for person in people
    ]
    return [pk for pk in queue_deliveries(items, now=now) if pk is not None]


def make_crowd(count: int, *, now: datetime, prefix: str = "reader", topic: str = OFFERS) -> list[Profile]:
    """Many people who agreed to the topic, in a handful of statements (their consent rows left out)."""
    ids = [uuid.uuid4() for _ in range(count)]
    people = Profile.objects.bulk_create(
        [
            Profile(
                public_id=public_id, shard=shard_of(public_id), bucket=bucket_of(public_id), first_name=f"N{number}",
                email=f"{prefix}-{number}@example.com", first_seen_at=now, last_seen_at=now,
            )
            for number, public_id in enumerate(ids)
        ],
        batch_size=500,
    )  # fmt: skip
    Address.objects.bulk_create(
        [
            Address(channel="email", value=person.email, profile=person, consents=[topic], created_at=now)
            for person in people
        ],
        batch_size=500,
    )
    return people
