"""Windows and calendar days around the days on which clocks change, in zones of every kind, against plain dates."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.periods import start_of_day
from segments.growth.missions import period_of
from segments.models import Membership, Mission, PointEntry, Profile, Scores, Segment, Wallet
from segments.refresh import refresh_due
from segments.rules.compile import people
from segments.rules.operators import At
from segments.rules.parse import parse_rule
from tests.people import make_fact, make_profile
from tests.segments.refresh.settled import settle_log

CHANGES = {  # days of 23, 25 and 23.5 hours, a midnight that does not exist, and one that comes twice
    "America/New_York": [date(2026, 3, 8), date(2026, 11, 1)],
    "Australia/Lord_Howe": [date(2026, 4, 5), date(2026, 10, 4)],
    "America/Santiago": [date(2026, 4, 4), date(2026, 9, 6)],
    "Africa/Cairo": [date(2026, 4, 24), date(2026, 10, 29)],
    "Asia/Shanghai": [date(2026, 3, 8)],
}
CASES = [(name, day) for name, days in CHANGES.items() for day in days]
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def instants(rng: random.Random, day: date, tz: ZoneInfo, many: int) -> list[datetime]:
    """Moments around the midnights of the days beside, to the second."""
    near = [start_of_day(day + n * DAY, tz) + k * SECOND for n in range(-3, 4) for k in (-1, 0, 1)]
    return [rng.choice(near) if rng.random() < 0.6 else near[0] + rng.random() * 6 * DAY for _ in range(many)]


def shifted(at: datetime, tz: ZoneInfo) -> date:
    """The date on the wall, by offset arithmetic alone."""
    offset = at.astimezone(tz).utcoffset()
    assert offset is not None
    return (at.replace(tzinfo=None) + offset).date()


def leaves(rng: random.Random, day: date) -> list[tuple[dict[str, Any], Any]]:
    """Questions, each with its plain reading of (instant, now, their dates)."""
    n, some = rng.randint(0, 3), day + rng.randint(-2, 2) * DAY
    trait = {"trait": "registered_at"}
    return [
        ({"op": "trait", "params": {**trait, "op": "last_days", "days": n}},
         lambda at, now, d, today: today - n * DAY <= d <= today),
        ({"op": "trait", "params": {**trait, "op": "next_days", "days": n}},
         lambda at, now, d, today: today <= d <= today + n * DAY),
        ({"op": "trait", "params": {**trait, "op": "days_ago", "days": n}},
         lambda at, now, d, today: d <= today - n * DAY),
        ({"op": "trait", "params": {**trait, "op": "before", "value": some.isoformat()}},
         lambda at, now, d, today: d < some),
        ({"op": "trait", "params": {**trait, "op": "between_days", "first": some.isoformat(), "last": some.isoformat()}},
         lambda at, now, d, today: d == some),
        ({"op": "event_first_last", "params": {"event": "Viewed", "which": "first", "op": "after", "day": some.isoformat()}},
         lambda at, now, d, today: at <= now and d > some),
        ({"op": "event_first_last", "params": {"event": "Viewed", "which": "last", "op": "before", "day": some.isoformat()}},
         lambda at, now, d, today: at <= now and d < some),
        ({"op": "event_count", "params": {"event": "Viewed", "op": "exactly", "count": 1, "days": n + 1}},
         lambda at, now, d, today: now - (n + 1) * DAY < at <= now),
        ({"op": "stage_time", "params": {"op": "at_least", "days": n + 1}},
         lambda at, now, d, today: (today - d).days >= n + 1),
        ({"op": "wallet", "params": {"what": "expiring", "op": "at_least", "points": 1, "days": n}},
         lambda at, now, d, today: d <= today + n * DAY),
    ]  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "day"), CASES)
def test_days_are_those_of_the_zone(name: str, day: date, rng: random.Random) -> None:
    tz = ZoneInfo(name)
    known: dict[int, datetime] = {}
    for n, at in enumerate(instants(rng, day, tz, 25)):
        person = make_profile(user_id=f"p{n}")
        Profile.objects.filter(pk=person.pk).update(registered_at=at)
        make_fact(person, "Viewed", at=at)
        Scores.objects.create(profile=person, stage="growing", stage_since=at, computed_at=at)
        wallet = Wallet.objects.create(profile=person, balance=5)
        PointEntry.objects.create(
            wallet=wallet,
            kind="earn",
            amount=5,
            sign=1,
            at=at - 9 * DAY,
            available_at=at - 9 * DAY,
            expires_at=at,
            key=f"k{n}",
        )
        known[person.pk] = at
    for now in instants(rng, day, tz, 12):
        today = shifted(now, tz)
        for raw, plain in leaves(rng, day):
            expected = {pk for pk, at in known.items() if plain(at, now, shifted(at, tz), today)}
            found = set(people(parse_rule(raw), At(now, tz)).values_list("pk", flat=True))
            assert found == expected, (raw, now)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("name", "day"), [CASES[0], CASES[1], CASES[5]])
def test_members_follow_the_calendar_hour_by_hour(name: str, day: date, rng: random.Random, settings: Any) -> None:
    settings.WORKSPACE_ZONE = name
    tz = ZoneInfo(name)
    for n, at in enumerate(instants(rng, day, tz, 12)):
        person = make_profile(user_id=f"p{n}")
        Profile.objects.filter(pk=person.pk).update(registered_at=at)
        make_fact(person, "Viewed", at=at)
    for n, (raw, _) in enumerate(leaves(rng, day)[:8]):
        Segment.objects.create(key=f"s{n}", name=str(n), rule=raw)
    now = start_of_day(day - DAY, tz) - timedelta(hours=1)
    while now < start_of_day(day + 2 * DAY, tz):
        settle_log()
        assert not [report for report in refresh_due(now) if report.error]
        for segment in Segment.objects.all():
            full = set(people(parse_rule(segment.rule), At(now, tz)).values_list("pk", flat=True))
            kept = set(Membership.objects.filter(segment=segment).values_list("profile_id", flat=True))
            assert kept == full, (segment.rule, now)
        now += timedelta(minutes=rng.choice([30, 60, 180, 420]))


@pytest.mark.parametrize(("name", "day"), CASES)
def test_periods_of_a_mission_are_those_of_the_persons_zone(name: str, day: date, rng: random.Random) -> None:
    tz = ZoneInfo(name)
    for at in instants(rng, day, tz, 40):
        here = shifted(at, tz)
        monday = here - timedelta(days=here.weekday())
        week = (
            f"{(monday + 3 * DAY).year}-W{((monday + 3 * DAY) - date((monday + 3 * DAY).year, 1, 1)).days // 7 + 1:02}"
        )
        said = {period: period_of(Mission(period=period), at, tz) for period in ("ever", "day", "week", "month")}
        assert said == {"ever": "", "day": here.isoformat(), "week": week, "month": f"{here:%Y-%m}"}
    assert at.tzinfo is UTC
