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

from common.clock import is_postgres
from messaging.devices import addresses_of
from messaging.models import Delivery, TemplateVersion
from messaging.models.classes import PRIORITY
from messaging.permission import columns_for, ensure_addresses, place_of
from segments.bulk import insert
from segments.models import Profile

BATCH = 1000
TABLE = "messaging_delivery"
COLUMNS = (
    ("dedupe_key", "text"), ("public_id", "uuid"), ("body_digest", "text"), ("klass", "text"), ("channel", "text"),
    ("topic", "text"), ("profile_id", "bigint"), ("address_id", "bigint"), ("version_id", "bigint"),
    ("campaign", "text"), ("journey", "text"), ("enrolment", "bigint"), ("node", "text"), ("variant", "text"),
    ("context", "jsonb"), ("utm", "jsonb"), ("ghost", "boolean"), ("priority", "smallint"),
    ("planned_at", "timestamptz"), ("not_before", "timestamptz"), ("expires_at", "timestamptz"), ("state", "text"),
    ("reason", "text"), ("claims", "smallint"), ("attempts", "smallint"), ("reached", "smallint"),
)  # fmt: skip


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
    digests: dict[str, str] = {}
    rows: list[tuple[Any, ...]] = []
    for item in items:
        digest, version = item.digest, versions[item.version]
        if digests.setdefault(item.dedupe_key, digest) != digest:
            raise KeyReused(item.dedupe_key)
        if len(digests) > len(rows):
            rows.append(_row(item, digest, version, addresses.get((version.channel, item.profile)), now))
    rows.sort(key=lambda row: row[0])
    new = dict(insert(TABLE, COLUMNS, rows, conflict="DO NOTHING", returning="dedupe_key, id"))
    _refuse_reused({key: digest for key, digest in digests.items() if key not in new})
    return [new.pop(item.dedupe_key, None) for item in items]


def _refuse_reused(known: Mapping[str, str]) -> None:
    """Raise KeyReused if one of these keys (with the digest it now comes with) stands for another message."""
    if known:
        stored = Delivery.objects.filter(dedupe_key__in=list(known)).values_list("dedupe_key", "body_digest")
        for key, digest in stored:
            if digest != known[key]:
                raise KeyReused(key)


def _row(
    item: NewDelivery, digest: str, version: TemplateVersion, address: int | None, now: datetime
) -> tuple[Any, ...]:
    """The values of COLUMNS."""
    priority = PRIORITY[version.klass] + max(-9, min(9, item.priority))
    return (
        item.dedupe_key, str(uuid.uuid4()) if is_postgres() else uuid.uuid4().hex, digest, version.klass,
        version.channel, version.topic, item.profile, address, item.version, item.campaign, item.journey,
        item.enrolment, item.node, item.variant, _text(item.context), _text(item.utm), item.ghost, priority, now,
        item.not_before, item.expires_at, Delivery.State.PLANNED.value, "", 0, 0, 0,
    )  # fmt: skip


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, cls=DjangoJSONEncoder)


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
    reached = {(channel, who): known[channel, value] for (channel, who), value in wanted.items()}
    return reached | addresses_of({(versions[item.version].channel, item.profile) for item in items})
