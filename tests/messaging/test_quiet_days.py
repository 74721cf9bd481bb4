"""Days off, content nobody should read twice, and the hour at which each person reads."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from common.buckets import unit
from messaging.gates._policy import Quiet
from messaging.gates.best_hour import goal, is_compared
from messaging.gates.quiet_hours import is_day_off, next_open
from messaging.models import BestHour, Delivery
from messaging.outbox.sweep import sweep
from segments.models import Profile
from tests.messages import make_account, make_readers, make_version, queue_to
from tests.messaging.gated import LOCMEM, not_before, outcome, queue, rule

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(autouse=True)
def bare(transactional_db: None, settings: Any) -> None:
    """No limit but those of the test."""
    make_account(transport="backend", settings=LOCMEM)
    settings.MESSAGE_CAPS = settings.MESSAGE_GAPS = settings.QUIET_HOURS = ""


# --- days off ---


@pytest.mark.parametrize(
    ("days", "country", "day", "off"),
    [
        ("working", "CN", date(2026, 10, 10), False),  # a Saturday on which China makes up for National Day
        ("working", "CN", date(2026, 10, 17), True),  # a Saturday like any other
        ("working", "CN", date(2026, 10, 5), True),
        ("no_holidays", "CN", date(2026, 10, 1), True),
        ("no_holidays", "CN", date(2026, 10, 17), False),
        ("no_holidays", "us", date(2026, 7, 3), True),  # Independence Day as observed
        ("no_holidays", "", date(2026, 12, 25), False),  # no country, no calendar
        ("no_holidays", "XX", date(2026, 12, 25), False),
        ("working", "", date(2026, 11, 7), True),
        ("working", "", date(2026, 11, 9), False),
        ("every", "CN", date(2026, 10, 1), False),
    ],
)
def test_a_countrys_calendar_says_which_days_are_off(days: str, country: str, day: date, off: bool) -> None:
    assert is_day_off(day, Quiet(days=days), country) is off


def test_what_comes_on_a_holiday_waits_for_the_morning_after_the_last_of_them() -> None:
    rule = Quiet((time(21), time(8)), "working", "CN")
    eve = datetime(2026, 9, 30, 22, tzinfo=SHANGHAI)
    assert next_open(eve, rule, SHANGHAI) == datetime(2026, 10, 8, 8, tzinfo=SHANGHAI)
    fourth = datetime(2026, 10, 4, 12, tzinfo=SHANGHAI)
    assert next_open(fourth, rule, SHANGHAI) == datetime(2026, 10, 8, 8, tzinfo=SHANGHAI)
    work = datetime(2026, 10, 10, 12, tzinfo=SHANGHAI)
    assert next_open(work, rule, SHANGHAI) is None


def test_a_message_is_held_over_a_holiday_of_its_readers_country(settings: Any) -> None:
    rule("quiet", channel="email", starts=time(21), ends=time(8), days="no_holidays")
    noon = datetime(2026, 10, 5, 12, tzinfo=SHANGHAI).astimezone(UTC)
    chinese = make_readers(1, now=noon, timezone="Asia/Shanghai", country="CN")[0]
    german = make_readers(1, now=noon, prefix="de", timezone="Asia/Shanghai", country="DE")[0]
    held = queue(chinese, noon)
    assert outcome(held, noon) == ("held", "day_off")
    assert not_before(held) == datetime(2026, 10, 8, 8, tzinfo=SHANGHAI)
    assert outcome(queue(german, noon), noon) == ("accepted", "")
    assert outcome(queue(chinese, noon, "receipt", klass="transactional"), noon) == ("accepted", "")


def test_a_rule_without_times_switches_the_settings_hours_off(now: datetime, settings: Any) -> None:
    settings.QUIET_HOURS = "email=00:00-23:59"
    person = make_readers(1, now=now)[0]
    assert outcome(queue(person, now, "a"), now) == ("held", "quiet_hours")
    off = rule("quiet", channel="email")
    assert outcome(queue(person, now, "b"), now) == ("accepted", "")
    off.delete()
    settings.QUIET_HOURS = ""
    rule("quiet", channel="all", starts=time(9), ends=time(11))
    assert outcome(queue(person, now, "c"), now) == ("held", "quiet_hours")


# --- the same content ---


def test_nobody_reads_the_same_twice_within_the_days(now: datetime) -> None:
    rule("repeat", channel="email", after_days=7)
    person, other = make_readers(2, now=now)
    version = make_version(now=now)

    def again(who: Profile, at: datetime, prefix: str, **context: Any) -> tuple[str, str]:
        return outcome(queue_to([who], version, now=at, prefix=prefix, context=context)[0], at)

    assert again(person, now, "a", item="tea") == ("accepted", "")
    assert again(person, now + HOUR, "b", item="tea") == ("skipped", "same_content:7")
    assert again(person, now + HOUR, "c", item="cup") == ("accepted", "")
    assert again(other, now + HOUR, "d", item="tea") == ("accepted", "")
    assert again(person, now + 7 * DAY, "e", item="tea") == ("accepted", "")
    assert outcome(queue(person, now + HOUR, "next"), now + HOUR) == ("accepted", "")


def test_without_a_rule_the_same_may_come_again(now: datetime) -> None:
    person, version = make_readers(1, now=now)[0], make_version(now=now)
    told = [outcome(queue_to([person], version, now=now, prefix=one)[0], now) for one in "ab"]
    assert told == [("accepted", "")] * 2


# --- the best hour ---


def hours(person: Profile, hour: int) -> None:
    BestHour.objects.create(profile=person, channel="email", hour=hour, events=9, computed_at=datetime.now(UTC))


def test_marketing_waits_once_for_the_persons_hour(now: datetime) -> None:
    rule("best", channel="email", control=0)
    person, unknown = make_readers(2, now=now, timezone="Asia/Shanghai")  # 18:00 there
    hours(person, 20)
    held = queue(person, now)
    assert outcome(held, now) == ("held", "best_hour:20:00")
    assert not_before(held) == now + 2 * HOUR
    assert outcome(queue(unknown, now), now) == ("accepted", "")
    assert outcome(queue(person, now, "care", klass="lifecycle"), now) == ("accepted", "")
    sweep(now + 2 * HOUR)
    assert outcome(held, now + 2 * HOUR) == ("accepted", "")


def test_the_hour_that_has_begun_counts_and_a_message_that_was_late_goes(now: datetime) -> None:
    rule("best", channel="email", control=0)
    person = make_readers(1, now=now, timezone="Asia/Shanghai")[0]
    hours(person, 18)
    assert outcome(queue(person, now + 30 * HOUR / 60), now + 30 * HOUR / 60) == ("accepted", "")
    late = queue(person, now, "late")
    assert outcome(late, now + 40 * HOUR) == ("accepted", "")


def test_an_hour_outside_the_window_is_not_taken(now: datetime) -> None:
    rule("best", channel="email", control=0, starts=time(8), ends=time(21), fallback=time(19))
    person = make_readers(1, now=now, timezone="Asia/Shanghai")[0]
    hours(person, 23)
    held = queue(person, now)
    assert outcome(held, now) == ("held", "best_hour:19:00")
    assert not_before(held) == now + HOUR


def test_a_tenth_is_compared_and_gets_it_at_the_fallback(now: datetime) -> None:
    best = rule("best", channel="email", fallback=time(19))
    people = make_readers(60, now=now, timezone="Asia/Shanghai")
    for person in people:
        hours(person, 20)
    ids = queue_to(people, make_version(now=now), now=now)
    outcome(ids[0], now)
    expected = {
        person.pk: "best_hour:19:00" if unit(f"best_hour:{best.pk}", person.public_id) < 0.1 else "best_hour:20:00"
        for person in people
    }
    assert dict(Delivery.objects.values_list("profile", "reason")) == expected
    share = sum(is_compared(1, 10, str(number)) for number in range(20_000)) / 20_000
    assert 0.093 < share < 0.107


def test_the_goal_is_never_further_than_a_day() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spring = datetime(2026, 3, 28, 12, tzinfo=UTC)  # the next day's 02:00 does not occur; 03:00 follows
    assert goal(spring, time(2), berlin) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    autumn = datetime(2026, 10, 24, 11, tzinfo=UTC)  # 13:00; of a day of 25 hours 12:00 is the 24th from here
    assert goal(autumn, time(12), berlin) == autumn + DAY


def test_a_rule_for_a_topic_goes_before_one_for_all(now: datetime) -> None:
    rule("best", channel="email", control=0)
    rule("best", channel="email", tag="offers", control=100)
    person = make_readers(1, now=now, timezone="Asia/Shanghai")[0]
    hours(person, 20)
    assert outcome(queue(person, now), now) == ("accepted", ""), "everybody is compared, and there is no fallback"
