"""Levels follow the points earned in a rolling term: up at once, down when the term ends unmet, as LEVEL_FALL says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, Sum

from segments.facts.append import append_engine_facts
from segments.facts.names import LEVEL_LOST, LEVEL_REACHED
from segments.models import Level, PointEntry, Privilege, Profile, Wallet

FALLS = ("one_down", "balance_based", "none")  # one rung, down to what was earned, not at all
Moved = tuple[Wallet, str, Level | None]  # a wallet, the level it had, the one it has now


def review(wallets: Mapping[int, Wallet], *, now: datetime) -> None:
    """Recompute the points earned in the term for locked wallets, and lift whoever has reached a higher rung."""
    ladder = list(Level.objects.order_by("rank"))
    earned = _earned(wallets, now=now)
    risen: list[Moved] = []
    for wallet in wallets.values():
        wallet.earned = earned.get(wallet.pk, 0)
        reached = _rung(ladder, wallet.earned)
        if reached and reached.rank > _rank(ladder, wallet):
            risen.append((wallet, _key(ladder, wallet), reached))
            wallet.level, wallet.level_since, wallet.level_until = reached, now, now + term()
            wallet.noticed = None
    Wallet.objects.bulk_update(wallets.values(), ["earned", "level", "level_since", "level_until", "noticed"])
    _tell(LEVEL_REACHED, risen, now=now)


def term() -> timedelta:
    """How far back points count, and how long a level is valid."""
    return timedelta(days=settings.LEVEL_TERM_DAYS)


def grace() -> timedelta:
    """How long after its term an unmet level still stands."""
    return timedelta(days=settings.LEVEL_GRACE_DAYS)


def renew_due(now: datetime, *, limit: int = 500) -> int:
    """At the end of a term: keep the level if its points were earned again, else go down as LEVEL_FALL says.

    The next term begins where the last one ended, however late that is looked at. Within the days of grace an unmet
    level still stands, and points that come in them count. Each fall is a fact. Returns how many wallets were looked
    at.
    """
    fallen: list[Moved] = []
    with transaction.atomic():
        due = list(
            Wallet.objects.filter(level_until__lte=now - grace())
            .order_by("pk")
            .select_for_update(no_key=True, of=("self",))[:limit]
        )
        ladder = list(Level.objects.order_by("rank"))
        earned = _earned([wallet.pk for wallet in due], now=now, since=now - grace() - term())
        for wallet in due:
            held, wallet.earned = _rank(ladder, wallet), earned.get(wallet.pk, 0)
            kept = fall_to(ladder, held, wallet.earned)
            wallet.noticed = None
            if kept is None or kept.rank < held:
                fallen.append((wallet, _key(ladder, wallet), kept))
                wallet.level, wallet.level_since = kept, now
            wallet.level_until = _next_end(wallet, now) if wallet.level else None
        Wallet.objects.bulk_update(due, ["earned", "level", "level_since", "level_until", "noticed"])
        _tell(LEVEL_LOST, fallen, now=now)
    return len(due)


def _next_end(wallet: Wallet, now: datetime) -> datetime:
    """A term after the last one; a term from now where that is over too."""
    end = (wallet.level_until or now) + term()
    return end if end > now else now + term()


def _earned(profiles: Iterable[int], *, now: datetime, since: datetime | None = None) -> dict[int, int]:
    """Points that came in the term, or after `since`, less those reversed, by profile id."""
    whose = {"wallet_id__in": list(profiles), "available_at__gt": since or now - term()}
    rows = PointEntry.objects.filter(Q(available_at__lte=now) | Q(available_at__lte=F("at")), kind="earn", **whose)
    come = Q(reverses__available_at__lte=now) | Q(reverses__available_at__lte=F("reverses__at"))
    undone = PointEntry.objects.filter(come, **{f"reverses__{name}": value for name, value in whose.items()})
    earned = dict(rows.values_list("wallet_id").annotate(n=Sum("amount")))
    for wallet, points in undone.values_list("reverses__wallet_id").annotate(n=Sum("amount")):
        earned[wallet] -= points
    return earned


def _rung(ladder: list[Level], earned: int) -> Level | None:
    reached = [level for level in ladder if level.threshold <= earned]
    return reached[-1] if reached else None


def fall_to(ladder: list[Level], held: int, earned: int) -> Level | None:
    """The level after a term with so many points: the one held if they reach it, at most as far down as LEVEL_FALL
    says."""
    reached = _rung(ladder, earned)
    if settings.LEVEL_FALL == "none" or (reached and reached.rank >= held):
        return next((level for level in ladder if level.rank == held), None)
    below = [level for level in ladder if level.rank < held]
    one_down = below[-1] if below else None
    return reached if settings.LEVEL_FALL == "balance_based" else one_down


def privileges_of(level: Level | None) -> list[Privilege]:
    """What the level brings: its own privileges, and those of lower ones that are not for them only; lowest first."""
    if level is None:
        return []
    rows = Privilege.objects.filter(Q(level=level) | Q(level__rank__lt=level.rank, only=False))
    return list(rows.select_related("benefit", "level"))


def _rank(ladder: list[Level], wallet: Wallet) -> int:
    """The rank held; below every rung without a level."""
    return next((level.rank for level in ladder if level.pk == wallet.level_id), -1)


def _key(ladder: list[Level], wallet: Wallet) -> str:
    """The level held, by key; "" without one."""
    return next((level.key for level in ladder if level.pk == wallet.level_id), "")


def _tell(name: str, moved: list[Moved], *, now: datetime) -> None:
    """State for each wallet the level that it has now, and the one before."""
    shards = dict(Profile.objects.filter(pk__in=[wallet.pk for wallet, _, _ in moved]).values_list("pk", "shard"))
    append_engine_facts(
        [
            (
                wallet.pk,
                shards[wallet.pk],
                name,
                f"level:{wallet.pk}:{level.key if level else ''}:{now.isoformat()}",
                {"level": level.key if level else "", "rank": level.rank if level else None, "before": before},
            )
            for wallet, before, level in moved
        ],
        now=now,
    )
