"""The daily books: right ones are silent, and each way in which the ledger may be wrong is found and named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.doctor.books import books as look
from messaging.models import Attempt, Delivery, Reconciliation
from messaging.outbox.books import count_day, is_due, reconcile, standing
from messaging.outbox.send import send_due
from messaging.tasks import reconcile as task
from tests.messages import make_account, make_readers, make_version, queue_to, render_plainly

pytestmark = pytest.mark.django_db(transaction=True)
LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}
DAY = timedelta(days=1)


@pytest.fixture
def sent(now: datetime) -> list[int]:
    """Five messages of yesterday: four accepted, one skipped."""
    make_account(transport="backend", settings=LOCMEM)
    yesterday = now - DAY
    people = [*make_readers(4, now=yesterday), *make_readers(1, now=yesterday, prefix="no", topic="")]
    ids = queue_to(people, make_version(now=yesterday), now=yesterday)
    report = send_due(worker="test", now_fn=lambda: yesterday, render=render_plainly)
    assert report.states == {"accepted": 4, "skipped": 1}
    return ids


def again(pk: int, **fields: Any) -> None:
    row = Attempt.objects.get(delivery=pk, n=1)
    row.pk, row.n = None, 2
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


def test_right_books_are_kept_and_silent(now: datetime, sent: list[int]) -> None:
    rows = reconcile(now)
    assert len(rows) == 7
    row = rows[-1]
    assert row.day == (now - DAY).date()
    assert (row.planned, row.sent, row.skipped, row.failed, row.waiting, row.in_doubt) == (5, 4, 1, 0, 0, 0)
    assert (row.findings, row.alarms) == ([], 0)
    assert standing(now) == ([], row.day)
    assert reconcile(now) == [], "once a day"
    assert len(reconcile(now + DAY)) == 7


WRONGS: dict[str, Callable[[int], None]] = {
    "twice": lambda pk: again(pk) or (Delivery.objects.filter(pk=pk).update(attempts=2) and None),
    "unbooked": lambda pk: Delivery.objects.filter(pk=pk).update(state="cancelled") and None,
    "unproven": lambda pk: Attempt.objects.filter(delivery=pk).update(outcome="unknown") and None,
    "unmarked": lambda pk: Attempt.objects.filter(delivery=pk).delete() and None,
    "stuck": lambda pk: Delivery.objects.filter(pk=pk).update(
        state="attempting", lease_token="0" * 32, lease_until=datetime(2026, 11, 1, 10, tzinfo=UTC)
    ) and None,
}  # fmt: skip


@pytest.mark.parametrize("code", WRONGS)
def test_what_does_not_fit_is_found_and_named(code: str, now: datetime, sent: list[int]) -> None:
    WRONGS[code](sent[0])
    row = count_day((now - DAY).date(), now=now)
    found = {one["code"]: one for one in row.findings}
    assert code in found
    assert found[code]["count"] == 1
    assert found[code]["samples"] == [str(Delivery.objects.get(pk=sent[0]).public_id)]
    assert row.alarms >= 1
    assert standing(now)[0] == [row]
    assert [(one.id, one.level) for one in look(now)] == [("P018", "red")]


def test_a_row_that_is_gone_is_missed(now: datetime, sent: list[int]) -> None:
    day = (now - DAY).date()
    count_day(day, now=now)
    Delivery.objects.filter(pk=sent[1]).delete()
    row = count_day(day, now=now + DAY)
    assert [(one["code"], one["count"]) for one in row.findings] == [("vanished", 1)]


def test_what_never_left_may_be_pruned(now: datetime, sent: list[int], settings: Any) -> None:
    settings.OUTBOX_KEEP_DAYS = "3"
    day = (now - DAY).date()
    count_day(day, now=now)
    assert Delivery.objects.filter(state="skipped").delete()[0] == 1
    row = count_day(day, now=now + DAY)
    assert (row.planned, row.alarms) == (4, 0)


def test_an_accepted_message_may_be_proven_later(now: datetime, sent: list[int]) -> None:
    Attempt.objects.filter(delivery=sent[0]).update(outcome="unknown")
    Delivery.objects.filter(pk=sent[0]).update(reason="seen by its receiver")
    assert count_day((now - DAY).date(), now=now).alarms == 0


def test_what_waits_too_long_is_worth_a_look_and_no_alarm(now: datetime, sent: list[int]) -> None:
    Delivery.objects.filter(pk=sent[4]).update(state="planned", settled_at=None)
    row = count_day((now - DAY).date(), now=now)
    assert [one["code"] for one in row.findings] == ["overdue"]
    assert row.alarms == 0


def test_the_counting_itself_may_be_late(now: datetime, sent: list[int]) -> None:
    assert not is_due(None, now)
    assert is_due(None, now + 2 * DAY)
    reconcile(now + 2 * DAY)
    assert not is_due(standing(now + 2 * DAY)[1], now + 2 * DAY)


def test_the_tick_counts(sent: list[int]) -> None:
    task()
    assert Reconciliation.objects.count() == 7
