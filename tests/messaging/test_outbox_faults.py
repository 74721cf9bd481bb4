"""Everything goes wrong at once: judged by the mail server's own record against the ledger."""

from __future__ import annotations

import json
import random
import sys
import time
import uuid
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from common.clock import now as clock_now
from messaging.models import Address, Attempt, Delivery, Receipt, Suppression
from messaging.outbox.books import count_day
from messaging.outbox.reads import balance
from messaging.permission import suppress, withdraw
from messaging.receipts._signature import sign
from segments.facts import names
from segments.models import Event
from tests import harness
from tests.harness import Cluster, Process, attached, wait_until
from tests.messages import make_crowd, make_readers, make_version, queue_to
from tests.messaging.invariants import check
from tests.messaging.mails import ONE_LINK, publish
from tests.messaging.own_postgres import own_postgres

FREE = {"MESSAGE_CAPS": "", "MESSAGE_GAPS": "", "QUIET_HOURS": ""}
SECRET = "whsec_bmV3IHNlY3JldA=="
# what becomes of each kind of mailbox (tests.sink): state, and the code of its first attempt
FATES = {
    "temp": ("planned", "451 4.7.1"),
    "perm": ("rejected", "550 5.1.1"),
    "datatemp": ("planned", "DATA 451 4.3.0"),
    "dataperm": ("rejected", "DATA 554 5.6.0"),
    "busy": ("planned", "421 4.3.2"),
    "drop": ("in_doubt", "DATA SMTPServerDisconnected"),
    "late": ("in_doubt", "DATA SMTPServerDisconnected"),  # as smtplib says it when time is up
}
EACH = 3


def start(cluster: Cluster, number: int, faults: str = "") -> Process:
    command = [sys.executable, "-m", "tests.messaging.worker", f"w{number}"]
    return cluster.start(f"sender{number}", command, environ={**FREE, "PERENNIAL_FAULTS": faults})


def account(cluster: Cluster) -> datetime:
    cluster.start_sink()
    settings = {"host": "127.0.0.1", "port": cluster.smtp_port, "timeout": 1, "receipt_secrets_env": "MAIL_RECEIPTS"}
    cluster.mail_account(settings=settings)
    return clock_now()


def settled() -> bool:
    """Nothing is due, on its way or held for the account's sake."""
    due = Delivery.objects.filter(state__in=["planned", "claimed", "attempting", "held"], not_before__lte=clock_now())
    return not due.exists()


def plan(now: datetime, rng: random.Random) -> dict[str, list[int]]:
    """Eighty ordinary mailboxes, a few of each kind of trouble amid them, and people who leave after queueing."""
    groups = {"reader": 80, "leaver": 15, "banned": 15} | dict.fromkeys(FATES, EACH)
    people = {prefix: make_crowd(count, now=now, prefix=prefix) for prefix, count in groups.items()}
    mixed = [(prefix, person) for prefix in groups if prefix not in FATES for person in people[prefix]]
    rng.shuffle(mixed)
    for number in reversed(range(EACH)):  # so far apart that no group of twenty holds all messages of one fate
        troubled = [(prefix, people[prefix][number]) for prefix in FATES]
        mixed[10 + 45 * number : 10 + 45 * number] = rng.sample(troubled, len(troubled))
    version = make_version(now=now)
    ids = [queue_to([person], version, now=now, prefix=f"k{place:03}")[0] for place, (_, person) in enumerate(mixed)]
    found: dict[str, list[int]] = {prefix: [] for prefix in groups}
    for (prefix, _), pk in zip(mixed, ids, strict=True):
        found[prefix].append(pk)
    return found


def addresses(prefix: str) -> list[Address]:
    return list(Address.objects.filter(value__startswith=f"{prefix}-").order_by("pk"))


