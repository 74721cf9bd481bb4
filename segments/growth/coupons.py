"""Coupons: unique codes claimed atomically, once per key; an empty pool is an answer, not an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, QuerySet

from common.states import move
from segments.facts.append import append_engine_facts
from segments.facts.names import BENEFIT_GRANTED, COUPON_REDEEMED, COUPON_RETURNED
from segments.growth.pools import new_code
from segments.models import Coupon, CouponPool, Grant, Profile


@dataclass(frozen=True)
class Claim:
    """One code wanted for one person, once per `key`; `ref` names what it is given for ("order:A17")."""

    profile: int
    key: str
    ref: str = ""


@dataclass(frozen=True)
class Use:
    """A code that an order names, at the time of the order. `live` is whether the fact of it may trigger."""

    code: str
    order_id: str
    at: datetime
    live: bool = True


def claim(
    pool_key: str, claims: Sequence[Claim], *, now: datetime, reason: str, depth: int = 0
) -> dict[str, Coupon | None]:
    """Claim one code per claim; None where the pool is empty, not open at `now`, or the person has had its share.

    A key that was claimed before gets its own code again. Claims of one person wait for each other; on PostgreSQL
    rival claims skip each other's rows, on SQLite there is one writer at a time. `depth` is that of the facts it
    states. Raises CouponPool.DoesNotExist for an unknown pool.
    """
    pool = CouponPool.objects.select_related("benefit").get(key=pool_key)
    expires = now + timedelta(days=pool.benefit.valid_days)
    if pool.ends_at is not None:
        expires = min(expires, pool.ends_at)
    with transaction.atomic():
        _lock(pool, {c.profile for c in claims})
        had = {row.claim_key or "": row for row in Coupon.objects.filter(claim_key__in=[c.key for c in claims])}
        fresh = [c for c in {c.key: c for c in claims}.values() if c.key not in had]
        wanted = _within_limits(pool, fresh, now=now)
        given = _assign(pool, wanted, _free(pool, len(wanted)), now=now, expires=expires)
        _grant(pool, given, {c.key: c.ref for c in claims}, now=now, reason=reason, depth=depth)
    found: dict[str, Coupon | None] = {c.key: None for c in claims}
    return found | had | {coupon.claim_key or "": coupon for coupon in given}


def redeem(code: str, *, order_ref: str, now: datetime) -> bool:
    """Mark a code as used on an order; False when it was not open to be used."""
    return redeem_many([Use(code, order_ref, now)], now=now) == [True]


def redeem_many(uses: Sequence[Use], *, now: datetime) -> list[bool]:
    """Mark codes as used on orders, in a constant number of statements; says for each whether it was open.

    A code may be written in small letters. It has to be in time when the order was placed, whenever that is read.
    """
    by_code = {form: use for use in reversed(uses) for form in _forms(use.code)}
    with transaction.atomic():
        rows = Coupon.objects.filter(code__in=by_code, state=Coupon.State.ASSIGNED).select_related("pool__benefit")
        found = []
        for row in rows.order_by("pk").select_for_update(no_key=True, of=("self",)):
            use = by_code[row.code]
            if row.expires_at is None or row.expires_at > use.at:
                row.state, row.redeemed_at, row.order_ref = Coupon.State.REDEEMED, use.at, use.order_id[:120]
                found.append(row)
        Coupon.objects.bulk_update(found, ["state", "redeemed_at", "order_ref"])
        _tell(COUPON_REDEEMED, [row for row in found if by_code[row.code].live], now=now)
    used = {(form, row.order_ref) for row in found for form in _forms(row.code)}
    return [any((form, use.order_id[:120]) in used for form in _forms(use.code)) for use in uses]


def give_back(profiles: Mapping[str, int], *, now: datetime) -> int:
    """Orders that were undone, as the person by order id: their codes may be used again while they are in time.

    What was given for such an order and is not used yet is void. Returns how many coupons that changed.
    """
    with transaction.atomic():
        used = Coupon.objects.filter(order_ref__in=profiles, state=Coupon.State.REDEEMED, profile__in=profiles.values())
        given = Coupon.objects.filter(grant__ref__in=[order_of(one) for one in profiles], profile__in=profiles.values())
        given = given.filter(state=Coupon.State.ASSIGNED)
        changed = []
        for row in _locked(used):
            over = row.expires_at is not None and row.expires_at <= now
            row.state, row.redeemed_at = Coupon.State.EXPIRED if over else Coupon.State.ASSIGNED, None
            changed.append(row)
        for row in _locked(given):
            row.state = Coupon.State.VOID
            changed.append(row)
        _tell(COUPON_RETURNED, changed, now=now)
        for row in changed:
            row.order_ref = "" if row.state == Coupon.State.ASSIGNED else row.order_ref
        Coupon.objects.bulk_update(changed, ["state", "redeemed_at", "order_ref"])
    return len(changed)


def void(keys: Sequence[str], *, now: datetime) -> int:
    """Take back coupons by the keys of their claims, unless they were used; returns how many."""
    with transaction.atomic():
        rows = _locked(Coupon.objects.filter(claim_key__in=keys, state=Coupon.State.ASSIGNED))
        for row in rows:
            row.state = Coupon.State.VOID
        Coupon.objects.bulk_update(rows, ["state"])
        _tell(COUPON_RETURNED, rows, now=now)
    return len(rows)


def order_of(order_id: str) -> str:
    """The `ref` of what is given for an order."""
    return f"order:{order_id}"


def expire_coupons(now: datetime) -> int:
    """Close codes whose time is over; returns how many."""
    return move(Coupon.objects.filter(state="assigned", expires_at__lte=now), Coupon.MOVES, Coupon.State.EXPIRED)


def _forms(code: str) -> set[str]:
    return {code.strip(), code.strip().upper()}


def _locked(rows: QuerySet[Coupon]) -> list[Coupon]:
    rows = rows.select_related("pool__benefit").order_by("pk")
    return list(rows.select_for_update(no_key=True, of=("self",)))


def _tell(name: str, rows: Sequence[Coupon], *, now: datetime) -> None:
    """State what became of coupons, to the people who hold them; once for each code, order and state."""
    held = {row.profile_id for row in rows if row.profile_id is not None}
    shards = dict(Profile.objects.filter(pk__in=held).values_list("pk", "shard"))
    facts = []
    for row in rows:
        if row.profile_id is not None:
            said = {"benefit": row.pool.benefit.key, "pool": row.pool.key, "order_id": row.order_ref}
            said |= {"state": row.state} if name == COUPON_RETURNED else {}
            key = f"{name}:{row.pk}:{row.order_ref}:{row.state}:{now.isoformat()}"
            facts.append((row.profile_id, shards[row.profile_id], name, key, said))
    append_engine_facts(facts, now=now)


def _lock(pool: CouponPool, people: set[int]) -> None:
    """Whoever claims for the same people waits, and with a limit for all whoever claims from the same pool."""
    list(Profile.objects.filter(pk__in=people).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    if pool.most is not None:
        list(CouponPool.objects.filter(pk=pool.pk).select_for_update(no_key=True).values_list("pk"))


def _within_limits(pool: CouponPool, claims: list[Claim], *, now: datetime) -> list[Claim]:
    """Leave out claims out of the pool's time, beyond a person's share or beyond what it gives in all."""
    if (pool.starts_at and now < pool.starts_at) or (pool.ends_at and now >= pool.ends_at):
        return []
    allowed = _within_share(pool, claims)
    if pool.most is None:
        return allowed
    return allowed[: max(0, pool.most - Coupon.objects.filter(pool=pool, claim_key__isnull=False).count())]


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
        found += Coupon.objects.bulk_create([Coupon(pool=pool, code=new_code(pool.prefix)) for _ in range(missing)])
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


def _grant(
    pool: CouponPool, given: list[Coupon], refs: Mapping[str, str], *, now: datetime, reason: str, depth: int
) -> None:
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
                ref=refs.get(coupon.claim_key or "", ""),
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
