"""People, sources and keys for tests: plain factory functions, and a fixed Monday noon."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from common.buckets import bucket_of, shard_of
from common.models import ApiKey
from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from segments.models import Identity, Order, Profile, Source

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday


def make_profile(
    *, email: str = "", user_id: str = "", anonymous_id: str = "", phone: str = "", now: datetime = NOW, **fields: Any
) -> Profile:
    """A person with an Identity row for each name given; `fields` are columns of Profile (shard and bucket too)."""
    public_id = fields.pop("public_id", None) or uuid.uuid4()
    columns = {
        "shard": shard_of(public_id),
        "bucket": bucket_of(public_id),
        "first_seen_at": now,
        "last_seen_at": now,
        "registered_at": now,
        **fields,
    }
    profile = Profile.objects.create(public_id=public_id, email=email.lower(), phone=phone, **columns)
    names = {"user_id": user_id, "anonymous_id": anonymous_id, "email": email.lower(), "phone": phone}
    Identity.objects.bulk_create(
        [
            Identity(kind=kind, value=value, profile=profile, verified_at=None, created_at=now)
            for kind, value in names.items()
            if value
        ]
    )
    return profile


def make_source(key: str = "web", **fields: Any) -> Source:
    """The sender of that key, made if missing."""
    defaults = {"name": key.title(), "kind": Source.Kind.HTTP, **fields}
    return Source.objects.get_or_create(key=key, defaults=defaults)[0]


def make_key(source: Source | None = None, *, scopes: list[str] | None = None, now: datetime = NOW) -> str:
    """The secret of a new ingest key of the source (or of a key with the given scopes)."""
    source = source or make_source()
    _, secret = ApiKey.issue(f"{source.key} key", scopes or ["ingest"], now=now, subject=f"source:{source.key}")
    return secret


def make_order(
    profile: Profile,
    order_id: str = "",
    *,
    total: int = 1000,
    at: datetime = NOW,
    currency: str = "USD",
    source: Source | None = None,
    live: bool = True,
    coupon: str = "",
) -> None:
    """One order (minor units) with its "Order Completed" fact and lifetime row, as ingest would leave them."""
    order_id = order_id or uuid.uuid4().hex
    source = source or make_source()
    said = {"order_id": order_id, "total": total / 100, "currency": currency, "coupon": coupon}
    with transaction.atomic():
        Order.objects.create(
            source=source,
            order_id=order_id,
            profile=profile,
            placed_at=at,
            currency=currency,
            total=total,
            net_reporting=total if currency == "USD" else None,
            coupon_code=coupon,
        )
        value = total if currency == "USD" else None
        fact = NewFact(
            profile.pk,
            profile.shard,
            "Order Completed",
            at,
            f"order:{order_id}",
            source.pk,
            value=value,
            properties=said,
            live=live,
        )
        append_facts([fact], now=at)


def make_fact(
    profile: Profile, name: str, *, at: datetime = NOW, key: str = "", live: bool = True, **properties: Any
) -> None:
    """One tracked fact, with its lifetime row."""
    with transaction.atomic():
        source = make_source().pk
        key = key or uuid.uuid4().hex
        append_facts(
            [NewFact(profile.pk, profile.shard, name, at, key, source, properties=properties, live=live)], now=at
        )