@pytest.mark.timeout(280)
def test_every_answer_a_server_may_give_and_people_who_leave_meanwhile(cluster: Cluster, rng: random.Random) -> None:
    now = account(cluster)
    planned = plan(now, rng)
    for address in addresses("leaver"):
        withdraw(address, now=clock_now(), source="test")
    for address in addresses("banned"):
        suppress(address, "manual", clock_now())
    senders = [start(cluster, number) for number in range(2)]
    wait_until(lambda: recorded(cluster) > 5, seconds=90, every=0.05, what="sending has begun")
    senders[0].kill()
    senders[0] = start(cluster, 3)
    wait_until(lambda: sent_of(planned["reader"]) >= 60 and settled_or_restarted(cluster, senders), seconds=200, every=0.5,
               what="every reader has it or is in doubt")  # fmt: skip
    for sender in senders:
        sender.kill()
    wait_until(lambda: swept(), seconds=30, every=0.5, what="what the dead held is free")

    mails = cluster.mails()
    total = sum(map(len, planned.values()))
    check(mails, planned=total, doubt_at_most=3 * 20 + 2 * EACH)
    recipients = Counter(mail["to"][0].partition("-")[0] for mail in mails)
    assert recipients["leaver"] == recipients["banned"] == 0, "nobody who left before the first byte"
    assert set(Delivery.objects.filter(pk__in=planned["leaver"]).values_list("state", "reason")) == {
        ("skipped", "refused:offers")
    }
    assert set(Delivery.objects.filter(pk__in=planned["banned"]).values_list("state", flat=True)) == {"skipped"}
    for prefix, (state, code) in FATES.items():
        told(planned[prefix], state, code)
    books = count_day(now.date(), now=clock_now())
    assert (books.planned, books.alarms) == (total, 0)
    refused = Attempt.objects.filter(delivery__in=planned["perm"], code=FATES["perm"][1])
    assert set(refused.values_list("delivery__address__suppressed", flat=True)) == {"hard_bounce"}
    replay(cluster, rng, mails)


def settled_or_restarted(cluster: Cluster, senders: list[Process]) -> bool:
    """Whether nothing is due any more; senders that ended (nothing to do) are started again while something is."""
    if settled() and not Delivery.objects.filter(state="held", reason__startswith="breaker").exists():
        return True
    for number, sender in enumerate(senders):
        if not sender.alive():
            senders[number] = start(cluster, 10 + len(cluster.processes))
    return False


def swept() -> bool:
    from messaging.outbox.sweep import sweep

    sweep(clock_now())
    return not Delivery.objects.filter(state__in=["claimed", "attempting"]).exists()


def sent_of(ids: list[int]) -> int:
    return Delivery.objects.filter(pk__in=ids, state__in=["accepted", "in_doubt"]).count()


def recorded(cluster: Cluster) -> int:
    return cluster.sink_file.read_bytes().count(b"\n")


def told(ids: list[int], state: str, code: str) -> None:
    """Their fate was met. Each that was tried and answered met it; one that a killed sender had on the wire
    may be in doubt."""
    rows = Delivery.objects.filter(pk__in=ids).values_list("pk", "state")
    answered = dict(Attempt.objects.filter(delivery__in=ids, code=code).values_list("delivery_id", "n"))
    assert answered, f"nobody met '{code}'"
    assert all(found in (state, "in_doubt", "held") for pk, found in rows if pk in answered)


