"""Limits that operators and people set: what counts, for whom, and what becomes of a message above one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from messaging.gates._policy import current, read_once
from messaging.models import Delivery, Preference
from messaging.outbox.sweep import sweep
from messaging.permission import address_for, give_consent
from tests.messages import make_account, make_readers
from tests.messaging.gated import LOCMEM, not_before, outcome, queue, rule

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def bare(transactional_db: None, settings: Any) -> None:
    """No limit but those of the test."""
    make_account(transport="backend", settings=LOCMEM)
    settings.MESSAGE_CAPS = settings.MESSAGE_GAPS = settings.QUIET_HOURS = ""


def fates(person: Any, now: datetime, count: int, **fields: Any) -> list[tuple[str, str]]:
    return [outcome(queue(person, now, f"n{number}", **fields), now) for number in range(count)]


def test_a_rolling_limit_counts_the_last_hours_and_frees_with_the_oldest(now: datetime) -> None:
    rule(channel="email", at_most=2, period="rolling", hours=72)
    person = make_readers(1, now=now)[0]
    first, second = queue(person, now, "a"), queue(person, now + 10 * HOUR, "b")
    assert outcome(first, now) == outcome(second, now + 10 * HOUR) == ("accepted", "")
    third = queue(person, now + DAY, "c")
    assert outcome(third, now + DAY) == ("held", "cap:email:72h")
    assert not_before(third) == now + 72 * HOUR
    assert sweep(now + 72 * HOUR).released == 1
    assert outcome(third, now + 72 * HOUR) == ("accepted", "")


def test_a_calendar_month_is_the_recipients(now: datetime) -> None:
    rule(channel="email", at_most=1, period="month")
    person = make_readers(1, now=now, timezone="Asia/Shanghai")[0]
    eve = datetime(2026, 11, 30, 15, 50, tzinfo=UTC)  # 23:50 in Shanghai
    assert fates(person, eve, 2) == [("accepted", ""), ("held", "cap:email:month")]
    assert outcome(queue(person, eve + HOUR, "dec"), eve + HOUR) == ("accepted", "")


def test_an_operators_rule_stands_instead_of_the_settings_and_blank_is_off(now: datetime, settings: Any) -> None:
    settings.MESSAGE_CAPS = "email=1/day all=5/day"
    person = make_readers(1, now=now)[0]
    mine = rule(channel="email", at_most=3, period="day")
    assert [state for state, _ in fates(person, now, 4)] == ["accepted"] * 3 + ["held"]
    mine.at_most = None
    mine.save()
    assert outcome(queue(person, now, "off"), now) == ("accepted", "")
    mine.at_most = 0
    mine.save()
    assert outcome(queue(person, now, "none"), now) == ("skipped", "cap:email:day")
    mine.active = False
    mine.save()
    assert outcome(queue(person, now, "again"), now) == ("held", "cap:email:day")


def test_a_tag_is_a_topic_or_a_campaign_and_binds_its_own_messages_alone(now: datetime) -> None:
    rule(channel="email", at_most=1, period="day", tag="offers")
    rule(channel="all", at_most=1, period="day", tag="spring", over="skip")
    person = make_readers(1, now=now)[0]
    address = address_for(person, "email", now)
    assert address is not None
    give_consent(address, "news", now=now, source="form")
    assert outcome(queue(person, now, "a"), now) == ("accepted", "")
    assert outcome(queue(person, now, "b"), now) == ("held", "cap:email:day:offers")
    assert outcome(queue(person, now, "c", topic="news", campaign="spring"), now) == ("accepted", "")
    assert outcome(queue(person, now, "d", topic="news", campaign="spring"), now) == ("skipped", "cap:all:day:spring")
    assert outcome(queue(person, now, "e", topic="news", campaign="autumn"), now) == ("accepted", "")


def test_a_class_narrows_a_limit(now: datetime) -> None:
    rule(channel="all", at_most=1, period="day", klass="lifecycle")
    person = make_readers(1, now=now)[0]
    assert outcome(queue(person, now, "a"), now) == ("accepted", "")
    assert outcome(queue(person, now, "b", klass="lifecycle"), now) == ("accepted", "")
    assert outcome(queue(person, now, "c", klass="lifecycle"), now) == ("held", "cap:all:day:lifecycle")
    assert outcome(queue(person, now, "d"), now) == ("accepted", "")
    assert outcome(queue(person, now, "e", klass="transactional"), now) == ("accepted", "")


def test_a_gap_in_a_rule_replaces_the_settings(now: datetime, settings: Any) -> None:
    settings.MESSAGE_GAPS = "email=16h"
    rule(channel="email", period="gap", hours=2)
    person = make_readers(1, now=now)[0]
    assert outcome(queue(person, now, "a"), now) == ("accepted", "")
    second = queue(person, now + HOUR, "b")
    assert outcome(second, now + HOUR) == ("held", "gap:email")
    assert not_before(second) == now + 2 * HOUR


def test_patience_ends_a_wait_that_would_last_too_long(now: datetime) -> None:
    rule(channel="email", at_most=1, period="week", hold_hours=48)
    person = make_readers(1, now=now)[0]  # a Monday: the next week is seven days away
    assert fates(person, now, 2) == [("accepted", ""), ("expired", "cap:email:week")]
    friday = now + 5 * DAY  # Saturday 10:00; Monday 00:00 is 38 hours away
    assert outcome(queue(person, friday, "late"), friday) == ("held", "cap:email:week")


def test_a_persons_own_limit_stands_beside_and_an_exception_instead(now: datetime, settings: Any) -> None:
    settings.MESSAGE_CAPS = "email=2/day"
    modest, special, other = make_readers(3, now=now)
    Preference.objects.create(profile=modest, at_most=1, period="week", updated_at=now)
    Preference.objects.create(profile=special, at_most=4, period="day", replaces=True, updated_at=now)
    assert fates(modest, now, 2) == [("accepted", ""), ("held", "own:week")]
    assert outcome(queue(modest, now, "care", klass="lifecycle"), now) == ("accepted", "")
    assert [state for state, _ in fates(special, now, 5)] == ["accepted"] * 4 + ["held"]
    assert [state for state, _ in fates(other, now, 3)] == ["accepted"] * 2 + ["held"]


def test_a_monthly_wish_looks_back_a_month_though_nothing_else_does(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    assert outcome(queue(person, now, "a"), now) == ("accepted", "")
    Preference.objects.create(profile=person, at_most=1, period="month", updated_at=now)
    late = datetime(2026, 11, 29, 12, tzinfo=UTC)
    held = queue(person, late, "b")
    assert outcome(held, late) == ("held", "own:month")
    assert not_before(held) == datetime(2026, 12, 1, tzinfo=UTC)


def test_zero_by_wish_is_none(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    Preference.objects.create(profile=person, at_most=0, updated_at=now)
    assert outcome(queue(person, now), now) == ("skipped", "own:week")


def test_a_break_skips_marketing_until_it_ends(now: datetime) -> None:
    person = make_readers(1, now=now)[0]
    Preference.objects.create(profile=person, paused_until=now + 30 * DAY, updated_at=now)
    assert outcome(queue(person, now, "a"), now) == ("skipped", "own:break")
    assert outcome(queue(person, now, "b", klass="lifecycle"), now) == ("accepted", "")
    end = now + 30 * DAY
    assert outcome(queue(person, end, "c"), end) == ("accepted", "")


# --- who goes first ---


def test_where_there_is_room_for_one_the_more_important_goes(now: datetime) -> None:
    rule(channel="all", at_most=1, period="day")
    person = make_readers(1, now=now)[0]
    small, great = queue(person, now, "small", priority=1), queue(person, now, "great", priority=5)
    assert outcome(small, now) == ("held", "priority:cap:all:day")
    assert Delivery.objects.get(pk=great).state == "accepted"
    soon = now + timedelta(minutes=10)
    sweep(soon)
    assert outcome(small, soon) == ("held", "cap:all:day")


def test_a_lesser_message_waits_for_one_that_is_due_and_not_for_one_long_overdue(now: datetime) -> None:
    rule(channel="email", at_most=1, period="day")
    person = make_readers(1, now=now)[0]
    great, small = queue(person, now, "great", priority=5), queue(person, now, "small", priority=1)
    slow = make_account("slow", is_default=False, active=False, transport="backend", settings=LOCMEM)
    Delivery.objects.filter(pk=great).update(account=slow)
    assert outcome(small, now) == ("held", "priority:cap:email:day")
    assert not_before(small) == now + timedelta(minutes=10)
    later = now + HOUR + timedelta(minutes=1)
    sweep(later)
    assert outcome(small, later) == ("accepted", "")


# --- the rules themselves ---


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"channel": "email", "at_most": 1}, {"period"}),
        ({"channel": "email", "at_most": 1, "period": "rolling"}, {"hours"}),
        ({"kind": "quiet", "starts": "21:00"}, {"ends"}),
        ({"kind": "quiet", "starts": "21:00", "ends": "21:00"}, {"ends"}),
        ({"kind": "sunset"}, {"count", "after_days"}),
        ({"kind": "sunset", "count": 5, "after_days": 9, "stop_count": 5}, {"stop_count"}),
        ({"kind": "repeat"}, {"after_days"}),
        ({"kind": "best", "control": 101}, {"control"}),
    ],
)
def test_what_is_missing_is_said_at_its_field(fields: dict[str, Any], wrong: set[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        rule(**fields)
    assert set(caught.value.error_dict) == wrong


def test_two_rules_for_the_same_thing_are_refused() -> None:
    rule(channel="email", at_most=1, period="day")
    with pytest.raises(ValidationError, match="There is a rule for this already"):
        rule(channel="email", at_most=2, period="day")
    rule(channel="email", at_most=2, period="day", tag="offers")


def test_a_claim_reads_the_rules_once() -> None:
    rule(channel="email", at_most=1, period="day")
    with CaptureQueriesContext(connection) as seen, read_once():
        assert [current() for _ in range(5)] == [current()] * 5
    assert len(seen) == 3
