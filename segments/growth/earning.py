"""Points that people earn by themselves: rules over facts, so many for each or one for so much money.

Only live facts of the last two days earn: history, and what arrives late, pays nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Sum

from common.periods import local_date, start_of_day, zone
from segments.facts.fact import Fact
from segments.facts.filter import passes
from segments.facts.read import process_shard
from segments.growth.clawback import undo_early
from segments.growth.coupons import order_of
from segments.growth.ledger import Earn, earn_many
from segments.growth.wallets import lock_wallets
from segments.models import PointEntry, PointRule, Profile

READER = "earning"
MAX_AGE = timedelta(days=2)


def earn_shard(shard: int, now: datetime) -> int:
    """Book what one page of one shard's facts earns; returns how many facts it read."""
    rules = list(PointRule.objects.filter(active=True).order_by("pk"))

    def handle(facts: Sequence[Fact]) -> None:
        recent = [fact for fact in facts if fact.live and fact.occurred_at > now - MAX_AGE]
        for rule in rules:
            _apply(rule, [fact for fact in recent if _meant(rule, fact)], now=now)
        undo_early(recent, now=now)

    return process_shard(READER, shard, handle, now=now, names={rule.fact for rule in rules})


def points_for(rule: PointRule, fact: Fact) -> int:
    """So many for the fact itself, and one for every whole `per` minor units of its money."""
    return rule.points + (max(0, fact.value or 0) // rule.per if rule.per else 0)


def ref_of(fact: Fact) -> str:
    """What a reward for the fact is given for: its order, or nothing."""
    order_id = fact.properties.get("order_id")
    return order_of(str(order_id)) if order_id not in (None, "") else ""


def _meant(rule: PointRule, fact: Fact) -> bool:
    return fact.name == rule.fact and passes(fact.properties, rule.filter)


def _apply(rule: PointRule, facts: Sequence[Fact], *, now: datetime) -> None:
    earns = [(fact, points) for fact in facts if (points := points_for(rule, fact)) > 0]
    if not earns:
        return
    left = _left_today(rule, {fact.profile for fact, _ in earns}, now=now)
    wanted = []
    for fact, points in earns:
        if rule.most_a_day is not None:
            points = min(points, left[fact.profile])
            left[fact.profile] -= points
        wanted.append(_earn(rule, fact, points, now=now))
    earn_many(wanted, now=now)


def _earn(rule: PointRule, fact: Fact, points: int, *, now: datetime) -> Earn:
    comes = now + timedelta(days=rule.pending_days)
    ends = comes + timedelta(days=rule.valid_days) if rule.valid_days else None
    key = f"rule:{rule.pk}:{fact.id}"
    return Earn(fact.profile, points, key, rule.key, ends, comes if rule.pending_days else None, ref_of(fact))


def _left_today(rule: PointRule, people: set[int], *, now: datetime) -> dict[int, int]:
    """What each may still earn by the rule on this day of their own; under the lock of their wallets."""
    if rule.most_a_day is None:
        return {}
    lock_wallets(people)
    left = dict.fromkeys(people, rule.most_a_day)
    for person, timezone in Profile.objects.filter(pk__in=people).values_list("pk", "timezone"):
        tz = zone(timezone)
        rows = PointEntry.objects.filter(wallet_id=person, key__startswith=f"rule:{rule.pk}:")
        today = rows.filter(at__gte=start_of_day(local_date(now, tz), tz))
        left[person] -= today.aggregate(n=Sum("amount"))["n"] or 0
    return {person: max(0, points) for person, points in left.items()}
