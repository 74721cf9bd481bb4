"""Rules and messages for the tests of gates: what became of a message, through the real outbox."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from messaging.models import Delivery, SendingRule
from messaging.outbox.send import send_due
from segments.models import Profile
from tests.messages import make_version, queue_to, render_plainly

LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}


def outcome(pk: int, now: datetime) -> tuple[str, str]:
    """Send what is due and say what became of a message: (state, reason)."""
    send_due(worker="test", now_fn=lambda: now, render=render_plainly)
    row = Delivery.objects.get(pk=pk)
    return row.state, row.reason


def queue(person: Profile, now: datetime, key: str = "welcome", **fields: Any) -> int:
    """One message to the person, of a version of its own."""
    kinds = {name: fields.pop(name) for name in ("klass", "topic", "channel") if name in fields}
    version = make_version(key, now=now, **kinds)
    return queue_to([person], version, now=now, **fields)[0]


def rule(kind: str = "limit", **fields: Any) -> SendingRule:
    """A rule of that kind, as the admin would save it: its faults raise."""
    made = SendingRule(kind=kind, **fields)
    made.full_clean()
    made.save()
    return made


def not_before(pk: int) -> datetime:
    return Delivery.objects.get(pk=pk).not_before
