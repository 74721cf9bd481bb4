"""Double opt-in: a yes that came by a form is asked for once more at the address itself, and counts from that click.

A topic with a `confirmation` (the key of a transactional template) is asked so. The template has `event.confirm_url`,
good for three days, and `event.topic`. The page behind the link takes the yes by POST; looking at it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from common.text import is_chinese
from messaging import tokens
from messaging.models import Consent, Delivery, TemplateVersion, Topic
from messaging.outbox.queue import NewDelivery, queue_deliveries
from messaging.permission import columns_for, give_consent, place_of
from messaging.retry import retrying
from messaging.tokens import Purpose

GOOD_FOR = timedelta(hours=72)
PAGE = 200


def ask_all(now: datetime) -> int:
    """Queue the question for every pending yes that has none yet; returns how many. Asked again, it does nothing."""
    pending = Consent.objects.filter(action=Consent.Action.PENDING, at__gt=now - GOOD_FOR, at__lte=now)
    rows = list(pending.select_related("address", "profile").order_by("at", "pk")[: PAGE * 10])
    asked = set(
        Delivery.objects.filter(dedupe_key__in=[_key(row.pk) for row in rows]).values_list("dedupe_key", flat=True)
    )
    waiting = [row for row in rows if _key(row.pk) not in asked][:PAGE]
    topics = {topic.key: topic for topic in Topic.objects.filter(key__in={row.topic for row in waiting})}
    items = [item for row in waiting if (item := _question(row, topics.get(row.topic), now))]
    if not items:
        return 0

    def work() -> int:
        with transaction.atomic():
            return sum(pk is not None for pk in queue_deliveries(items, now=now))

    return retrying(work)


def _key(pending: int) -> str:
    return f"confirm:{pending}"


def _question(row: Consent, topic: Topic | None, now: datetime) -> NewDelivery | None:
    """The message that asks; None for whom it would not reach: another address now, a suppressed one, no template."""
    address, profile = row.address, row.profile
    if topic is None or not topic.confirmation or profile is None or address.suppressed:
        return None
    person = {name: getattr(profile, name) for name in columns_for([address.channel])}
    versions = TemplateVersion.objects.filter(template__key=topic.confirmation, channel=address.channel)
    version = versions.filter(klass="transactional").order_by("-number").first()
    if version is None or place_of(address.channel, person) != address.value:
        return None
    name = topic.name_zh if topic.name_zh and is_chinese(profile.locale or None) else topic.name
    said = {"event": {"confirm_url": confirm_url(row.pk, address.pk), "topic": name}}
    return NewDelivery(_key(row.pk), profile.pk, version.pk, now, expires_at=row.at + GOOD_FOR, context=said)


def confirm_url(pending: int, address: int) -> str:
    """The address of the page that takes the yes."""
    return f"{settings.PUBLIC_URL}/y/{tokens.make(Purpose.CONFIRM, pending, address)}"


def is_good(pending: Consent, now: datetime) -> bool:
    """Whether a pending yes may still be confirmed."""
    return pending.action == Consent.Action.PENDING and now - pending.at < GOOD_FOR


def confirm(pending: Consent, *, now: datetime, evidence: Mapping[str, Any]) -> bool:
    """Take the yes; False when it was taken already, or came too late. Whoever refused since then is not overruled
    by an old link's second use."""
    if not is_good(pending, now):
        return False
    if Consent.objects.filter(address=pending.address_id, evidence__confirms=pending.pk).exists():
        return False
    proof = {**evidence, "confirms": pending.pk, "asked": pending.evidence}
    give_consent(
        pending.address_id, pending.topic, now=now, source="confirmation", evidence=proof, wording=pending.wording
    )
    return True
