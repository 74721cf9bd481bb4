"""What a mail server may answer, or not answer, and what becomes of the message (a real server, real sockets)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from common.clock import now as clock_now
from common.models import AuditEntry
from messaging.channels import _smtp
from messaging.gates import in_order
from messaging.models import Account, Address, Attempt, Delivery, Suppression
from messaging.outbox import ledger
from messaging.outbox import send as sending
from messaging.outbox.reads import balance, reasons
from messaging.outbox.resend import resend
from messaging.outbox.send import SendReport, send_due
from messaging.outbox.sweep import sweep
from messaging.render import Rendered, RenderError, RenderJob
from segments.facts import names
from segments.models import Event, Profile
from tests.harness import free_port
from tests.messages import (
    make_account,
    make_crowd,
    make_readers,
    make_topic,
    make_version,
    queue_to,
    render_one,
    render_plainly,
)
from tests.messaging.witness import Witness, witness

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


def send(now: datetime) -> SendReport:
    return send_due(worker="test", now_fn=lambda: now, render=render_plainly)


def to(prefix: str, now: datetime, *, count: int = 1, key: str = "welcome", **fields: Any) -> list[int]:
    """Queue a message to people whose address makes the server behave."""
    kinds = {name: fields.pop(name) for name in ("klass", "topic") if name in fields}
    people = make_readers(count, now=now, prefix=prefix)
    return queue_to(people, make_version(f"{key}-{prefix}", now=now, **kinds), now=now, prefix=prefix, **fields)


def state(pk: int) -> tuple[str, str]:
    row = Delivery.objects.get(pk=pk)
    return row.state, row.reason


def test_a_message_arrives_whole(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port, reply_to="help@example.com")
    pk = to("reader", now)[0]
    assert send(now).states == {"accepted": 1}
    mail, row = sink.mails()[0], Delivery.objects.get(pk=pk)
    assert mail["message_id"] == f"<{row.public_id}@example.com>"
    assert mail["headers"]["From"] == "Shop <shop@example.com>"
    assert mail["headers"]["Reply-To"] == "help@example.com"
    assert mail["headers"]["Date"] == "Mon, 02 Nov 2026 10:00:00 +0000"
    assert mail["from"] == "shop@example.com"
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.code, attempt.answered_at) == ("sent", "250", now)


def test_a_wrong_mailbox_is_rejected_once_and_suppressed(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port)
    pk = to("perm", now)[0]
    assert send(now).states == {"rejected": 1}
    assert state(pk) == ("rejected", "550 5.1.1")
    assert send(now + HOUR).claimed == 0
    assert Attempt.objects.count() == 1
    assert Address.objects.get().suppressed == "hard_bounce"
    assert Suppression.objects.get().reason == "hard_bounce"
    told = Event.objects.filter(name__in=[names.BOUNCED, names.MESSAGE_FAILED]).order_by("name")
    assert [event.name for event in told] == [names.BOUNCED, names.MESSAGE_FAILED]
    assert Account.objects.get().errors == 0, "a wrong address is no fault of the provider"


def test_later_means_later_until_the_age_is_spent(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port)
    pk = to("temp", now)[0]
    assert send(now).states == {"planned": 1}
    row = Delivery.objects.get(pk=pk)
    assert (row.state, row.reason, row.not_before, row.sent_at) == (
        "planned",
        "451 4.7.1",
        now + timedelta(minutes=1),
        None,
    )
    assert send(now).claimed == 0
    for hours in (1, 24, 47):
        Account.objects.update(errors=0, open_until=None)
        assert send(now + timedelta(hours=hours)).states == {"planned": 1}
        assert Delivery.objects.get(pk=pk).not_before > now + timedelta(hours=hours)
    Account.objects.update(errors=0, open_until=None)
    assert send(now + timedelta(hours=72)).states == {"undeliverable": 1}
    assert sink.mails() == []
    assert Event.objects.filter(name=names.MESSAGE_FAILED).count() == 1


def test_greylisted_mail_arrives_at_the_second_try_with_its_own_message_id(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port)
    pk = to("grey", now)[0]
    assert send(now).states == {"planned": 1}
    assert send(now + HOUR).states == {"accepted": 1}
    row = Delivery.objects.get(pk=pk)
    assert row.attempts == 2
    assert sink.mails()[0]["message_id"] == f"<{row.public_id}@example.com>"


@pytest.mark.parametrize("mode", ["drop", "late"])
def test_a_lost_answer_is_doubt_and_is_never_sent_again(now: datetime, sink: Witness, mode: str) -> None:
    make_account(port=sink.port, settings={"timeout": 1})
    pk = to(mode, now)[0]
    assert send(now).states == {"in_doubt": 1}
    assert state(pk)[1].startswith("DATA "), state(pk)
    for hours in (1, 24, 71):
        sweep(now + timedelta(hours=hours))
        assert send(now + timedelta(hours=hours)).claimed == 0
    assert len(sink.mails()) == 1, "it had been accepted"
    assert sweep(now + timedelta(hours=72)).unknown == 1
    assert balance().in_doubt == 1
    assert balance().adds_up
    assert send(now + timedelta(hours=100)).claimed == 0


def test_after_a_lost_connection_the_rest_of_the_group_has_not_begun(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port)
    version = make_version(now=now)
    for prefix, count in (("a", 1), ("drop", 1), ("b", 3)):
        queue_to(make_readers(count, now=now, prefix=prefix), version, now=now, prefix=prefix)
    report = send(now)
    assert report.states == {"accepted": 4, "in_doubt": 1, "planned": 3}, "three were planned again and then sent"
    outcomes = sorted(Attempt.objects.values_list("outcome", flat=True))
    assert outcomes == ["not_begun"] * 3 + ["sent"] * 4 + ["unknown"]
    assert sorted(set(sink.recipients())) == sink.recipients()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("datatemp", ("planned", "DATA 451 4.3.0")),
        ("dataperm", ("rejected", "DATA 554 5.6.0")),
        ("busy", ("planned", "421 4.3.2")),
    ],
)
def test_refusals_after_the_envelope(now: datetime, sink: Witness, mode: str, expected: tuple[str, str]) -> None:
    make_account(port=sink.port)
    pk = to(mode, now)[0]
    send(now)
    assert state(pk) == expected
    assert Address.objects.get().suppressed == "", "only RCPT speaks about the address"


def test_transactional_mail_in_doubt_is_sent_once_more_where_the_account_allows(now: datetime, sink: Witness) -> None:
    account = make_account(port=sink.port)
    make_topic("service")
    pk = to("drop", now, klass="transactional", topic="service")[0]
    send(now)
    assert state(pk)[0] == "in_doubt"
    assert sweep(now + HOUR).resent == 0
    Account.objects.filter(pk=account.pk).update(resend_transactional=True)
    assert sweep(now + timedelta(minutes=14)).resent == 0
    assert sweep(now + timedelta(minutes=15)).resent == 1
    send(now + HOUR)
    assert state(pk)[0] == "in_doubt"
    assert sweep(now + timedelta(hours=20)).resent == 0, "once"
    assert len(sink.mails()) == 2


@pytest.mark.parametrize("days", [0, 4])
def test_a_person_may_send_again_what_is_in_doubt(now: datetime, sink: Witness, days: int) -> None:
    """The same row under the same key, with its first attempt kept, and never by itself."""
    make_account(port=sink.port)
    (pk,) = to("drop", now)
    send(now)
    later = now + timedelta(days=days, minutes=1)
    sweep(later)
    assert state(pk)[0] == ("unknown" if days else "in_doubt")
    key = Delivery.objects.get(pk=pk).dedupe_key
    assert resend(pk, now=later, by=None, why="the provider's log does not show it")
    row = Delivery.objects.get(pk=pk)
    assert (row.state, row.reason, row.dedupe_key, row.attempts) == ("planned", "by_hand_again", key, 1)
    assert not resend(pk, now=later, by=None, why="twice")
    assert send(later).states == {"in_doubt": 1}, "this server never answers"
    assert list(Attempt.objects.order_by("n").values_list("n", "outcome")) == [(1, "unknown"), (2, "unknown")]
    assert [mail["message_id"] for mail in sink.mails()] == [f"<{row.public_id}@example.com>"] * 2
    assert Delivery.objects.count() == 1
    entry = AuditEntry.objects.get(action="delivery.resend")
    assert (entry.subject, entry.reason) == (f"delivery:{row.public_id}", "the provider's log does not show it")


@pytest.mark.parametrize("case", ["accepted", "planned", "answered", "expired"])
def test_nothing_is_sent_again_that_is_not_in_doubt(now: datetime, sink: Witness, case: str) -> None:
    make_account(port=sink.port)
    (pk,) = to("drop", now)
    send(now)
    row = Delivery.objects.filter(pk=pk)
    match case:
        case "answered":
            Attempt.objects.filter(delivery=pk).update(outcome="sent")
        case "expired":
            row.update(expires_at=now)
        case _:
            row.update(state=case)
    before = row.values().get()
    assert not resend(pk, now=now, by=None, why="no")
    assert row.values().get() == before
    assert not AuditEntry.objects.filter(action="delivery.resend").exists()


def test_no_connection_holds_everything_and_heals_by_itself(now: datetime, tmp_path: Path) -> None:
    port = free_port()
    make_account(port=port)
    ids = to("reader", now, count=30)
    at = now
    for _ in range(40):
        send(at)
        sweep(at)
        account = Account.objects.get()
        if account.errors >= 5:
            break
        at += timedelta(seconds=20)
    assert account.errors == 5, "opened after five refused connections"
    assert account.open_until is not None
    assert account.open_until > at
    assert reasons() == {("held", "breaker:mail"): 30}
    assert Attempt.objects.count() == 0, "no message had begun"
    assert send(at).claimed == 0
    with witness(tmp_path, port) as running:
        for _ in range(6):
            at += timedelta(minutes=1)
            sweep(at)
            send(at)
        _smtp.close_all()
        assert len(running.mails()) == len(set(running.recipients())) == len(ids)
    assert balance().sent == 30
    healed = Account.objects.get()
    assert (healed.errors, healed.open_until) == (0, None)


def test_errors_in_a_row_open_the_breaker_within_a_group(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port)
    to("datatemp", now, count=20)
    send(now)
    account = Account.objects.get()
    assert account.errors == 5, "the sixth was not tried"
    assert account.open_until == now + timedelta(seconds=30)
    assert Attempt.objects.filter(outcome="transient").count() == 5
    assert Attempt.objects.filter(outcome="not_begun").count() == 15


def test_a_half_open_account_is_probed_with_one_message(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port, errors=5, open_until=now)
    to("datatemp", now, count=20)
    report = send(now)
    assert report.claimed == 1
    account = Account.objects.get()
    assert account.errors == 6
    assert account.open_until == now + timedelta(seconds=60)


def test_the_rate_is_kept_over_claims(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port, rate=2.0, burst=10)
    to("reader", now, count=40)
    assert send(now).states == {"accepted": 10}, "the bucket was full"
    assert send(now).claimed == 0
    assert send(now + timedelta(seconds=5)).states == {"accepted": 10}
    assert send(now + timedelta(seconds=6)).states == {"accepted": 2}


def test_a_slow_server_gets_smaller_groups_and_nothing_stale_begins(
    now: datetime, sink: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_speeds", {})
    make_account(port=sink.port)
    to("slow", now, count=20)
    report = send(now)
    assert report.states["accepted"] >= 10
    groups = Attempt.objects.values("started_at").distinct().count()
    assert groups >= 3, "after the first one, only as many as begin within two seconds"
    assert Attempt.objects.filter(outcome="not_begun").exists()
    while balance().waiting:
        send(now)
    assert len(sink.mails()) == len(set(sink.recipients())) == 20


def test_a_poisonous_page_fails_alone(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port)
    ids = to("reader", now, count=4)

    def render(jobs: Sequence[RenderJob]) -> list[Rendered | RenderError]:
        pages: list[Rendered | RenderError] = []
        for job in jobs:
            if job.delivery == ids[0]:
                pages.append(RenderError("no such variable"))
            elif job.delivery == ids[1]:
                pages.append(Rendered({"subject": "Hi", "text": "x"}, {"X-Delivery": "a\r\nBcc: all@example.com"}))
            elif job.delivery == ids[2]:
                pages.append(RenderError("busy", permanent=False))
            else:
                pages.append(render_one(job))
        return pages

    send_due(worker="test", now_fn=lambda: now, render=render)
    assert [state(pk) for pk in ids] == [
        ("render_failed", "no such variable"),
        ("render_failed", "line break in X-Delivery"),
        ("planned", "render:RenderError"),
        ("accepted", ""),
    ]
    assert sink.recipients() == ["reader-3@example.com"]


def test_statements_do_not_grow_with_messages(now: datetime, sink: Witness) -> None:
    make_account(port=sink.port)
    people = make_crowd(200, now=now)
    queue_to(people, make_version(now=now), now=now)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        report = send(now)
    assert report.states == {"accepted": 200}
    claims, groups = 2, 10
    work = [query["sql"] for query in seen if not query["sql"].startswith(("BEGIN", "COMMIT"))]
    limit = 14 * claims + 10 * groups
    if connection.vendor == "sqlite":
        limit += 4 * 200  # rows are written one by one inside the process
    assert len(work) <= limit, f"{len(work)} statements for {claims} claims and {groups} groups"


def test_two_messages_of_one_person_are_never_in_one_group(now: datetime, sink: Witness, settings: Any) -> None:
    settings.MESSAGE_GAPS = ""
    make_account(port=sink.port)
    person = make_readers(1, now=now)
    for number in range(3):
        queue_to(person, make_version(f"v{number}", now=now), now=now)
    assert send(now).states == {"accepted": 1, "held": 2}
    assert len(sink.mails()) == 1


def test_the_late_answer_of_a_lost_lease_is_proof(now: datetime) -> None:
    make_account()
    version = make_version(now=now)
    people = make_readers(3, now=now)
    ids = queue_to(people, version, now=now)
    account = Account.objects.get()
    token = "0" * 32
    for pk, outcome in zip(ids, ["sent", "permanent", "not_begun"], strict=True):
        Delivery.objects.filter(pk=pk).update(state="in_doubt", attempts=1, settled_at=now, reason="no answer")
        Attempt.objects.create(delivery_id=pk, n=1, account=account, lease_token=token, started_at=now, outcome=outcome)
    assert sweep(now).concluded == 3
    assert [state(pk)[0] for pk in ids] == ["accepted", "rejected", "planned"]


@pytest.mark.parametrize("first", ["sent", "permanent", "transient", "not_begun"])
def test_the_answer_of_an_earlier_attempt_is_no_proof(now: datetime, first: str) -> None:
    make_account()
    (pk,) = queue_to(make_readers(1, now=now), make_version(now=now), now=now)
    Delivery.objects.filter(pk=pk).update(state="in_doubt", attempts=2, settled_at=now, reason="no answer")
    token = "0" * 32
    for n, outcome in ((1, first), (2, "open")):
        Attempt.objects.create(
            delivery_id=pk, n=n, account=Account.objects.get(), lease_token=token, started_at=now, outcome=outcome
        )
    assert sweep(now).concluded == 0
    assert state(pk) == ("in_doubt", "no answer")
    Attempt.objects.filter(n=2).update(outcome="permanent")
    assert sweep(now).concluded == 1
    assert state(pk)[0] == "rejected"


def test_the_sweeper_returns_poisons_and_doubts(now: datetime) -> None:
    make_account()
    version = make_version(now=now)
    ids = queue_to(make_readers(3, now=now), version, now=now)
    old = datetime(2020, 1, 1, tzinfo=now.tzinfo)
    token = "0" * 32
    for pk, (was, claims) in zip(ids, [("claimed", 0), ("claimed", 5), ("attempting", 0)], strict=True):
        Delivery.objects.filter(pk=pk).update(state=was, claims=claims, lease_token=token, lease_until=old)
    assert sweep(now).moved == {"returned": 1, "poisoned": 1, "doubted": 1}
    assert [state(pk) for pk in ids] == [("planned", ""), ("poisoned", "claims"), ("in_doubt", "no answer")]
    assert Delivery.objects.get(pk=ids[0]).claims == 1
    assert sweep(now).moved == {}


def test_a_message_that_kills_its_workers_takes_nobody_along(now: datetime, sink: Witness) -> None:
    """Rows claimed twice without an attempt are claimed alone."""
    make_account(port=sink.port)
    to("reader", now, count=5)
    Delivery.objects.update(claims=2)
    claimed = []

    def render(jobs: Sequence[RenderJob]) -> list[Rendered | RenderError]:
        claimed.append(len(jobs))
        return render_plainly(jobs)

    send_due(worker="test", now_fn=lambda: now, render=render)
    assert claimed == [1] * 5


def test_a_slow_renderer_keeps_the_lease(now: datetime, sink: Witness, settings: Any) -> None:
    settings.OUTBOX_LEASE_SECONDS = 1
    make_account(port=sink.port, rate=1000, burst=1000)
    queue_to(make_crowd(300, now=now), make_version(now=now), now=now)

    def render(jobs: Sequence[RenderJob]) -> list[Rendered | RenderError]:
        time.sleep(0.5)
        return render_plainly(jobs)

    report = send_due(worker="test", now_fn=lambda: now, render=render)
    assert (report.claimed, report.states) == (300, {"accepted": 300})
    assert len(sink.mails()) == 300


def test_a_claim_whose_time_is_up_still_sends_a_group(now: datetime, sink: Witness) -> None:
    """Preparing may take longer than the time that is given; a claim in vain would be prepared for ever."""
    make_account(port=sink.port)
    queue_to(make_crowd(60, now=now), make_version(now=now), now=now)

    def render(jobs: Sequence[RenderJob]) -> list[Rendered | RenderError]:
        time.sleep(0.6)
        return render_plainly(jobs)

    report = send_due(worker="test", now_fn=lambda: now, render=render, seconds=0.5)
    assert 1 <= report.states["accepted"] <= 20
    assert report.states["accepted"] + report.states["planned"] == report.claimed


@pytest.mark.postgres
def test_the_gates_ask_through_the_address_even_without_statistics(now: datetime) -> None:
    columns = {name: made for gate in in_order() for name, made in gate.columns(now).items()}
    plan = Delivery.objects.filter(pk__in=[1, 2, 3]).annotate(**columns).explain()
    assert "messaging_delivery_address" in plan
    assert "delivery_journey" not in plan, "that is every message of the journey"


def test_who_lost_the_lease_marks_and_moves_nothing(now: datetime) -> None:
    account = make_account()
    ids = queue_to(make_readers(2, now=now), make_version(now=now), now=now)
    ours, theirs = uuid.uuid4(), uuid.uuid4()
    Delivery.objects.filter(pk=ids[0]).update(state="claimed", lease_token=theirs, lease_until=clock_now() + HOUR)
    Delivery.objects.filter(pk=ids[1]).update(state="claimed", lease_token=ours, lease_until=clock_now() - HOUR)
    assert ledger.mark(ids, token=ours, account=account.pk, now=now) == {}
    assert ledger.change([ledger.Change(ids[0], "skipped", "x")], was="claimed", token=ours) == set()
    assert Attempt.objects.count() == 0
    assert [state(pk)[0] for pk in ids] == ["claimed", "claimed"]


@pytest.mark.parametrize("kinds", [1, 3, 9])
def test_many_kinds_of_change_are_written_at_once(now: datetime, kinds: int) -> None:
    make_account()
    ids = queue_to(make_readers(18, now=now), make_version(now=now), now=now)
    token = uuid.uuid4()
    Delivery.objects.update(state="claimed", lease_token=token, lease_until=clock_now() + HOUR, sent_at=now)
    changes = [
        ledger.Change(
            pk, "held", f"r{at % kinds}", not_before=now + HOUR * (at % kinds), unsent=at % kinds == 0, claims=1
        )
        for at, pk in enumerate(ids)
    ]
    assert ledger.change(changes, was="claimed", token=token) == set(ids)
    for at, row in enumerate(Delivery.objects.order_by("pk")):
        assert (row.state, row.reason, row.claims, row.lease_token) == ("held", f"r{at % kinds}", 1, None)
        assert row.not_before == now + HOUR * (at % kinds)
        assert row.sent_at == (None if at % kinds == 0 else now)


def test_every_move_is_in_the_table() -> None:
    """Whatever the outbox writes, the ledger's table of moves allows."""
    moves = Delivery.MOVES
    assert {"accepted", "rejected", "in_doubt", "planned", "undeliverable"} == set(moves["attempting"])
    assert {"accepted", "rejected", "planned", "unknown"} == set(moves["in_doubt"])
    assert {"accepted", "rejected", "planned"} == set(moves["unknown"])
    assert "attempting" not in moves["in_doubt"]
    assert all(not moves[done] for done in ("accepted", "rejected", "undeliverable", "skipped", "poisoned"))


def test_waiting_for_nothing_takes_no_time(now: datetime) -> None:
    make_account()
    began = time.monotonic()
    assert send(now).claimed == 0
    assert time.monotonic() - began < 1
    assert Profile.objects.count() == 0
