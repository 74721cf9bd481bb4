"""Queueing: an intended message becomes a row, once per key, before anybody is called."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from messaging.models import Delivery, TemplateVersion
from messaging.models.classes import PRIORITY
from messaging.permission import columns_for, ensure_addresses, place_of
from segments.models import Profile

BATCH = 1000


class KeyReused(ValueError):
    """A dedupe key was used before for another message."""

    def __init__(self, key: str) -> None:
        super().__init__(f"'{key}' was used for another message")
        self.key = key


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One message to come. `profile` and `version` are ids; `context` holds the variables beside the person's
    own (event, coupon …); `utm` the UTM parameters of its links; `ghost` walks every gate and is never sent.
    `priority` (-9 to 9) is among messages of its class: a class never overtakes another by it."""

    dedupe_key: str
    profile: int
    version: int
    not_before: datetime
    expires_at: datetime | None = None
    campaign: str = ""
    journey: str = ""
    enrolment: int | None = None
    node: str = ""
    variant: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    utm: Mapping[str, str] = field(default_factory=dict)
    ghost: bool = False
    priority: int = 0

    @property
    def digest(self) -> str:
        """SHA-256 over what makes it this message and no other (times are not part of it)."""
        said = [self.profile, self.version, self.campaign, self.journey, self.enrolment, self.node, self.variant]
        body = json.dumps([*said, self.context, self.utm, self.ghost], sort_keys=True, cls=DjangoJSONEncoder)
        return hashlib.sha256(body.encode()).hexdigest()


def queue_deliveries(items: Sequence[NewDelivery], *, now: datetime) -> list[int | None]:
    """Write the rows; returns their ids in order, None where the key was there already with the same body.

    Constant in statements per thousand items. Raises KeyReused (and should then be rolled back) when a key
    carries another body. Call inside the transaction of what plans the messages.
    """
    found: list[int | None] = []
    for start in range(0, len(items), BATCH):
        found += _queue(items[start : start + BATCH], now)
    return found


def _queue(items: Sequence[NewDelivery], now: datetime) -> list[int | None]:
    versions = TemplateVersion.objects.only("channel", "klass", "topic").in_bulk({item.version for item in items})
    addresses = _addresses(items, versions, now)
    rows: dict[str, Delivery] = {}
    for item in items:
        if item.dedupe_key in rows and rows[item.dedupe_key].body_digest != item.digest:
            raise KeyReused(item.dedupe_key)
        if item.dedupe_key not in rows:
            version = versions[item.version]
            address = addresses.get((version.channel, item.profile))
            rows[item.dedupe_key] = _row(item, version, address, now)
    Delivery.objects.bulk_create([rows[key] for key in sorted(rows)], ignore_conflicts=True)
    stored = Delivery.objects.filter(dedupe_key__in=list(rows)).values_list(
        "dedupe_key", "id", "public_id", "body_digest"
    )
    ids: dict[str, int | None] = {}
    for key, pk, public_id, digest in stored:
        if digest != rows[key].body_digest:
            raise KeyReused(key)
        ids[key] = pk if public_id == rows[key].public_id else None
    return [ids.pop(item.dedupe_key, None) for item in items]


def _row(item: NewDelivery, version: TemplateVersion, address: int | None, now: datetime) -> Delivery:
    return Delivery(
        dedupe_key=item.dedupe_key,
        public_id=uuid.uuid4(),
        body_digest=item.digest,
        klass=version.klass,
        channel=version.channel,
        topic=version.topic,
        profile_id=item.profile,
        address_id=address,
        version_id=item.version,
        campaign=item.campaign,
        journey=item.journey,
        enrolment=item.enrolment,
        node=item.node,
        variant=item.variant,
        context=dict(item.context),
        utm=dict(item.utm),
        ghost=item.ghost,
        priority=PRIORITY[version.klass] + max(-9, min(9, item.priority)),
        planned_at=now,
        not_before=item.not_before,
        expires_at=item.expires_at,
    )


def _addresses(
    items: Sequence[NewDelivery], versions: Mapping[int, TemplateVersion], now: datetime
) -> dict[tuple[str, int], int]:
    """Address ids by (channel, profile), for those who have one."""
    columns = columns_for({version.channel for version in versions.values()})
    people = Profile.objects.filter(pk__in={item.profile for item in items}).values("pk", *columns)
    known_people = {person["pk"]: person for person in people} if columns else {}
    wanted: dict[tuple[str, int], str] = {}
    for item in items:
        channel = versions[item.version].channel
        person = known_people.get(item.profile)
        value = place_of(channel, person) if person else ""
        if value:
            wanted[channel, item.profile] = value
    known = ensure_addresses([(channel, value, who) for (channel, who), value in wanted.items()], now=now)
    return {(channel, who): known[channel, value] for (channel, who), value in wanted.items()}
