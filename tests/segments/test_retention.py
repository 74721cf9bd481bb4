"""Retention: published and computed vectors, identities that must hold, days in zones, and the CDNOW sample."""

from __future__ import annotations

import random
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from segments.models import Event, Profile
from segments.retention import (
    Kept,
    Retention,
    active_people,
    at_most,
    curve,
    day_of,
    is_alarming,
    life_cycle,
    mean_daily_share,
    plateau,
    recurring,
    retention,
    stickiness,
)
from tests.people import make_fact, make_profile, make_source
from tests.segments.test_rfm_cdnow import purchases

D0 = date(2026, 3, 2)
NEW_YORK = ZoneInfo("America/New_York")


def days(*numbers: int) -> list[date]:
    return [D0 + timedelta(days=n) for n in numbers]


def counted(people: list[list[int]], today: int) -> Retention:
    return Retention(((days(one[0])[0], days(*one)) for one in people), today=days(today)[0])


def test_the_computed_vectors() -> None:
    found = counted([[0, 1, 7], [0, 3], [5, 6], [9]], today=10)
    assert found.on(1) == Kept(2, 3, 1)
    assert found.on(7) == Kept(1, 2, 2)
    assert (found.since(1), found.since(7)) == (Kept(3, 3, 1), Kept(1, 2, 2))
    assert found.within(1, 3) == Kept(3, 3, 1)
    assert found.on(7).share == 0.5
    assert found.on(10).share is None


