"""The whole way of a message: queued, claimed, judged, marked, sent, settled."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.core import mail

from messaging.models import Attempt, Delivery
from messaging.outbox.queue import KeyReused, NewDelivery, queue_deliveries
from messaging.outbox.reads import balance
from messaging.outbox.send import SendReport, send_due
from messaging.permission import address_for, withdraw
from tests.messages import make_account, make_readers, make_version, queue_to, render_plainly

pytestmark = pytest.mark.django_db(transaction=True)
LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}


def send(now: datetime) -> SendReport:
    return send_due(worker="test", now_fn=lambda: now, render=render_plainly)


def test_thirty_messages_are_sent_once(now: datetime) -> None:
    make_account(transport="backend", settings=LOCMEM)
    people = make_readers(30, now=now)
    queue_to(people, make_version(now=now), now=now)
    assert send(now).states == {"accepted": 30}
    assert sorted(message.to[0].split("<")[-1].rstrip(">") for message in mail.outbox) == sorted(
        person.email for person in people
    )
    assert send(now).claimed == 0
    assert len(mail.outbox) == 30
    row = Delivery.objects.first()
    assert row is not None
    assert (row.state, row.attempts, row.sent_at, row.settled_at, row.lease_token) == ("accepted", 1, now, now, None)
    assert Attempt.objects.filter(outcome="sent", n=1).count() == 30
    assert balance().sent == 30
    assert balance().adds_up


def test_the_inbox_and_the_console_need_no_account(now: datetime, capsys: pytest.CaptureFixture[str]) -> None:
    people = make_readers(3, now=now)
    queue_to(people, make_version("note", channel="inbox", now=now), now=now)
    queue_to(people, make_version("line", channel="console", now=now), now=now)
    assert send(now).states == {"accepted": 6}
    assert capsys.readouterr().out.count("console ") == 3


def test_a_withdrawal_stops_what_is_queued(now: datetime) -> None:
    make_account(transport="backend", settings=LOCMEM)
    people = make_readers(2, now=now)
    queue_to(people, make_version(now=now), now=now)
    address = address_for(people[0], "email", now)
    assert address is not None
    withdraw(address, now=now, source="test")
    assert send(now).states == {"skipped": 1, "accepted": 1}
    assert [message.to for message in mail.outbox] == [[f'"N1" <{people[1].email}>']]


def test_a_key_is_queued_once(now: datetime) -> None:
    person, version = make_readers(1, now=now)[0], make_version(now=now)
    item = NewDelivery("j:1", person.pk, version.pk, now)
    first = queue_deliveries([item, item], now=now)
    assert first[0] is not None
    assert first[1] is None
    assert queue_deliveries([item], now=now + timedelta(hours=1)) == [None]
    with pytest.raises(KeyReused):
        queue_deliveries([NewDelivery("j:1", person.pk, version.pk, now, node="other")], now=now)
    assert Delivery.objects.count() == 1


def test_a_ghost_is_judged_recorded_and_not_sent(now: datetime) -> None:
    make_account(transport="backend", settings=LOCMEM)
    people = make_readers(1, now=now)
    queue_to(people, make_version(now=now), now=now, ghost=True)
    assert send(now).states == {"skipped": 1}
    row = Delivery.objects.get()
    assert (row.reason, row.ghost, row.sent_at, row.attempts) == ("holdout", True, now, 0)
    assert mail.outbox == []
    queue_to(people, make_version("second", now=now), now=now)
    assert send(now + timedelta(hours=1)).states == {"held": 1}, "a ghost counts in the caps"
