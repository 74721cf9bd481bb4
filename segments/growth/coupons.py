"""Coupons: unique codes claimed atomically, once per key; an empty pool is an answer, not an error."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, Q

from common.states import move
from segments.facts.append import append_engine_facts
from segments.facts.names import BENEFIT_GRANTED
from segments.models import Coupon, CouponPool, Grant, Profile

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # no I, L, O, 0, 1: people read codes aloud
LENGTH = 10


@dataclass(frozen=True)
class Claim:
    """One code wanted for one person, once per `key`."""

    profile: int
    key: str


@dataclass(frozen=True)
class Stock:
    """How many codes a pool has left; `low` when fewer than its threshold. Endless pools are never low."""

    free: int
    total: int
    low: bool


def claim(
    pool_key: str, claims: Sequence[Claim], *, now: datetime, reason: str, depth: int = 0
) -> dict[str, Coupon | None]:
    """Claim one code per claim; None where the pool is empty or the person has had its share.

    A key that was claimed before gets its own code again. On PostgreSQL rival claims skip each other's rows;
    the row count of the conditional update decides. `depth` is that of the facts it states. Raises
    CouponPool.DoesNotExist for an unknown pool.
    """
    pool = CouponPool.objects.select_related("benefit").get(key=pool_key)
    expires = now + timedelta(days=pool.benefit.valid_days)
    with transaction.atomic():
        had = {row.claim_key or "": row for row in Coupon.objects.filter(claim_key__in=[c.key for c in claims])}
        wanted = _within_share(pool, [c for c in {c.key: c for c in claims}.values() if c.key not in had])
        given = _assign(pool, wanted, _free(pool, len(wanted)), now=now, expires=expires)
        _grant(pool, given, now=now, reason=reason, depth=depth)
    found: dict[str, Coupon | None] = {c.key: None for c in claims}
    return found | had | {coupon.claim_key or "": coupon for coupon in given}


def redeem(code: str, *, order_ref: str, now: datetime) -> bool:
    """Mark a code as used on an order; False when it was not open to be used."""
    rows = Coupon.objects.filter(code=code)
    return move(rows, Coupon.MOVES, Coupon.State.REDEEMED, redeemed_at=now, order_ref=order_ref) == 1


def expire_coupons(now: datetime) -> int:
    """Close codes whose time is over; returns how many."""
    return move(Coupon.objects.filter(state="assigned", expires_at__lte=now), Coupon.MOVES, Coupon.State.EXPIRED)


def generate(pool: CouponPool, count: int) -> int:
    """Fill the pool with new random codes; returns how many were made."""
    codes = {_code(pool.prefix) for _ in range(count)}
    made = Coupon.objects.bulk_create([Coupon(pool=pool, code=code) for code in codes], ignore_conflicts=True)
    return len(made)


def stock(pool: CouponPool) -> Stock:
    """What the pool has left."""
    count = Coupon.objects.filter(pool=pool).aggregate(total=Count("pk"), free=Count("pk", filter=Q(state="free")))
    low = not pool.endless and count["free"] * 100 <= count["total"] * pool.low_stock
    return Stock(count["free"], count["total"], low)


def _within_share(pool: CouponPool, claims: list[Claim]) -> list[Claim]:
    """Leave out claims that would give a person more codes of this pool than it allows."""
    if pool.per_person is None:
        return claims
    held: dict[int | None, int] = dict(
        Coupon.objects.filter(pool=pool, profile__in=[c.profile for c in claims])
        .values_list("profile")
        .annotate(n=Count("pk"))
    )
    allowed = []
    for one in claims:
        held[one.profile] = held.get(one.profile, 0) + 1
        if held[one.profile] <= pool.per_person:
            allowed.append(one)
    return allowed


def _free(pool: CouponPool, count: int) -> list[Coupon]:
    """Up to `count` free codes, locked; an endless pool makes what is missing."""
    rows = Coupon.objects.filter(pool=pool, state="free").order_by("pk")
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True)
    found = list(rows[:count])
    if pool.endless and len(found) < count:
        missing = count - len(found)
        found += Coupon.objects.bulk_create([Coupon(pool=pool, code=_code(pool.prefix)) for _ in range(missing)])
    return found


def _assign(
    pool: CouponPool, claims: list[Claim], codes: list[Coupon], *, now: datetime, expires: datetime
) -> list[Coupon]:
    given = []
    for one, coupon in zip(claims, codes, strict=False):
        coupon.state, coupon.profile_id, coupon.claim_key = Coupon.State.ASSIGNED, one.profile, one.key
        coupon.assigned_at, coupon.expires_at = now, expires
        given.append(coupon)
    Coupon.objects.bulk_update(given, ["state", "profile", "claim_key", "assigned_at", "expires_at"])
    return given


def _grant(pool: CouponPool, given: list[Coupon], *, now: datetime, reason: str, depth: int) -> None:
    Grant.objects.bulk_create(
        [
            Grant(
                benefit=pool.benefit,
                profile_id=coupon.profile_id,
                coupon=coupon,
                key=f"coupon:{coupon.claim_key}",
                at=now,
                expires_at=coupon.expires_at,
                reason=reason,
            )
            for coupon in given
            if coupon.profile_id is not None
        ]
    )
    shards = dict(Profile.objects.filter(pk__in=[c.profile_id for c in given]).values_list("pk", "shard"))
    said = {"benefit": pool.benefit.key, "pool": pool.key}
    append_engine_facts(
        [
            (coupon.profile_id, shards[coupon.profile_id], BENEFIT_GRANTED, f"grant:{coupon.claim_key}", said)
            for coupon in given
            if coupon.profile_id is not None
        ],
        now=now,
        depth=depth,
    )


def _code(prefix: str) -> str:
    body = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return f"{prefix}-{body}" if prefix else body
