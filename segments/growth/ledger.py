"""The points ledger: append-only rows, lots that spends draw from, balances that are derived.

An earn is a lot. A spend takes from lots, earliest expiry first, then oldest. A reversal takes back what is left
of its lot; what was already spent is a debt, met by other lots and then by later earns as soon as they come. Every
movement locks the wallet row, and a key makes it happen once, so balance = sum of the signed rows that have come,
whatever is retried or interleaved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Concat

from segments.facts.append import append_engine_facts, engine_source
from segments.facts.names import POINTS_CHANGED
from segments.growth import levels
from segments.models import Event, PointDraw, PointEntry, Profile, Wallet

OVERDUE = timedelta(days=60)  # points that came longer ago are not looked for any more


class NotEnoughPoints(ValueError):
    """A spend asks for more than is active."""


@dataclass(frozen=True)
class Earn:
    """Points for one person, once per `key`. `available_at` in the future makes them pending until then."""

    profile: int
    points: int
    key: str
    reason: str
    expires_at: datetime | None = None
    available_at: datetime | None = None


@dataclass(frozen=True)
class Balance:
    """Derived from the rows at one moment: `active` may be spent, `negative` is owed, `pending` is still to come."""

    active: int
    negative: int
    pending: int


def earn_many(earns: Sequence[Earn], *, now: datetime, depth: int = 0) -> list[bool]:
    """Book earns in one transaction with a constant number of statements; says for each whether it was new.

    `depth` is that of the facts it states: how long the chain of causes is already (docs/journeys.md).
    """
    wanted = {item.key: item for item in earns if item.points > 0}
    with transaction.atomic():
        wallets = lock_wallets({item.profile for item in wanted.values()})
        known = set(PointEntry.objects.filter(key__in=wanted).values_list("key", flat=True))
        fresh = [item for key, item in wanted.items() if key not in known]
        lots = PointEntry.objects.bulk_create([_lot(item, now) for item in fresh])
        for wallet in wallets.values():
            if wallet.balance < 0:
                _meet_debts(wallet.pk, now=now)
        _account_for(wallets, lots, now=now, depth=depth)
    new = {item.key for item in fresh}
    return [item.key in new for item in earns]


def earn(
    profile_id: int,
    points: int,
    *,
    key: str,
    reason: str,
    now: datetime,
    expires_at: datetime | None = None,
    available_at: datetime | None = None,
) -> bool:
    """Book one earn; False when its key is known already."""
    return earn_many([Earn(profile_id, points, key, reason, expires_at, available_at)], now=now)[0]


def spend(profile_id: int, points: int, *, key: str, reason: str, now: datetime) -> bool:
    """Take points from the lots, earliest expiry first; False when the key is known. Raises NotEnoughPoints."""
    with transaction.atomic():
        wallets = lock_wallets({profile_id})
        if PointEntry.objects.filter(key=key).exists():
            return False
        gone = _bring_up(profile_id, now=now)
        lots = _open_lots(profile_id, now=now)
        if points > sum(left for _, left in lots):
            raise NotEnoughPoints(f"{points} asked for")
        entry = _take(profile_id, "spend", points, key=key, reason=reason, now=now)
        _draw(entry.pk, points, lots)
        _account_for(wallets, [*gone, entry], now=now)
    return True


def reverse(entry_key: str, *, key: str, reason: str, now: datetime) -> bool:
    """Undo an earn (a refunded order): from its own lot first, the rest as a debt. False when done before.

    What had expired of the lot is given back at once, so that nobody loses it twice. Points still to come are undone
    at the moment at which they would have come.
    """
    lot = PointEntry.objects.get(key=entry_key, kind=PointEntry.Kind.EARN)
    with transaction.atomic():
        wallets = lock_wallets({lot.wallet_id})
        if PointEntry.objects.filter(Q(key=key) | Q(reverses=lot)).exists():
            return False
        gone = _bring_up(lot.wallet_id, now=now)
        effect = max(now, lot.available_at)
        entry = _take(lot.wallet_id, "reverse", lot.amount, key=key, reason=reason, now=now, available_at=effect,
                      reverses=lot)  # fmt: skip
        back = _given_back(lot, now=now)
        owed = _draw(entry.pk, lot.amount, [*[(one.pk, one.amount) for one in back], (lot.pk, _left(lot.pk))])
        if owed:
            _draw(entry.pk, owed, _open_lots(lot.wallet_id, now=now))
        _account_for(wallets, [*gone, entry, *back], now=now)
    return True


def expire_due(now: datetime, *, limit: int = 1000) -> int:
    """Write off what is left of lots whose time is over; returns how many lots. Once per lot, by its key."""
    lots = PointEntry.objects.filter(kind=PointEntry.Kind.EARN, expires_at__lte=now, available_at__lte=now)
    due = lots.annotate(left=F("amount") - Coalesce(Sum("drawn__amount"), 0)).filter(left__gt=0)
    owners = due.order_by("expires_at", "pk").values_list("wallet_id", flat=True)[:limit]
    done = 0
    for owner in dict.fromkeys(owners):
        with transaction.atomic():
            wallets = lock_wallets({owner})
            gone = _bring_up(owner, now=now)
            _account_for(wallets, gone, now=now)
            done += len(gone)
    return done


def release_due(now: datetime, *, limit: int = 1000) -> int:
    """Points that have come since: the balance takes them in, old debts are met first. Returns how many lots."""
    told = Event.objects.filter(source=engine_source(), key=Concat(Value("points:"), OuterRef("key")))
    rows = PointEntry.objects.filter(available_at__gt=F("at"), available_at__range=(now - OVERDUE, now))
    due = list(rows.filter(~Exists(told)).order_by("available_at", "pk")[:limit])
    if due:
        with transaction.atomic():
            wallets = lock_wallets({entry.wallet_id for entry in due})
            for wallet in wallets.values():
                if wallet.balance < 0:
                    _meet_debts(wallet.pk, now=now)
            _account_for(wallets, due, now=now)
    return len(due)


def balance(profile_id: int, now: datetime) -> Balance:
    """The balance from the rows themselves. Lots past their time that are not yet written off do not count, but for
    what they meet of a debt."""
    rows = PointEntry.objects.filter(wallet_id=profile_id)
    total = rows.filter(available_at__lte=now).aggregate(n=Sum(F("sign") * F("amount")))["n"] or 0
    pending = rows.filter(available_at__gt=now).aggregate(n=Sum(F("sign") * F("amount")))["n"] or 0
    total -= _over(profile_id, now=now)
    return Balance(max(0, total), max(0, -total), pending)


def _over(profile_id: int, *, now: datetime) -> int:
    """What is left of lots past their time once those that have come, in the order of their coming, met all debts."""
    ended, owed = dict(_open_lots(profile_id, now=now, ended=True)), sum(owed for _, owed in _debts(profile_id))
    over = 0
    for lot, left in _open_lots(profile_id, now=now, ended=None) if ended else []:
        met = min(left, owed)
        owed -= met
        over += left - met if lot in ended else 0
    return over


def lock_wallets(profiles: Iterable[int]) -> dict[int, Wallet]:
    """The wallets of people, made if missing, locked in the order of their ids."""
    ids = sorted(profiles)
    Wallet.objects.bulk_create([Wallet(profile_id=one) for one in ids], ignore_conflicts=True)
    locked = Wallet.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
    return {wallet.pk: wallet for wallet in locked}


def _lot(item: Earn, now: datetime) -> PointEntry:
    return PointEntry(
        wallet_id=item.profile,
        kind=PointEntry.Kind.EARN,
        amount=item.points,
        sign=1,
        at=now,
        available_at=item.available_at or now,
        expires_at=item.expires_at,
        reason=item.reason,
        key=item.key,
    )


def _take(profile_id: int, kind: str, points: int, *, now: datetime, **given: Any) -> PointEntry:
    fields = {"sign": -1, "available_at": now, **given}
    return PointEntry.objects.create(wallet_id=profile_id, kind=kind, amount=points, at=now, **fields)


def _bring_up(profile_id: int, *, now: datetime) -> list[PointEntry]:
    """Before anything else is booked: lots that have come meet old debts, then lots past their time are written off."""
    _meet_debts(profile_id, now=now)
    gone = []
    for lot, left in _open_lots(profile_id, now=now, ended=True):
        entry = _take(profile_id, "expire", left, key=f"expire:{lot}", reason="expired", now=now)
        _draw(entry.pk, left, [(lot, left)])
        gone.append(entry)
    return gone


def _given_back(lot: PointEntry, *, now: datetime) -> list[PointEntry]:
    """What had expired of a lot that is reversed."""
    expired = PointDraw.objects.filter(lot=lot, entry__kind=PointEntry.Kind.EXPIRE).aggregate(n=Sum("amount"))["n"]
    if not expired:
        return []
    given = {"key": f"expired:{lot.pk}", "reason": "expired before it was reversed", "sign": 1}
    return [_take(lot.wallet_id, "adjust", expired, now=now, **given)]


def _open_lots(profile_id: int, *, now: datetime, ended: bool | None = False) -> list[tuple[int, int]]:
    """(lot, what is left): lots in time, or those past it (`ended`), in the order of drawing; with None both, in the
    order of their coming, in which they meet debts."""
    in_time = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    rows: QuerySet[PointEntry] = PointEntry.objects.filter(
        wallet_id=profile_id, kind=PointEntry.Kind.EARN, available_at__lte=now
    )
    if ended is not None:
        rows = rows.filter(~in_time if ended else in_time)
    return list(
        rows.annotate(left=F("amount") - Coalesce(Sum("drawn__amount"), 0))
        .filter(left__gt=0)
        .order_by(*(() if ended is not None else ("available_at",)), F("expires_at").asc(nulls_last=True), "at", "pk")
        .values_list("pk", "left")
    )


def _left(lot: int) -> int:
    drawn = PointDraw.objects.filter(lot_id=lot).aggregate(n=Coalesce(Sum("amount"), 0))["n"]
    return int(PointEntry.objects.values_list("amount", flat=True).get(pk=lot) - drawn)


def _draw(entry: int, points: int, lots: Sequence[tuple[int, int]]) -> int:
    """Draw up to `points` from lots in order; returns what they did not cover."""
    draws = []
    for lot, left in lots:
        part = min(points, left)
        if part:
            draws.append(PointDraw(entry_id=entry, lot_id=lot, amount=part))
            points -= part
    PointDraw.objects.bulk_create(draws)
    return points


def _debts(profile_id: int) -> list[tuple[int, int]]:
    """(entry, what no lot has covered yet) of past takings, oldest first."""
    rows = PointEntry.objects.filter(wallet_id=profile_id, sign=-1)
    return list(
        rows.annotate(owed=F("amount") - Coalesce(Sum("draws__amount"), 0))
        .filter(owed__gt=0)
        .order_by("at", "pk")
        .values_list("pk", "owed")
    )


def _meet_debts(profile_id: int, *, now: datetime) -> None:
    """Let lots that have come cover old debts before anything of them becomes active."""
    for entry, owed in _debts(profile_id):
        if _draw(entry, owed, _open_lots(profile_id, now=now, ended=None)):
            return  # nothing is left to cover the rest


def _account_for(wallets: dict[int, Wallet], entries: Sequence[PointEntry], *, now: datetime, depth: int = 0) -> None:
    """Bring the cached balances up to the rows, say in the log what has come or gone, and look at the levels."""
    if not entries:
        return
    rows = PointEntry.objects.filter(wallet__in=wallets, available_at__lte=now).order_by().values_list("wallet_id")
    sums = dict(rows.annotate(n=Sum(F("sign") * F("amount"))))
    for wallet in wallets.values():
        wallet.balance = sums.get(wallet.pk, 0)
    Wallet.objects.bulk_update(wallets.values(), ["balance"])
    shards = dict(Profile.objects.filter(pk__in=wallets).values_list("pk", "shard"))
    append_engine_facts(
        [
            (
                entry.wallet_id,
                shards[entry.wallet_id],
                POINTS_CHANGED,
                f"points:{entry.key}",
                {
                    "by": entry.sign * entry.amount,
                    "balance": wallets[entry.wallet_id].balance,
                    "reason": entry.reason,
                },
            )
            for entry in entries
            if entry.available_at <= now
        ],
        now=now,
        depth=depth,
    )
    levels.review(wallets, now=now)