def replay(cluster: Cluster, rng: random.Random, mails: list[dict[str, Any]]) -> None:
    """Webhooks of thirty messages, each word three times under new ids, in any order: one fact each, and the worst
    word stays; a message in doubt is proven."""
    refs = sorted({mail["headers"]["X-Delivery"] for mail in mails if mail["to"][0].startswith("reader")})[:30]
    doubtful = [mail["headers"]["X-Delivery"] for mail in mails if mail["to"][0].startswith("drop")]
    events = [(ref, kind) for ref in refs for kind in ("delivered", "hard", "complained") for _ in range(3)]
    events += [(ref, "delivered") for ref in doubtful for _ in range(2)]
    rng.shuffle(events)
    client, at = Client(), clock_now()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAIL_RECEIPTS", SECRET)
        for ref, kind in events:
            body = json.dumps({"delivery": ref, "kind": kind, "at": at.isoformat()}).encode()
            identifier = f"msg_{uuid.UUID(int=rng.getrandbits(128)).hex}"
            signed = sign(SECRET, identifier=identifier, at=at, body=body)
            given = {
                "webhook-id": identifier,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": signed,
            }
            answer = client.post("/receipts/sink", body, content_type="application/json", headers=given)
            assert answer.status_code == 200
    assert Receipt.objects.count() == 3 * len(refs) + len(set(doubtful))
    assert Event.objects.filter(name=names.COMPLAINED).count() == len(refs)
    rows = Delivery.objects.filter(public_id__in=refs)
    assert set(rows.values_list("reached", flat=True)) == {Delivery.Reached.COMPLAINED}
    assert Suppression.objects.filter(reason="hard_bounce").count() >= len(refs)
    assert set(Delivery.objects.filter(public_id__in=doubtful).values_list("state", flat=True)) <= {"accepted"}


@pytest.mark.timeout(200)
def test_an_emptied_broker_costs_seconds_and_no_message(cluster: Cluster) -> None:
    """Whatever lies in the queue is thrown away again and again; the ledger is found by the next tick."""
    now = account(cluster)
    people = make_readers(60, now=now)
    queue_to(people, publish(ONE_LINK, now=now), now=now)
    cluster.environ.update(FREE)
    worker = cluster.start_worker(concurrency=1)
    cluster.start_beat()
    ends = time.monotonic() + 8
    while time.monotonic() < ends:
        empty_broker(cluster)
        time.sleep(0.3)
    wait_until(lambda: balance().waiting == 0, seconds=120, every=0.5, what="everything was sent")
    assert worker.alive()
    received = Counter(mail["to"][0] for mail in cluster.mails())
    assert len(received) == 60
    assert set(received.values()) == {1}
    assert balance().sent == 60


def empty_broker(cluster: Cluster) -> None:
    if cluster.broker_url.startswith("redis"):
        import redis

        redis.Redis.from_url(cluster.broker_url).flushdb()
        return
    for folder in (cluster.folder / "var").glob("**/queue*"):
        for file in folder.glob("*.msg") if folder.is_dir() else ():
            file.unlink(missing_ok=True)


@pytest.mark.postgres
@pytest.mark.timeout(280)
def test_a_database_that_crashes_three_times_loses_and_repeats_nothing(
    tmp_path: Path, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with own_postgres() as server, django_db_blocker.unblock():
        monkeypatch.setattr(harness, "SERVER", server.url)
        harness._migrate(server.url)
        where = urlsplit(server.url)
        cluster = Cluster(tmp_path, server.url, "filesystem://", {"PERENNIAL_OUTBOX_LEASE_SECONDS": "3"})
        fields = {"NAME": "postgres", "HOST": "127.0.0.1", "PORT": str(where.port), "USER": "postgres", "PASSWORD": ""}
        with attached(fields):
            try:
                crash_thrice(cluster, server)
                check(cluster.mails(), planned=400, doubt_at_most=3 * 2 * 20)
                assert balance().sent >= 400 - 120
            finally:
                cluster.stop()


def crash_thrice(cluster: Cluster, server: Any) -> None:
    from django.db import connections

    now = account(cluster)
    queue_to(make_crowd(400, now=now), make_version(now=now), now=now)
    for number in range(2):
        start(cluster, number)
    for moment in (60, 150, 260):
        wait_until(lambda at=moment: recorded(cluster) >= at, seconds=120, every=0.02, what=f"{moment} mails")  # type: ignore[misc]
        server.restart("immediate")
        connections["default"].close()
    wait_until(lambda: balance().waiting == 0, seconds=120, every=0.5, what="every message settled")