def test_recurring_as_published_by_posthog() -> None:
    table = recurring([days(0, 1, 2, 5, 5, 6), days(1, 2, 3, 6)], first=D0, last=days(10)[0])
    assert table == [
        [1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0], [2, 2, 1, 0, 1, 2, 0, 0, 0, 0], [2, 1, 0, 1, 2, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [0, 0, 0, 0],
        [0, 0, 0], [0, 0], [0],
    ]  # fmt: skip


def test_stickiness_as_published() -> None:
    people = [days(1), days(1, 2, 2), days(1, 2, 3), days(5)]
    assert stickiness(people) == {1: 2, 2: 1, 3: 1}
    assert mean_daily_share(people, year=2026, month=3) == pytest.approx(7 / 31 / 4)
    assert mean_daily_share(people, year=2026, month=12) is None


def test_the_day_of_a_return_by_three_definitions() -> None:
    first, back = datetime(2026, 12, 1, 17, 59, tzinfo=UTC), datetime(2026, 12, 2, 17, 0, tzinfo=UTC)
    said = {by: day_of(first, back, ZoneInfo("UTC"), by=by) for by in ("calendar", "hours", "raw")}
    assert said == {"calendar": 1, "hours": 1, "raw": 0}


def test_the_life_cycle_of_intervals() -> None:
    people: list[Collection[int]] = [[0, 1, 3], [1], [2, 3]]
    assert life_cycle(people, until=4) == [
        {"new": 1, "returning": 0, "resurrecting": 0, "dormant": 0},
        {"new": 1, "returning": 1, "resurrecting": 0, "dormant": 0},
        {"new": 1, "returning": 0, "resurrecting": 0, "dormant": -2},
        {"new": 0, "returning": 1, "resurrecting": 1, "dormant": 0},
        {"new": 0, "returning": 0, "resurrecting": 0, "dormant": -2},
    ]


def test_the_plateau_is_three_steps_of_less_than_two_percent() -> None:
    assert plateau([1, 0.5, 0.40, 0.396, 0.39, 0.389, 0.1]) == 2
    assert plateau([1, 0.5, 0.40, 0.396, 0.39]) is None
    assert plateau([0, 0, 0, 0, 0]) is None


@pytest.mark.parametrize(("n", "most"), [(100, 26), (200, 58), (1000, 324)])
def test_the_alarm_of_day_seven(n: int, most: int) -> None:
    assert is_alarming(most, n)
    assert not is_alarming(most + 1, n)
    assert not is_alarming(0, 99)
    assert at_most(n, n, 0.35) == pytest.approx(1)


def random_people(rng: random.Random, many: int = 60) -> list[list[int]]:
    return [sorted({(first := rng.randrange(40)), *(first + rng.randrange(40) for _ in range(rng.randrange(6)))})
            for _ in range(many)]  # fmt: skip


def test_definitions_contain_one_another_and_agree_with_counting(rng: random.Random) -> None:
    for _ in range(20):
        people, today = random_people(rng), rng.randrange(30, 60)
        people = [one for one in people if one[0] <= today]
        found = counted(people, today)
        kept = [found.since(n) for n in range(20)]
        for n in range(20):
            seen = [one for one in people if one[0] + n < today]
            active = sum(one[0] + n in one for one in seen)
            assert found.on(n) == Kept(active, len(seen), len(people) - len(seen))
            later = sum(any(one[0] + n <= day <= today for day in one) for one in seen)
            assert kept[n].active == later
            wide = found.within(n, n + 5)
            old = [one for one in people if one[0] + n + 5 < today]
            assert wide.active == sum(any(n <= day - one[0] <= n + 5 for day in one) for one in old)
            for narrow, wider in ((found.on(n), found.within(n, n)), (found.within(n, n), found.since(n))):
                assert narrow.active <= wider.active  # of the same people
        # of people whose whole span is over, "from day N on" never rises with N
        old_enough = counted([one for one in people if one[0] + 20 < today], today)
        assert all(a.active >= b.active for a, b in pairwise(old_enough.since(n) for n in range(20)))


@pytest.mark.django_db
def test_days_are_the_zones_also_when_clocks_change() -> None:
    """23:59:59 and 00:00:00 are two days, 23 and 25 hours long as they may be."""
    for first, back in (
        (datetime(2026, 3, 7, 23, 59, 59, tzinfo=NEW_YORK), datetime(2026, 3, 8, 0, 0, tzinfo=NEW_YORK)),
        (datetime(2026, 3, 8, 0, 0, tzinfo=NEW_YORK), datetime(2026, 3, 9, 0, 0, tzinfo=NEW_YORK)),  # 23 hours
        (datetime(2026, 11, 1, 0, 0, tzinfo=NEW_YORK), datetime(2026, 11, 1, 23, 59, tzinfo=NEW_YORK)),  # of 25
        (datetime(2026, 3, 9, 19, 0, tzinfo=NEW_YORK), datetime(2026, 3, 9, 21, 0, tzinfo=NEW_YORK)),
        (datetime(2026, 11, 1, 23, 30, tzinfo=NEW_YORK), datetime(2026, 11, 2, 23, 30, tzinfo=NEW_YORK)),
    ):
        person = make_profile()
        make_fact(person, "Signed Up", at=first.astimezone(UTC))
        make_fact(person, "Viewed", at=back.astimezone(UTC))
    now = datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert retention({"Signed Up"}, {"Viewed"}, zone=NEW_YORK, now=now).on(1) == Kept(3, 5, 0)
    assert retention({"Signed Up"}, {"Viewed"}, zone=ZoneInfo("UTC"), now=now).on(1) == Kept(4, 5, 0)


@pytest.mark.django_db
def test_the_database_and_the_file_agree_on_cdnow() -> None:
    source, start = make_source(), datetime(1997, 1, 1, tzinfo=UTC)
    lines = list(purchases())
    people = {customer: Profile(shard=customer % 16, bucket=customer, first_seen_at=start, last_seen_at=start)
              for customer in sorted({customer for customer, _, _ in lines})}  # fmt: skip
    Profile.objects.bulk_create(people.values(), batch_size=500)
    Event.objects.bulk_create(
        [
            Event(source=source, key=str(n), profile=people[customer], shard=customer % 16, kind="track", name="Bought",
                  occurred_at=datetime(day.year, day.month, day.day, n % 24, tzinfo=UTC), received_at=start)
            for n, (customer, day, _) in enumerate(lines)
        ],
        batch_size=500,
    )  # fmt: skip
    now, bought = datetime(1997, 10, 1, tzinfo=UTC), dict[int, list[date]]()
    for customer, day, _ in lines:
        if day <= date(1997, 9, 30):
            bought.setdefault(people[customer].pk, []).append(day)
    read = dict(active_people({"Bought"}, zone=ZoneInfo("UTC"), until=now - timedelta(seconds=1)))
    assert read == {pk: sorted(set(of_one)) for pk, of_one in bought.items()}
    here = retention({"Bought"}, {"Bought"}, zone=ZoneInfo("UTC"), now=now)
    file = Retention(((min(of_one), of_one) for of_one in bought.values()), today=date(1997, 10, 1))
    assert here.on(0) == Kept(2357, 2357, 0)
    assert here.since(1) == Kept(2357 - 1411, 2357, 0)  # so many never came again in the calibration period
    for n in range(0, 180, 7):
        assert (here.on(n), here.since(n), here.within(n, n + 6)) == (file.on(n), file.since(n), file.within(n, n + 6))
        assert here.on(n).active <= here.within(n, n + 6).active <= here.since(n).active
    assert curve(here, reach=3)[1] == here.on(1)


def test_the_first_and_the_last_day_of_a_month_belong_to_it() -> None:
    people = [{date(2026, 3, 1), date(2026, 3, 31)}, {date(2026, 2, 28), date(2026, 4, 1)}]
    assert mean_daily_share(people, year=2026, month=3) == pytest.approx(2 / 31 / 1)
