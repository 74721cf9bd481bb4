"""Where one person stands: points and when they expire, the level and what is missing, badges, missions, coupons.

The profile page and the person's own app read the same. A bounded number of statements, whatever there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q

from common.periods import zone
from segments.growth.ledger import Balance, balance
from segments.growth.level_notices import staying
from segments.growth.levels import privileges_of
from segments.growth.lots import open_lots
from segments.growth.missions import done_often, period_of, sentence, times_of
from segments.models import (
    Award,
    Benefit,
    Coupon,
    Level,
    Mission,
    MissionProgress,
    PointEntry,
    Privilege,
    Profile,
    Wallet,
)

MOST = 100  # rows of each kind
PAST = timedelta(days=90)  # for so long coupons that are used or over are shown


@dataclass(frozen=True)
class Expiring:
    """Points that end at one moment."""

    points: int
    at: datetime


@dataclass(frozen=True)
class Rung:
    """The level held (None: none), until when, and what is missing in points: to keep it, and to reach the `next`."""

    level: Level | None
    since: datetime | None
    until: datetime | None
    earned: int
    missing_to_keep: int
    next: Level | None
    missing_to_next: int
    privileges: list[Privilege]


@dataclass(frozen=True)
class Task:
    """One active mission in the present period: `count` of `target`, completed `times`; `over` when no more counts."""

    mission: Mission
    period: str
    count: int
    times: int
    over: bool
    completed_at: datetime | None
    lapses_at: datetime | None
    text: str

    @property
    def share(self) -> int:
        """Per cent of the target."""
        return min(100, 100 * self.count // self.mission.target)


@dataclass(frozen=True)
class Standing:
    """All of it, at one moment."""

    points: Balance
    expiring: list[Expiring]
    coming: list[Expiring]
    rung: Rung
    badges: list[Award]
    tasks: list[Task]
    coupons: list[Coupon]


def standing(profile: Profile, now: datetime, *, language: str) -> Standing:
    """Where the person stands at `now`; `language` is that of the missions' sentences."""
    return Standing(
        balance(profile.pk, now),
        expiring(profile.pk, now),
        coming(profile.pk, now),
        rung(profile.pk, now),
        list(Award.objects.filter(profile=profile).select_related("badge").order_by("-at", "-pk")[:MOST]),
        tasks(profile, now, language=language),
        coupons(profile.pk, now),
    )


def expiring(profile: int, now: datetime) -> list[Expiring]:
    """What of the active points ends when, soonest first."""
    left = dict(open_lots(profile, now=now))
    ends = PointEntry.objects.filter(pk__in=left, expires_at__isnull=False).values_list("expires_at", "pk")
    sums: dict[datetime, int] = {}
    for at, lot in ends:
        assert at is not None
        sums[at] = sums.get(at, 0) + left[lot]
    return [Expiring(points, at) for at, points in sorted(sums.items())][:MOST]


def coming(profile: int, now: datetime) -> list[Expiring]:
    """Points that are still to come, by the moment at which they will, less those undone before."""
    sums: dict[datetime, int] = {}
    rows = PointEntry.objects.filter(wallet_id=profile, available_at__gt=now)
    for at, points, sign in rows.values_list("available_at", "amount", "sign"):
        sums[at] = sums.get(at, 0) + sign * points
    return [Expiring(points, at) for at, points in sorted(sums.items()) if points > 0][:MOST]


def rung(profile: int, now: datetime) -> Rung:
    """The level held and what is missing."""
    ladder = list(Level.objects.order_by("rank"))
    wallet = Wallet.objects.filter(pk=profile).select_related("level").first()
    level, earned = (wallet.level, wallet.earned) if wallet else (None, 0)
    above = next((one for one in ladder if one.rank > (level.rank if level else -1) and one.threshold > earned), None)
    staying_on = staying(now).filter(pk=profile).first() if level else None
    missing = max(0, level.threshold - staying_on.holds) if level and staying_on else 0
    return Rung(
        level,
        wallet.level_since if wallet else None,
        wallet.level_until if wallet else None,
        earned,
        0 if settings.LEVEL_FALL == "none" else missing,
        above,
        above.threshold - earned if above else 0,
        privileges_of(level),
    )


def tasks(profile: Profile, now: datetime, *, language: str) -> list[Task]:
    """Every active mission with how far it has come in the present period, 0 where nothing was done."""
    missions = list(Mission.objects.filter(active=True).select_related("badge").order_by("pk")[:MOST])
    tz = zone(profile.timezone)
    periods = {mission.pk: period_of(mission, now, tz) for mission in missions}
    here = Q(pk__in=[])
    for mission in missions:
        here |= Q(mission=mission, version=mission.version, period=periods[mission.pk])
    rows = {row.mission_id: row for row in MissionProgress.objects.filter(here, profile=profile)}
    return [_task(mission, periods[mission.pk], rows.get(mission.pk), now, language) for mission in missions]


def coupons(profile: int, now: datetime) -> list[Coupon]:
    """Coupons that may be used, the first to end before others; then those used or over lately."""
    rows = Coupon.objects.filter(profile=profile).select_related("pool__benefit")
    lately = Q(assigned_at__gte=now - PAST) | Q(expires_at__gte=now - PAST)
    found = list(rows.filter(Q(state=Coupon.State.ASSIGNED) | lately).order_by("expires_at", "pk")[:MOST])
    return sorted(found, key=lambda one: state_of(one, now) != Coupon.State.ASSIGNED)


def state_of(coupon: Coupon, now: datetime) -> str:
    """The state, of which the timetable may not know yet that its time is over."""
    over = coupon.state == Coupon.State.ASSIGNED and coupon.expires_at is not None and coupon.expires_at <= now
    return Coupon.State.EXPIRED.value if over else str(coupon.state)


def worth(benefit: Benefit) -> dict[str, Any]:
    """What a benefit is worth: kind, and an amount in minor units of `currency`, or in basis points."""
    return {"kind": benefit.kind, "amount": benefit.amount, "currency": benefit.currency}


def _task(mission: Mission, period: str, row: MissionProgress | None, now: datetime, language: str) -> Task:
    lapsed = row is not None and row.lapses_at is not None and row.lapses_at <= now
    times = times_of(row) if row else 0
    return Task(
        mission,
        period,
        row.count if row and not lapsed else 0,
        times,
        done_often(mission, times),
        row.completed_at if row else None,
        row.lapses_at if row and not lapsed else None,
        sentence(mission, language),
    )
