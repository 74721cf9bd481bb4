"""What came of a back-test, counted in its own store: plain JSON, as it is kept and shown."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from campaigns.models import Enrolment, Journey
from campaigns.reads import funnel
from campaigns.rehearsal.asked import Asked
from campaigns.rehearsal.sampling import total
from messaging.models import Delivery
from segments.models import CouponPool, Grant, PointEntry

GONE = Q(state="accepted", ghost=False)
Rows = QuerySet[Any]


def count(asked: Asked, *, people: int, population: int, held: Mapping[int, str], refused: int) -> dict[str, Any]:
    """Everything about the journey that was rehearsed, and what it did to the others.

    `people` were looked at, of `population`; `held` are the messages that ever waited for a cap, a gap or a rival,
    with why; `refused` facts could not be told again.
    """
    journey = Journey.objects.get(key=asked.journey)
    walks = Enrolment.objects.filter(journey=journey)
    mine = Delivery.objects.filter(journey=asked.journey)
    return {
        "people": {"sampled": people, "population": population},
        "span": {"since": asked.since.isoformat(), "until": asked.until.isoformat(), "step": asked.step_minutes},
        "refused_facts": refused,
        "totals": _totals(walks, mine, journey.key, people, population),
        "days": _days(walks, mine),
        "refusals": _by(walks.filter(state="refused"), "reason"),
        "steps": {node: asdict(row) for node, row in funnel(journey).items()},
        "messages": _messages(mine),
        "crowded": _crowded(journey.key, held),
        "others": _others(journey.key),
        "coupons": _coupons(journey.key),
        "parked": [dict(row) for row in walks.filter(state="parked").values("node", "reason").annotate(n=Count("pk"))],
    }


def _totals(walks: Rows, mine: Rows, key: str, people: int, population: int) -> dict[str, dict[str, float]]:
    real = walks.filter(ghost=False)
    grants, points = _given(key)
    each = {
        "entered": _each(walks.exclude(state="refused")),
        "held_out": _each(walks.filter(ghost=True).exclude(state="refused")),
        "refused": _each(walks.filter(state="refused")),
        "sent": _each(mine.filter(GONE)),
        "converted": _each(real.filter(converted_at__isnull=False)),
        "coupons": _each(grants),
        "points": _summed(points, "wallet", "amount"),
        "cost": _summed(grants, "profile", "benefit__cost"),
    }
    return {name: asdict(total(some, sampled=people, population=population)) for name, some in each.items()}


def _given(key: str) -> tuple[Rows, Rows]:
    """Benefits and points that the journey's steps gave."""
    reason = f"journey:{key}:"
    entries = PointEntry.objects.filter(kind="earn", reason__startswith=reason)
    return Grant.objects.filter(reason__startswith=reason), entries


def _each(rows: Rows) -> list[float]:
    return [float(n) for _, n in rows.order_by().values_list("profile").annotate(n=Count("pk"))]


def _summed(rows: Rows, person: str, field: str) -> list[float]:
    return [float(n or 0) for _, n in rows.order_by().values_list(person).annotate(n=Sum(field))]


def _by(rows: Rows, field: str) -> dict[str, int]:
    return dict(rows.order_by().values_list(field).annotate(n=Count("pk")))


def _days(walks: Rows, mine: Rows) -> list[dict[str, Any]]:
    """Entries, and messages by channel, for each local day on which there were any."""
    zone = ZoneInfo(settings.WORKSPACE_ZONE)
    days: dict[str, dict[str, Any]] = defaultdict(lambda: {"entered": 0, "sent": {}})
    entered = walks.exclude(state="refused").annotate(day=TruncDate("entered_at", tzinfo=zone))
    for day, n in entered.order_by().values_list("day").annotate(n=Count("pk")):
        days[day.isoformat()]["entered"] = n
    sent = mine.filter(GONE).annotate(day=TruncDate("sent_at", tzinfo=zone)).order_by()
    for day, channel, n in sent.values_list("day", "channel").annotate(n=Count("pk")):
        days[day.isoformat()]["sent"][channel] = n
    return [{"day": day, **found} for day, found in sorted(days.items())]


def _messages(mine: Rows) -> list[dict[str, Any]]:
    """Messages by step, channel, and what became of them, with the reason."""
    rows = mine.order_by("node", "channel", "state", "reason").values("node", "channel", "state", "reason", "ghost")
    return [dict(row) for row in rows.annotate(n=Count("pk"))]


def _crowded(key: str, held: Mapping[int, str]) -> dict[str, Any]:
    """Messages that waited or fell out because the person got others: the journey's own, and those of others that
    were held within a day of one of its messages."""
    rows = Delivery.objects.filter(pk__in=held).values_list("pk", "journey", "profile", "planned_at")
    mine, others = Counter[str](), Counter[str]()
    near = _near(key, {row[2] for row in rows if row[1] != key})
    for pk, journey, profile, at in rows:
        reason = ":".join(held[pk].split(":")[:3])
        if journey == key:
            mine[reason] += 1
        elif any(abs((at - one).total_seconds()) < 7 * 86400 for one in near[profile]):
            others[journey] += 1
    return {"mine": dict(mine), "others": dict(others)}


def _near(key: str, people: Iterable[int]) -> dict[int, list[datetime]]:
    found: dict[int, list[datetime]] = defaultdict(list)
    rows = Delivery.objects.filter(GONE, journey=key, profile__in=set(people))
    for profile, at in rows.values_list("profile", "sent_at"):
        if at is not None:
            found[profile].append(at)
    return found


def _others(key: str) -> dict[str, int]:
    """Messages that the other journeys sent to the same people."""
    return _by(Delivery.objects.filter(GONE).exclude(journey__in=["", key]), "journey")


def _coupons(key: str) -> list[dict[str, Any]]:
    """Codes that were given out, and those that are left in the installation's pools, where these can run out."""
    grants, _points = _given(key)
    given = dict(grants.order_by().values_list("coupon__pool").annotate(n=Count("pk")))
    pools = CouponPool.objects.filter(pk__in=[pk for pk in given if pk]).select_related("benefit")
    return [
        {
            "pool": pool.key,
            "given": given[pool.pk],
            "free": None if pool.endless else pool.coupons.filter(state="free").count() + given[pool.pk],
        }
        for pool in pools.order_by("key")
    ]
