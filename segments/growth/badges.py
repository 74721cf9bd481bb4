"""Badges: given once per key, and told to the fact log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from segments.facts.append import append_engine_facts
from segments.facts.names import BADGE_AWARDED
from segments.models import Award, Badge, Profile


@dataclass(frozen=True)
class BadgeFor:
    """One badge for one person, once per `key`."""

    profile: int
    key: str
    reason: str


def award_many(badge_key: str, items: Sequence[BadgeFor], *, now: datetime, depth: int = 0) -> list[bool]:
    """Award a badge to people in a constant number of statements; says for each whether it was new.

    `depth` is that of the facts it states. Raises Badge.DoesNotExist for an unknown badge.
    """
    badge = Badge.objects.get(key=badge_key)
    wanted = {item.key: item for item in items}
    with transaction.atomic():
        known = set(Award.objects.filter(key__in=wanted).values_list("key", flat=True))
        fresh = [item for key, item in wanted.items() if key not in known]
        Award.objects.bulk_create(
            [Award(badge=badge, profile_id=i.profile, key=i.key, at=now, reason=i.reason) for i in fresh],
            ignore_conflicts=True,
        )
        shards = dict(Profile.objects.filter(pk__in=[i.profile for i in fresh]).values_list("pk", "shard"))
        append_engine_facts(
            [(i.profile, shards[i.profile], BADGE_AWARDED, f"badge:{i.key}", {"badge": badge.key}) for i in fresh],
            now=now,
            depth=depth,
        )
    new = {item.key for item in fresh}
    return [item.key in new for item in items]


def award(profile_id: int, badge_key: str, *, key: str, reason: str, now: datetime) -> bool:
    """Award one badge; False when the key is known already."""
    return award_many(badge_key, [BadgeFor(profile_id, key, reason)], now=now)[0]
