"""What goes first: the class, the priority, the longest due; and nobody waits for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection

from common.clock import is_postgres
from messaging.models import Account, Delivery
from messaging.outbox.claim import claim_due
from messaging.outbox.queue import NewDelivery, queue_deliveries
from messaging.outbox.send import send_due
from segments.models import Profile
from tests.messages import make_account, make_readers, make_version, queue_to, render_plainly

pytestmark = pytest.mark.django_db(transaction=True)
LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}
SECOND = timedelta(seconds=1)


def plan(people: Sequence[Profile], klass: str, at: datetime, **fields: Any) -> list[int]:
    """One message of that class to each, due at `at`."""
    return queue_to(people, make_version(klass, klass=klass, now=at), now=at, prefix=f"{klass}{at}{fields}", **fields)


def claimed(account: Account, count: int, now: datetime) -> list[int]:
    """What one claim of `count` messages takes, in its order."""
    account.rate = count / 5  # a claim holds five seconds of an account's rate
    account.tokens_at, account.burst = None, count
    account.save()
    claim = claim_due(account, speed=1, now=now)
    return claim.ids if claim else []


def test_a_transactional_message_that_was_queued_last_is_sent_first(now: datetime) -> None:
    make_account(transport="backend", settings=LOCMEM)
    people = make_readers(30, now=now)
    plan(people[:28], "marketing", now - 60 * SECOND)
    plan(people[28:29], "lifecycle", now - SECOND)
    plan(people[29:], "transactional", now)
    report = send_due(worker="test", now_fn=lambda: now, render=render_plainly)
    assert report.states == {"accepted": 30}
    sent = [message.to[0].split("<")[-1].rstrip(">") for message in mail.outbox]
    assert sent[:2] == [people[29].email, people[28].email]
    assert sorted(sent[2:]) == sorted(person.email for person in people[:28])


def test_within_a_class_priority_decides_and_then_who_is_due_longest(now: datetime) -> None:
    account = make_account(transport="backend", settings=LOCMEM)
    people = make_readers(4, now=now, topic="")
    plain = plan(people[:2], "lifecycle", now)
    (older,) = plan(people[2:3], "lifecycle", now - SECOND)
    (urgent,) = plan(people[3:], "lifecycle", now, priority=5)
    assert claimed(account, 10, now) == [urgent, older, *plain]


def test_an_author_moves_a_message_within_its_class_only(now: datetime) -> None:
    people = make_readers(1, now=now, topic="")
    stored = {}
    for klass in ("transactional", "lifecycle", "marketing"):
        for asked in (-1000, -3, 0, 9, 1000):
            (pk,) = plan(people, klass, now, priority=asked)
            stored[klass, asked] = Delivery.objects.get(pk=pk).priority
    assert stored == {
        ("transactional", -1000): 191, ("transactional", -3): 197, ("transactional", 0): 200,
        ("transactional", 9): 209, ("transactional", 1000): 209,
        ("lifecycle", -1000): 91, ("lifecycle", -3): 97, ("lifecycle", 0): 100, ("lifecycle", 9): 109,
        ("lifecycle", 1000): 109,
        ("marketing", -1000): -9, ("marketing", -3): -3, ("marketing", 0): 0, ("marketing", 9): 9,
        ("marketing", 1000): 9,
    }  # fmt: skip


def test_a_tenth_of_each_claim_goes_to_who_waited_longest(now: datetime) -> None:
    account = make_account(transport="backend", settings=LOCMEM)
    people = make_readers(40, now=now, topic="")
    first = plan(people[:10], "transactional", now)
    newsletter = sorted(plan(people[10:20], "marketing", now - 60 * SECOND))
    reminder = sorted(plan(people[20:30], "lifecycle", now - 120 * SECOND))
    second = plan(people[30:], "transactional", now)
    flood = sorted(first + second)
    assert claimed(account, 10, now) == [*flood[:9], reminder[0]]
    assert claimed(account, 10, now) == [*flood[9:18], reminder[1]]
    assert claimed(account, 10, now) == [*flood[18:], *reminder[2:10]]
    assert claimed(account, 10, now) == newsletter
    assert claimed(account, 10, now) == []


def test_lower_classes_are_reached_however_much_of_the_higher_ones_comes(now: datetime) -> None:
    """Nine more transactional messages than one claim holds arrive before each claim."""
    account = make_account(transport="backend", settings=LOCMEM)
    people = make_readers(20, now=now, topic="")
    waiting = plan(people[:3], "marketing", now)
    served = []
    for minute in range(1, 7):
        at = now + minute * timedelta(minutes=1)
        plan(people, "transactional", at)
        served += [pk for pk in claimed(account, 10, at) if pk in waiting]
    assert served == waiting


@pytest.mark.parametrize("count", [1, 3])
def test_an_account_of_few_messages_gives_a_tenth_away_too(now: datetime, count: int) -> None:
    """A hundred claims at moments spread over the clock."""
    account = make_account(transport="backend", settings=LOCMEM)
    people = make_readers(1, now=now, topic="")
    version, low = make_version("t", klass="transactional", now=now), make_version("m", klass="marketing", now=now)
    for prefix, of, due in (("t", version, now), ("m", low, now - SECOND)):
        items = [NewDelivery(f"{prefix}{n}", people[0].pk, of.pk, due) for n in range(350)]
        queue_deliveries(items, now=due)
    given = 0
    for step in range(100):
        ids = claimed(account, count, now + step * timedelta(milliseconds=1))
        assert len(ids) == count
        given += Delivery.objects.filter(pk__in=ids, klass="marketing").count()
    assert given == 10 * count


def test_what_is_planned_for_later_is_not_walked_through(now: datetime) -> None:
    """A claim asks for each priority by name, so that its index yields only what is due."""
    account = make_account(transport="backend", settings=LOCMEM)
    people = make_readers(2, now=now, topic="")
    plan(people, "transactional", now + timedelta(days=1))
    (due,) = plan(people[:1], "marketing", now)
    assert claimed(account, 10, now) == [due]
    if is_postgres():
        with connection.cursor() as cursor:
            cursor.execute("SET enable_seqscan = off")
            cursor.execute(
                "EXPLAIN SELECT id FROM messaging_delivery WHERE state = 'planned' AND channel = 'email' AND priority = 0"
                " AND campaign = '' AND not_before <= now() ORDER BY not_before, id LIMIT 10"
            )
            told = "\n".join(row[0] for row in cursor.fetchall())
            cursor.execute("RESET enable_seqscan")
        assert "delivery_share" in told
        assert "Sort" not in told
        assert "Filter" not in told


def test_a_row_that_was_claimed_in_vain_is_claimed_alone_and_last(now: datetime) -> None:
    account = make_account(transport="backend", settings=LOCMEM)
    people = make_readers(3, now=now, topic="")
    (suspect,) = plan(people[:1], "transactional", now)
    Delivery.objects.filter(pk=suspect).update(claims=2)
    rest = plan(people[1:], "marketing", now)
    assert claimed(account, 10, now) == rest
    assert claimed(account, 10, now) == [suspect]


def campaigns_of(ids: list[int]) -> dict[str, int]:
    rows = Delivery.objects.filter(pk__in=ids).values_list("campaign", flat=True)
    return dict(sorted(Counter(rows).items()))


def test_campaigns_of_one_priority_share_a_claim(now: datetime) -> None:
    """A small campaign does not wait until a large one that was planned before it is through."""
    account = make_account(transport="backend", settings=LOCMEM)
    people = make_readers(30, now=now, topic="")
    plan(people, "marketing", now - 60 * SECOND, campaign="large")
    plan(people[:3], "marketing", now, campaign="small")
    plan(people[:9], "marketing", now, campaign="middle")
    assert campaigns_of(claimed(account, 12, now)) == {"large": 5, "middle": 4, "small": 3}
    assert campaigns_of(claimed(account, 12, now)) == {"large": 7, "middle": 5}
    assert campaigns_of(claimed(account, 40, now)) == {"large": 18}


def test_many_campaigns_take_turns(now: datetime) -> None:
    account = make_account(transport="backend", settings=LOCMEM)
    people = make_readers(3, now=now, topic="")
    for number in range(20):
        plan(people, "marketing", now - 60 * SECOND, campaign=f"c{number:02}")
    served: set[str] = set()
    for second in range(20):
        ids = claimed(account, 8, now + second * SECOND)
        if ids:
            assert len(campaigns_of(ids)) >= min(8, len(ids) // 3)
        served |= campaigns_of(ids).keys()
    assert len(served) == 20


def test_a_class_goes_before_the_campaigns_of_a_lower_one(now: datetime) -> None:
    account = make_account(transport="backend", settings=LOCMEM)
    people = make_readers(10, now=now, topic="")
    plan(people, "marketing", now - SECOND, campaign="large")
    plan(people, "lifecycle", now, campaign="a")
    plan(people[:2], "lifecycle", now, campaign="b")
    assert campaigns_of(claimed(account, 10, now)) == {"a": 7, "b": 2, "large": 1}


def test_the_migration_ranks_what_waits_already_and_may_run_again(now: datetime) -> None:
    people = make_readers(1, now=now, topic="")
    stored = {klass: plan(people, klass, now)[0] for klass in ("transactional", "lifecycle", "marketing")}
    (sent,) = plan(people, "transactional", now - SECOND)
    Delivery.objects.update(priority=0)
    Delivery.objects.filter(pk=stored["lifecycle"]).update(state="held")
    Delivery.objects.filter(pk=sent).update(state="accepted")
    migration = import_module("messaging.migrations.0004_delivery_next")
    for _ in range(2):
        migration.rank(apps, connection.schema_editor())
        assert dict(Delivery.objects.values_list("pk", "priority")) == {
            stored["transactional"]: 200, stored["lifecycle"]: 100, stored["marketing"]: 0, sent: 0,
        }  # fmt: skip
