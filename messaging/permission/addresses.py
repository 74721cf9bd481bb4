"""Where people are reached: address rows, made at first need, that know at once what was said and listed before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from messaging.channels import channels
from messaging.models import Address, Suppression
from messaging.permission.consent import record
from messaging.permission.suppression import digest
from messaging.statements import said_before
from segments.models import Profile

COLUMNS = frozenset(column.name for column in Profile._meta.concrete_fields)
Wanted = tuple[str, str, int]  # channel, normalised address, profile id


def columns_for(keys: Iterable[str]) -> list[str]:
    """The columns of Profile that say where people are reached in these channels; a trait lies in `traits`."""
    read = {name for key in keys for name in channels.get(key).reads}
    return sorted({name if name in COLUMNS else "traits" for name in read})


def place_of(channel: str, person: Mapping[str, Any]) -> str:
    """The normalised address in a channel of a person of whom those columns are given; "" when there is none."""
    one = channels.get(channel)
    return one.address_of({name: person[name] if name in COLUMNS else person["traits"].get(name) for name in one.reads})


def address_for(profile: Profile, channel: str, now: datetime) -> Address | None:
    """The person's address row in a channel, made at first need; None when the person has none."""
    value = place_of(channel, {name: getattr(profile, name) for name in columns_for([channel])})
    if not value:
        return None
    known = ensure_addresses([(channel, value, profile.pk)], now=now)
    return Address.objects.get(pk=known[channel, value])


def ensure_addresses(wanted: Iterable[Wanted], *, now: datetime) -> dict[tuple[str, str], int]:
    """Ids by (channel, address), inserting those not there; a new row knows at once if it is suppressed, and what
    its owner has said before there was an address."""
    by_channel: dict[str, dict[str, int]] = {}
    for channel, value, profile in wanted:
        by_channel.setdefault(channel, {}).setdefault(value, profile)
    found: dict[tuple[str, str], int] = {}
    for channel, owners in by_channel.items():
        ids = _ids(channel, owners)
        missing = sorted(owners.keys() - ids.keys())
        if missing:
            _insert(channel, {value: owners[value] for value in missing}, now)
            made = _ids(channel, missing)
            _look_back(channel, {owners[value]: pk for value, pk in made.items()})
            ids |= made
        found |= {(channel, value): pk for value, pk in ids.items()}
    return found


def _ids(channel: str, values: Iterable[str]) -> dict[str, int]:
    rows = Address.objects.filter(channel=channel, value__in=list(values))
    return dict(rows.values_list("value", "pk"))


def _insert(channel: str, owners: Mapping[str, int], now: datetime) -> None:
    digests = {digest(channel, value): value for value in owners}
    listed = Suppression.objects.filter(channel=channel, digest__in=list(digests)).values_list("digest", "reason")
    suppressed = {digests[hashed]: reason for hashed, reason in listed}
    Address.objects.bulk_create(
        [
            Address(
                channel=channel, value=value, profile_id=owner, suppressed=suppressed.get(value, ""), created_at=now
            )
            for value, owner in owners.items()
        ],
        ignore_conflicts=True,
    )


def _look_back(channel: str, addresses: Mapping[int, int]) -> None:
    """Record what the owners (profile ids) of new addresses said while we knew none."""
    for said in said_before(addresses.keys(), channel):
        record(addresses[said.profile], said)
