"""How fast an account goes: bucket, day and warm-up in the database, slowing down when asked to, and who stands in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connections

from messaging.channels import Answer, Outcome
from messaging.models import Account, Attempt, Delivery
from messaging.models.ledger import check_ramp
from messaging.outbox import pacing
from messaging.outbox.accounts import usable
from messaging.outbox.claim import claim_due
from messaging.outbox.send import send_due
from messaging.outbox.sweep import sweep
from tests.harness import free_port
from tests.messages import make_account, make_readers, make_version, queue_to, render_plainly
from tests.messaging.channels.gateway import Asked, Gateway, Said, serving
from tests.messaging.witness import Witness, witness
from tests.people import make_profile

pytestmark = pytest.mark.django_db(transaction=True)
LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def local(**fields: Any) -> Account:
    return make_account(transport="backend", settings=LOCMEM, **fields)


def plan(count: int, now: datetime, *, prefix: str = "reader") -> list[int]:
    people = make_readers(count, now=now, topic="", prefix=prefix)
    return queue_to(people, make_version(f"v-{prefix}", klass="lifecycle", now=now), now=now)


def send(now: datetime) -> dict[str, int]:
    return send_due(worker="test", now_fn=lambda: now, render=render_plainly).states


# the bucket


def test_what_is_reserved_and_not_claimed_is_given_back(now: datetime) -> None:
    account = local(rate=10.0, burst=100)
    plan(3, now)
    claim = claim_due(account, speed=1, now=now)
    assert claim is not None
    assert len(claim.ids) == 3
    account.refresh_from_db()
    assert (account.tokens, account.day_count) == (97.0, 3)
    assert claim_due(account, speed=1, now=now) is None
    account.refresh_from_db()
    assert (account.tokens, account.day_count) == (97.0, 3)


def test_an_account_without_limits_is_not_locked(now: datetime, django_assert_num_queries: Any) -> None:
    account = local()
    with django_assert_num_queries(1):
        assert pacing.reserve(account.pk, 500, now) == pacing.Reserved(account, 500)


@pytest.mark.postgres
def test_eight_workers_share_one_bucket_and_one_day(now: datetime) -> None:
    account = local(rate=1.0, burst=50, daily=45)
    got: list[int] = []

    def take() -> None:
        try:
            for _ in range(3):
                reserved = pacing.reserve(account.pk, 4, now)
                got.append(reserved.count if reserved else 0)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 45
    account.refresh_from_db()
    assert (account.tokens, account.day_count) == (5.0, 45)


# the day and the warm-up


@pytest.mark.parametrize(
    ("day", "daily", "limit"),
    [
        (date(2026, 11, 1), None, 0), (date(2026, 11, 2), None, 50), (date(2026, 11, 3), None, 100),
        (date(2026, 11, 4), None, 500), (date(2026, 11, 5), None, None), (date(2026, 11, 5), 400, 400),
        (date(2026, 11, 4), 400, 400), (date(2026, 11, 2), 400, 50), (date(2026, 11, 2), 0, 0),
    ],
)  # fmt: skip
def test_the_limit_of_a_day(day: date, daily: int | None, limit: int | None) -> None:
    account = Account(daily=daily, ramp=[50, 100, 500], ramp_from=date(2026, 11, 2))
    assert pacing.limit_of(account, day) == limit


def test_a_day_ends_and_the_next_one_goes_on(now: datetime) -> None:
    local(ramp=[5, 12], ramp_from=now.date())
    plan(30, now)
    assert send(now) == {"accepted": 5}
    assert send(now + MINUTE) == {}
    assert Account.objects.get().day_count == 5
    assert send(now + DAY) == {"accepted": 12}
    assert send(now + 2 * DAY) == {"accepted": 13}, "the warm-up is over"
    assert Delivery.objects.filter(state="accepted").count() == 30


def test_what_was_not_handed_over_does_not_count_as_sent_today(now: datetime) -> None:
    account = local(daily=10)
    ids = plan(8, now)
    Delivery.objects.filter(pk__in=ids[:3]).update(expires_at=now - SECOND)
    assert send(now) == {"expired": 3, "accepted": 5}
    account.refresh_from_db()
    assert account.day_count == 5


# slowing down


def slow(code: str = "HTTP 429", retry_at: datetime | None = None) -> Answer:
    return Answer(Outcome.TRANSIENT, code, retry_at=retry_at, slows=True)


def test_the_pace_is_halved_once_for_all_who_are_told_and_comes_back_by_tenths(now: datetime) -> None:
    account = local()
    for told in range(3):  # three workers within one second
        pacing.note_pace(account, [slow()], now + told * timedelta(milliseconds=300))
    account.refresh_from_db()
    assert (account.pace, account.rests_until, account.rests_why) == (0.5, now + timedelta(seconds=1.6), "HTTP 429")
    pacing.note_pace(account, [slow()], now + 5 * SECOND)
    account.refresh_from_db()
    assert (account.pace, account.rests_until) == (0.25, now + 7 * SECOND)
    for step in range(1, 9):
        pacing.note_pace(account, [Answer(Outcome.SENT)], now + 5 * SECOND + step * timedelta(seconds=30))
    account.refresh_from_db()
    assert account.pace == 1.0


def test_the_provider_says_how_long_to_rest(now: datetime) -> None:
    account = local()
    pacing.note_pace(account, [slow(retry_at=now + 90 * SECOND), Answer(Outcome.NOT_BEGUN)], now)
    assert usable(now + 89 * SECOND) == []
    assert pacing.reserve(account.pk, 10, now + 89 * SECOND) is None
    assert usable(now + 90 * SECOND) == [account]
    reserved = pacing.reserve(account.pk, 10, now + 90 * SECOND)
    assert reserved is not None
    assert reserved.count == 5, "at half the pace"


def test_the_pace_has_a_floor_and_a_rest_an_end(now: datetime) -> None:
    account = local()
    for step in range(20):
        pacing.note_pace(account, [slow(retry_at=now + 9 * DAY)], now + step * MINUTE)
    account.refresh_from_db()
    assert account.pace == pacing.SLOWEST
    assert account.rests_until == now + 19 * MINUTE + DAY


def throttle(asked: Asked) -> Said:
    """Takes one message, then asks to wait seven seconds."""
    throttle.asked = getattr(throttle, "asked", 0) + 1  # type: ignore[attr-defined]
    if throttle.asked == 2:  # type: ignore[attr-defined]
        return Said(429, {"code": 20429, "message": "…", "status": 429}, (("Retry-After", "7"),))
    return Said(201, {"sid": f"SM{throttle.asked}", "status": "queued", "error_code": None})  # type: ignore[attr-defined]


@pytest.fixture
def busy(settings: Any) -> Iterator[Gateway]:
    settings.OUTBOUND_HTTP, settings.OUTBOUND_PRIVATE = True, ["127.0.0.0/8"]
    throttle.asked = 0  # type: ignore[attr-defined]
    with serving(throttle) as server:
        yield server


def test_a_throttled_account_rests_as_told_and_loses_nothing(now: datetime, busy: Gateway) -> None:
    said = {"url": busy.url, "account_sid": "AC1", "auth_token": "t"}
    make_account("sms", channel="sms", transport="twilio", sender="+15005550006", settings=said)
    people = [make_profile(phone=f"+1500555{n:04}", now=now) for n in range(5)]
    queue_to(people, make_version(channel="sms", klass="transactional", topic="", now=now), now=now)
    assert send(now) == {"accepted": 1, "planned": 4}
    account = Account.objects.get()
    assert (account.rests_until, account.rests_why, account.pace) == (now + 7 * SECOND, "twilio 20429", 0.5)
    assert send(now + 6 * SECOND) == {}
    at = now + 7 * SECOND
    for _ in range(5):
        send(at)
        at += MINUTE
    assert Delivery.objects.filter(state="accepted").count() == 5
    assert len(busy.asked) == 6, "each was taken once, and one was refused once"


# who stands in


def test_another_account_takes_over_while_the_breaker_is_open(now: datetime, tmp_path: Path) -> None:
    make_account(port=free_port())
    with witness(tmp_path) as running:
        make_account("spare", port=running.port, is_default=False, stands_in=True)
        ids = plan(8, now)
        at = now
        for _ in range(12):
            send(at)
            sweep(at)
            at += 20 * SECOND
        assert Account.objects.get(key="mail").errors >= 5
        assert len(running.recipients()) == len(set(running.recipients())) == 8
    assert Delivery.objects.filter(pk__in=ids, state="accepted").count() == 8
    assert set(Attempt.objects.values_list("account__key", flat=True)) == {"spare"}


def test_a_spare_account_without_the_flag_stays_out(now: datetime, sink: Witness) -> None:
    make_account(port=free_port(), errors=9, open_until=now + DAY)
    make_account("spare", port=sink.port, is_default=False)
    plan(3, now)
    assert send(now) == {}
    assert sink.mails() == []


def test_what_may_have_been_handed_over_stays_with_its_account(now: datetime, sink: Witness) -> None:
    """A message whose first attempt has no answer is not sent again by whoever stands in; one that was refused for
    the moment is."""
    default = make_account(port=free_port(), errors=9, open_until=now + DAY)
    make_account("spare", port=sink.port, is_default=False, stands_in=True)
    doubtful, put_off, fresh = plan(3, now)
    for pk, outcome in ((doubtful, "unknown"), (put_off, "transient")):
        Attempt.objects.create(
            delivery_id=pk, n=1, account=default, lease_token="0" * 32, started_at=now, outcome=outcome, answered_at=now
        )
        Delivery.objects.filter(pk=pk).update(attempts=1)
    assert send(now) == {"accepted": 2}
    assert set(Delivery.objects.filter(state="accepted").values_list("pk", flat=True)) == {put_off, fresh}
    assert Delivery.objects.get(pk=doubtful).state == "planned"


def test_who_stands_in_leaves_again_when_the_default_is_back(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port)
    make_account("spare", port=free_port(), is_default=False, stands_in=True)
    plan(3, now)
    assert send(now) == {"accepted": 3}
    assert set(Attempt.objects.values_list("account__key", flat=True)) == {"mail"}


def test_an_account_that_is_switched_off_is_stood_in_for(now: datetime, sink: Witness) -> None:
    make_account(port=free_port(), active=False)
    make_account("spare", port=sink.port, is_default=False, stands_in=True)
    plan(2, now)
    assert send(now) == {"accepted": 2}


@pytest.mark.parametrize("wrong", [{"a": 1}, "50", [0], [-1], [10, 5], [1.5], [True], [5, "x"], [10**9], None])
def test_a_warm_up_is_a_list_of_growing_numbers(wrong: Any) -> None:
    check_ramp([5, 5, 10])
    check_ramp([])
    with pytest.raises(ValidationError):
        check_ramp(wrong)
