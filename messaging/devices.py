"""Devices: apps and browsers that take a person's push messages, registered by whoever holds the person's token.

A person has one address in a push channel, named by their public id, and up to ten devices behind it: consent, caps and
suppression are the person's, and one message is one row of the ledger however many screens it lights up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from messaging import channels as contract
from messaging.channels import channels
from messaging.models import Address, Device
from messaging.permission import ensure_addresses
from messaging.retry import retrying
from segments.models import Profile

MOST = 10  # devices of one person in a channel; the longest unseen go


class NoDevices(ValueError):
    """The channel reaches people by what we know of them, or there is none of that name."""


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def register(
    profile: Profile, channel: str, token: str, *, keys: Mapping[str, str], label: str = "", now: datetime
) -> Device:
    """This device takes the person's messages from now on, and nobody else's; registered again it is only seen again.
    Raises NoDevices."""
    _check(channel)

    def work() -> Device:
        with transaction.atomic():
            address = _address(profile, channel, now)
            fields = {
                "address_id": address, "token": token, "keys": dict(keys), "label": label[:200], "seen_at": now,
                "gone_at": None, "gone_because": "",
            }  # fmt: skip
            device, _made = Device.objects.update_or_create(
                channel=channel, digest=digest(token), defaults=fields, create_defaults={**fields, "registered_at": now}
            )
            live = Device.objects.filter(address=address, gone_at__isnull=True).order_by("-seen_at", "-pk")
            many = list(live.values_list("pk", flat=True)[MOST:])
            Device.objects.filter(pk__in=many).update(gone_at=now, gone_because="too many devices")
            return device

    return retrying(work)


def unregister(profile: int, channel: str, token: str, *, now: datetime) -> bool:
    """This device takes no more messages; False when it is not the person's, or gone already."""
    rows = Device.objects.filter(channel=channel, digest=digest(token), address__profile=profile, gone_at__isnull=True)
    return bool(rows.update(gone_at=now, gone_because="unregistered"))


def forget(ids: Iterable[int], *, now: datetime, why: str) -> int:
    """The provider knows these devices no more; returns how many that was news of."""
    return Device.objects.filter(pk__in=list(ids), gone_at__isnull=True).update(gone_at=now, gone_because=why[:60])


def addresses_of(wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Address ids of the people (channel, profile id) who have a device there; one statement, the address of the device
    seen last where a merge has left two."""
    pairs = [(channel, who) for channel, who in wanted if channels.get(channel).registers]
    if not pairs:
        return {}
    rows = Device.objects.filter(
        gone_at__isnull=True,
        channel__in={channel for channel, _ in pairs},
        address__profile__in={who for _, who in pairs},
    )
    found = rows.order_by("seen_at", "pk").values_list("channel", "address__profile", "address")
    return {(channel, who): address for channel, who, address in found}


def behind(addresses: Sequence[int]) -> dict[int, tuple[contract.Device, ...]]:
    """The live devices of addresses, the one seen last first."""
    found: dict[int, list[contract.Device]] = {}
    rows = Device.objects.filter(address__in=addresses, gone_at__isnull=True).order_by("-seen_at", "-pk")
    for pk, address, token, keys in rows.values_list("pk", "address", "token", "keys"):
        found.setdefault(address, []).append(contract.Device(pk, token, keys))
    return {address: tuple(devices) for address, devices in found.items()}


def shown(profile: int) -> list[dict[str, Any]]:
    """A person's devices as they may be told, without token."""
    rows = Device.objects.filter(address__profile=profile, gone_at__isnull=True).order_by("-seen_at", "-pk")
    return [dict(row) for row in rows.values("channel", "label", "registered_at", "seen_at")]


def _check(channel: str) -> None:
    if channel not in channels or not channels.get(channel).registers:
        raise NoDevices(f"'{channel[:40]}' is no channel with devices")


def _address(profile: Profile, channel: str, now: datetime) -> int:
    """The person's address in the channel: one that a merge brought, or their own, made at first need."""
    known = Address.objects.filter(channel=channel, profile=profile).order_by("pk").values_list("pk", flat=True).first()
    if known is not None:
        return known
    value = str(profile.public_id)
    return ensure_addresses([(channel, value, profile.pk)], now=now)[channel, value]
