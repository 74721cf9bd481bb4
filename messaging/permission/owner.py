"""The lock on an address and its owner that gate and unsubscribe both take, and facts about the owner."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from messaging.models import Address
from segments.facts.append import append_engine_facts
from segments.models import Profile


def lock(address: Address | int) -> Address:
    """Lock the owner, then the address row, as the gate does (profile before address); returns a fresh row.
    Call inside a transaction."""
    pk = address if isinstance(address, int) else address.pk
    owner = Address.objects.values_list("profile_id", flat=True).get(pk=pk)
    if owner is not None:
        list(Profile.objects.select_for_update(no_key=True).filter(pk=owner).values_list("pk"))
    return Address.objects.select_for_update(no_key=True).get(pk=pk)


def tell(row: Address, name: str, key: str, properties: Mapping[str, Any], *, now: datetime) -> bool:
    """Append one engine fact about the owner of an address; returns whether it was new (True without owner)."""
    if row.profile_id is None:
        return True
    shard = Profile.objects.values_list("shard", flat=True).get(pk=row.profile_id)
    return bool(
        append_engine_facts([(row.profile_id, shard, name, key, {"channel": row.channel, **properties})], now=now)
    )
