"""Sunset and best hours: who does not read gets less, then nothing, until they say so; who reads, at their hour."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from messaging.best_hours import best_of, learn_hours
from messaging.models import Address, BestHour, Click, Delivery, Suppression
from messaging.sunset import Sunk, run_sunset
from segments.facts import names
from segments.models import Event, Profile
from tests.messages import make_account, make_readers, make_version, queue_to
from tests.messaging.gated import LOCMEM, outcome, queue, rule

pytestmark = pytest.mark.django_db(transaction=True)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def bare(transactional_db: None, settings: Any) -> None:
    make_account(transport="backend", settings=LOCMEM)
    settings.MESSAGE_CAPS = settings.MESSAGE_GAPS = settings.QUIET_HOURS = ""


def got(person: Profile, now: datetime, *days: float, klass: str = "marketing", ghost: bool = False) -> list[int]:
    """Messages that went out so many days ago."""
    version = make_version(f"v-{klass}", klass=klass, now=now)
    ids = []
    for ago in days:
        at = now - ago * DAY
        pk = queue_to([person], version, now=at, prefix=f"{ago}-{ghost}")[0]
        Delivery.objects.filter(pk=pk).update(state="accepted", sent_at=at, settled_at=at, ghost=ghost)
        ids.append(pk)
    return ids


def slowed() -> list[str]:
    return list(Address.objects.filter(slowed_at__isnull=False).order_by("value").values_list("value", flat=True))


# --- sunset ---


def test_without_a_rule_nobody_is_slowed(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    got(person, now, *range(1, 100, 7))
    assert run_sunset(now) == Sunk(0, 0)


def test_enough_ignored_for_long_enough(now: datetime) -> None:
    rule("sunset", channel="email", count=3, after_days=30, slow_days=14)
    silent, recent, few, served, ghost, reader = make_readers(6, now=now)
    got(silent, now, 40, 20, 10)
    got(recent, now, 29, 20, 10)
    got(few, now, 90, 80)
    got(served, now, 40, 20, 10, klass="lifecycle")
    got(ghost, now, 40, 20, 10, ghost=True)
    got(reader, now, 90, 40, 35, 20, 10)
    Address.objects.filter(profile=reader).update(last_engaged_at=now - 29 * DAY)
    assert run_sunset(now) == Sunk(1, 0)
    assert slowed() == ["reader-0@example.com"]
    assert run_sunset(now + HOUR) == Sunk(0, 0)
    fact = Event.objects.get(name=names.SUNSET)
    assert fact.profile_id == silent.pk
    assert fact.properties == {"channel": "email", "what": "slowed", "ignored": 3}


def test_who_was_slowed_gets_one_in_a_while_and_all_again_after_a_click(now: datetime) -> None:
    rule("sunset", channel="email", count=3, after_days=30, slow_days=14)
    person = make_readers(1, now=now)[0]
    got(person, now, 40, 20, 10)
    run_sunset(now)
    assert outcome(queue(person, now, "a"), now) == ("skipped", "sunset")
    assert outcome(queue(person, now, "care", klass="lifecycle"), now) == ("accepted", "")
    later = now + 4 * DAY
    assert outcome(queue(person, later, "b"), later) == ("accepted", "")
    assert outcome(queue(person, later, "c"), later) == ("skipped", "sunset")
    Address.objects.filter(profile=person).update(last_engaged_at=later)
    assert outcome(queue(person, later, "d"), later) == ("accepted", "")


def test_after_more_of_them_none_until_they_say_so(now: datetime) -> None:
    rule("sunset", channel="email", count=3, after_days=30, slow_days=14, stop_count=5)
    person = make_readers(1, now=now)[0]
    got(person, now, 60, 50, 40, 30, 20)
    assert run_sunset(now) == Sunk(0, 1)
    address = Address.objects.get()
    assert (address.suppressed, Suppression.objects.get().note) == ("sunset", "5 in a row")
    assert outcome(queue(person, now, "a"), now) == ("skipped", "suppressed:sunset")
    assert outcome(queue(person, now, "r", klass="transactional"), now) == ("accepted", "")
    assert run_sunset(now + DAY) == Sunk(0, 0)


# --- best hours ---


def clicks(person: Profile, *answers: tuple[str, datetime], machine: bool = False) -> None:
    now = max(at for _, at in answers)
    pk = got(person, now, 0.5)[0] if not Delivery.objects.filter(profile=person).exists() else None
    delivery = pk or Delivery.objects.filter(profile=person).values_list("pk", flat=True)[0]
    Click.objects.bulk_create([
        Click(delivery_id=delivery, kind=kind, at=at, machine=machine, why="bare" if machine else "")
        for kind, at in answers
    ])  # fmt: skip


def hours() -> dict[int, tuple[int, int]]:
    return {who: (hour, events) for who, hour, events in BestHour.objects.values_list("profile", "hour", "events")}


def at_hour(now: datetime, hour: int, ago: int) -> datetime:
    return now.replace(hour=hour, minute=15) - ago * DAY


def test_nothing_is_learnt_unless_a_rule_asks(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    clicks(person, *[("click", at_hour(now, 8, 1))] * 3)
    assert learn_hours(now) == 0


def test_the_hour_is_read_on_the_persons_clock_and_machines_do_not_count(now: datetime) -> None:
    rule("best", channel="email")
    early, late, odd = make_readers(3, now=now)
    Profile.objects.filter(pk=late.pk).update(timezone="Asia/Shanghai")
    clicks(early, *[("click", at_hour(now, 7, day)) for day in (1, 2, 3)])
    clicks(early, *[("click", at_hour(now, 3, day)) for day in range(1, 30)], machine=True)
    clicks(late, *[("click", at_hour(now, 12, day)) for day in (1, 2, 3, 4)])
    clicks(odd, ("click", at_hour(now, 22, 1)))
    assert learn_hours(now) == 3
    assert hours() == {early.pk: (7, 3), late.pk: (20, 4), odd.pk: (20, 1)}, "one click decides nothing: all readers do"


def test_clicks_weigh_three_opens_one_and_old_ones_half_after_thirty_days(now: datetime) -> None:
    rule("best", channel="email")
    mixed, aged = make_readers(2, now=now)
    clicks(mixed, *[("open", at_hour(now, 9, 1))] * 20, *[("click", at_hour(now, 18, 1))] * 8)
    clicks(aged, *[("click", at_hour(now, 6, 61))] * 30, *[("click", at_hour(now, 5, 1))] * 10)
    learn_hours(now)
    assert hours()[mixed.pk][0] == 18, "20 opens are lighter than 8 clicks"
    assert hours()[aged.pk][0] == 5, "30 clicks of two months ago weigh a quarter: less than 10 of yesterday"
    Click.objects.update(at=now - 91 * DAY)
    assert learn_hours(now + HOUR) == 0
    assert hours() == {}, "what nobody shows any more is forgotten"


def test_the_window_of_the_rule_bounds_it(now: datetime) -> None:
    rule("best", channel="email", starts=time(9), ends=time(21))
    person = make_readers(1, now=now)[0]
    clicks(person, *[("click", at_hour(now, 23, 1))] * 9, *[("click", at_hour(now, 20, 1))] * 2)
    learn_hours(now)
    assert hours()[person.pk] == (20, 11)
    weights = [0.0] * 24
    weights[2] = weights[5] = 1.0
    assert best_of(weights, None) == 2
    assert best_of(weights, (time(22), time(3))) == 2
    assert best_of(weights, (time(4), time(6))) == 5


def test_a_click_in_the_hour_of_the_gate(now: datetime) -> None:
    """From the click to the message that waits for the hour."""
    rule("best", channel="email", control=0)
    person = make_readers(1, now=now)[0]
    clicks(person, *[("click", at_hour(now, 14, day)) for day in (1, 2, 3)])
    learn_hours(now)
    held = queue(person, now, "next")
    assert outcome(held, now) == ("held", "best_hour:14:00")
    assert Delivery.objects.get(pk=held).not_before == datetime(2026, 11, 2, 14, tzinfo=UTC)
