"""Acting on many messages: counted first, confirmed, with who and why; and how the outbox looks."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from common.models import AuditEntry
from messaging.models import Attempt, Delivery
from messaging.outbox import bulk
from messaging.outbox.send import send_due
from messaging.outbox.watch import look
from tests.messages import make_account, make_readers, make_version, queue_to, render_plainly

pytestmark = pytest.mark.django_db(transaction=True)
LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def waiting(now: datetime) -> dict[str, list[int]]:
    people = make_readers(6, now=now, topic="")
    version = make_version(klass="lifecycle", now=now)
    spring = queue_to(people[:4], version, now=now - 9 * MINUTE, prefix="a", campaign="spring")
    autumn = queue_to(people[4:], version, now=now, prefix="b", campaign="autumn", not_before=now + MINUTE)
    return {"spring": spring, "autumn": autumn}


def states() -> dict[int, str]:
    return dict(Delivery.objects.values_list("pk", "state"))


def test_a_campaign_is_cancelled_by_name_and_with_a_reason(now: datetime, waiting: dict[str, list[int]]) -> None:
    assert bulk.concerned("cancel", now=now, campaign="spring").count() == 4
    assert bulk.act("cancel", confirmed=4, by=None, why="wrong price", now=now, campaign="spring") == 4
    assert {states()[pk] for pk in waiting["spring"]} == {"cancelled"}
    assert {states()[pk] for pk in waiting["autumn"]} == {"planned"}
    entry = AuditEntry.objects.get(action="outbox.cancel")
    assert (entry.reason, entry.detail) == ("wrong price", {"campaign": "spring", "confirmed": 4, "done": 4})


def test_much_more_than_was_confirmed_is_not_touched(now: datetime, waiting: dict[str, list[int]]) -> None:
    people = make_readers(30, now=now, topic="", prefix="more")
    queue_to(people, make_version("more", klass="lifecycle", now=now), now=now, campaign="spring")
    with pytest.raises(bulk.Grown) as error:
        bulk.act("cancel", confirmed=4, by=None, why="x", now=now, campaign="spring")
    assert (error.value.confirmed, error.value.found) == (4, 34)
    assert "cancelled" not in states().values()


def test_what_is_held_is_tried_now(now: datetime, waiting: dict[str, list[int]]) -> None:
    Delivery.objects.filter(pk__in=waiting["spring"]).update(state="held", reason="breaker:mail")
    assert bulk.act("retry", confirmed=4, by=None, why="mended", now=now, reason="breaker:mail") == 4
    row = Delivery.objects.get(pk=waiting["spring"][0])
    assert (row.state, row.reason, row.not_before) == ("planned", "", now)


def test_what_is_in_doubt_is_sent_once_more_each_by_a_decision(now: datetime, waiting: dict[str, list[int]]) -> None:
    account = make_account(transport="backend", settings=LOCMEM)
    doubtful, proven = waiting["spring"][:2]
    for pk, outcome in ((doubtful, "unknown"), (proven, "sent")):
        Attempt.objects.create(
            delivery_id=pk, n=1, account=account, lease_token="0" * 32, started_at=now, outcome=outcome
        )
        Delivery.objects.filter(pk=pk).update(state="in_doubt", attempts=1)
    assert bulk.act("resend", confirmed=1, by=None, why="provider lost them", now=now) == 1
    assert (states()[doubtful], states()[proven]) == ("planned", "in_doubt")
    assert AuditEntry.objects.filter(action="delivery.resend").count() == 1


def test_only_known_scopes_are_taken(now: datetime) -> None:
    with pytest.raises(ValueError, match="no such scope"):
        bulk.concerned("cancel", now=now, profile__email="x@example.com")


def test_how_the_outbox_looks(now: datetime, waiting: dict[str, list[int]], django_assert_num_queries: object) -> None:
    account = make_account(transport="backend", settings=LOCMEM, daily=100)
    Delivery.objects.filter(pk=waiting["spring"][0]).update(state="held", reason="quiet_hours")
    Delivery.objects.filter(pk=waiting["spring"][1]).update(state="in_doubt")
    with django_assert_num_queries(4):  # type: ignore[operator]
        box = look(now)
    assert (box.total.due, box.total.later, box.total.held, box.total.in_doubt) == (2, 2, 1, 1)
    assert box.lag == 9 * MINUTE
    assert [(one.key, one.waiting, one.in_doubt) for one in box.campaigns] == [("spring", 3, 1), ("autumn", 2, 0)]
    (lane,) = box.lanes
    assert (lane.account, lane.depth.due, lane.limit, lane.left) == (account, 2, 100, 100)
    assert box.reasons == [("held", "quiet_hours", 1)]
    assert send_due(worker="w", now_fn=lambda: now, render=render_plainly).states == {"accepted": 2}
    Attempt.objects.update(started_at=now - MINUTE)
    box = look(now)
    assert (box.total.due, box.a_minute, box.lanes[0].a_minute, box.lanes[0].left) == (0, 0.4, 0.4, 98)


def test_an_empty_outbox(now: datetime) -> None:
    box = look(now)
    assert (box.total.waiting, box.lag, box.campaigns, box.lanes) == (0, timedelta(0), [], [])
