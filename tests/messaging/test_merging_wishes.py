"""When two profiles become one, the stricter wish holds."""

from __future__ import annotations

from datetime import timedelta

import pytest

from messaging.models import BestHour, Preference
from segments.erase import erase
from segments.merge import merge
from segments.models import Profile
from tests.people import NOW, make_profile

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
Wish = tuple[int | None, str, int]  # at most, period, days of the break


def wish(person: Profile, said: Wish | None) -> None:
    if said is not None:
        until = NOW + said[2] * DAY if said[2] else None
        Preference.objects.create(profile=person, at_most=said[0], period=said[1], paused_until=until, updated_at=NOW)


@pytest.mark.parametrize(
    ("gone", "into", "expected"),
    [
        ((1, "week", 0), None, (1, "week", 0)),
        (None, (1, "week", 0), (1, "week", 0)),
        ((1, "month", 0), (1, "week", 9), (1, "month", 9)),
        ((3, "week", 5), (1, "week", 0), (1, "week", 5)),
        ((1, "day", 0), (20, "week", 0), (1, "day", 0)),
        ((0, "day", 0), (1, "month", 0), (0, "day", 0)),
        ((None, "week", 30), (2, "week", 10), (2, "week", 30)),
    ],
)
def test_the_stricter_wish_holds(gone: Wish | None, into: Wish | None, expected: Wish) -> None:
    visitor, customer = make_profile(anonymous_id="a"), make_profile(user_id="u")
    wish(visitor, gone)
    wish(customer, into)
    merge(visitor, customer, now=NOW, actor="ada", reason="same person")
    row = Preference.objects.get(profile=customer)
    days = (row.paused_until - NOW).days if row.paused_until else 0
    assert (row.at_most, row.period, days) == expected
    assert Preference.objects.filter(profile=visitor).exists() == (gone is not None)


def test_no_profiling_of_either_holds() -> None:
    visitor, customer = make_profile(anonymous_id="a", no_profiling=True), make_profile(user_id="u")
    merge(visitor, customer, now=NOW, actor="ada", reason="same person")
    assert Profile.objects.get(pk=customer.pk).no_profiling


def test_wishes_and_hours_go_with_the_person() -> None:
    person = make_profile(user_id="u", email="u@example.com")
    wish(person, (1, "week", 0))
    BestHour.objects.create(profile=person, channel="email", hour=8, computed_at=NOW)
    erase(person, now=NOW)
    assert not Preference.objects.exists()
    assert not BestHour.objects.exists()
