"""What people ask for beyond yes and no: less often, a break, another language, another channel first, no
profiling.

Each is written under the lock of their profile, which the gate takes too, and told as a fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from messaging.models import Preference
from messaging.retry import retrying
from segments.facts import names
from segments.facts.append import append_engine_facts
from segments.models import Profile

BREAK = timedelta(days=30)
CHANNEL_ORDER = "channel_order"  # the trait by which a person says what to try first: ["sms", "email"], or "sms email"


def set_frequency(
    profile: int, at_most: int | None, period: str, *, now: datetime, source: str, replaces: bool = False
) -> None:
    """At most so many marketing messages a calendar period over all channels (None: as usual)."""
    _set(profile, now, source, at_most=at_most, period=period, replaces=replaces)


def take_break(profile: int, until: datetime | None, *, now: datetime, source: str) -> None:
    """No marketing until then (None: the break is over)."""
    _set(profile, now, source, paused_until=until)


def _set(profile: int, now: datetime, source: str, **wish: Any) -> None:
    def work() -> None:
        with transaction.atomic():
            person = Profile.objects.select_for_update(no_key=True).only("pk", "shard").get(pk=profile)
            row, _ = Preference.objects.get_or_create(profile=person, defaults={"updated_at": now})
            if all(getattr(row, name) == value for name, value in wish.items()):
                return
            for name, value in wish.items():
                setattr(row, name, value)
            row.updated_at, row.source = now, source[:80]
            row.save()
            until = row.paused_until.isoformat() if row.paused_until else None
            said = {"at_most": row.at_most, "period": row.period, "paused_until": until}
            _tell(person, names.PREFERENCE_CHANGED, said, now)

    retrying(work)


def set_language(profile: int, locale: str, *, now: datetime) -> None:
    """The language the person reads."""
    _correct(profile, now, locale=locale)


def set_channel_order(profile: int, channels: Sequence[str], *, now: datetime) -> None:
    """What to try first where a message has several ways (messaging.fallback); none: as the sender has it."""

    def work() -> None:
        with transaction.atomic():
            person = Profile.objects.select_for_update(no_key=True).only("pk", "shard", "traits").get(pk=profile)
            traits = {name: value for name, value in person.traits.items() if name != CHANNEL_ORDER}
            if channels:
                traits[CHANNEL_ORDER] = list(channels)
            if traits != person.traits:
                Profile.objects.filter(pk=profile).update(traits=traits)
                _tell(person, names.CORRECTED, {"traits": [CHANNEL_ORDER], "by": "person"}, now)

    retrying(work)


def set_no_profiling(profile: int, refused: bool, *, now: datetime) -> None:
    """Whether the person refuses that what they did decides about what they get (PIPL 24)."""
    _correct(profile, now, no_profiling=refused)


def _correct(profile: int, now: datetime, **columns: Any) -> None:
    def work() -> None:
        with transaction.atomic():
            person = Profile.objects.select_for_update(no_key=True).only("pk", "shard", *columns).get(pk=profile)
            changed = {name: value for name, value in columns.items() if getattr(person, name) != value}
            if changed:
                Profile.objects.filter(pk=profile).update(**changed)
                _tell(person, names.CORRECTED, {"traits": sorted(changed), "by": "person"}, now)

    retrying(work)


def _tell(person: Profile, name: str, said: dict[str, Any], now: datetime) -> None:
    key = f"{name}:{person.pk}:{now.timestamp():.6f}:{'-'.join(sorted(map(str, said)))}"
    append_engine_facts([(person.pk, person.shard, name, key, said)], now=now)
