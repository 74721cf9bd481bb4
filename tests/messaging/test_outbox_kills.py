"""kill -9 at random moments: nobody has a message twice, nothing is lost, and doubt is named and bounded."""

from __future__ import annotations

import random
import sys
import time

import pytest
from django.db import connection

from common.clock import now as clock_now
from messaging.models import Delivery
from messaging.outbox.reads import Balance, balance
from tests.harness import Cluster, Process, wait_until
from tests.messages import make_crowd, make_version, queue_to
from tests.messaging.invariants import check

GROUP = 20
KILLS = 5
NO_CAPS = {"MESSAGE_CAPS": "", "MESSAGE_GAPS": "", "QUIET_HOURS": ""}


def start_sender(cluster: Cluster, number: int, faults: str = "") -> Process:
    command = [sys.executable, "-m", "tests.messaging.worker", f"w{number}"]
    return cluster.start(f"sender{number}", command, environ={**NO_CAPS, "PERENNIAL_FAULTS": faults})


def plan(cluster: Cluster, count: int, *, prefix: str = "reader", klass: str = "marketing") -> None:
    now = clock_now()
    cluster.start_sink()
    cluster.mail_account(settings={"host": "127.0.0.1", "port": cluster.smtp_port, "timeout": 3})
    queue_to(make_crowd(count, now=now, prefix=prefix), make_version(now=now, klass=klass), now=now)


def kill_and_drain(cluster: Cluster, count: int, rng: random.Random) -> Balance:
    """Kill a sender whenever the witness has seen a random number of mails, then let the others finish; every
    invariant is checked, and the balance of the ledger returned."""
    workers = 2 if connection.vendor == "postgresql" else 1
    plan(cluster, count)
    senders = [start_sender(cluster, number) for number in range(workers)]
    for moment in sorted(rng.sample(range(count * 9 // 10), KILLS)):
        wait_until(lambda at=moment: recorded(cluster) >= at, seconds=300, every=0.02, what=f"{moment} mails")
        time.sleep(rng.random() * 0.05)
        victim = rng.randrange(workers)
        senders[victim].kill()
        senders[victim] = start_sender(cluster, victim)
    wait_until(settled, seconds=300, every=0.5, what="every message settled")
    check(cluster.mails(), planned=count, doubt_at_most=KILLS * GROUP)
    return balance()


def recorded(cluster: Cluster) -> int:
    """How many mails the witness has, without reading them."""
    return cluster.sink_file.read_bytes().count(b"\n")


def settled() -> bool:
    return balance().waiting == 0


@pytest.mark.timeout(300)
def test_no_message_twice_and_none_lost_over_five_kills(cluster: Cluster, rng: random.Random) -> None:
    books = kill_and_drain(cluster, 600, rng)
    assert (books.planned, books.waiting, books.adds_up) == (600, 0, True)
    assert len({mail["to"][0] for mail in cluster.mails()}) == len(cluster.mails()) >= 600 - books.in_doubt


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_five_kills_during_five_thousand(cluster: Cluster, rng: random.Random) -> None:
    books = kill_and_drain(cluster, 5000, rng)
    assert (books.planned, books.waiting, books.adds_up) == (5000, 0, True)
    assert len({mail["to"][0] for mail in cluster.mails()}) == len(cluster.mails()) >= 5000 - books.in_doubt


@pytest.mark.parametrize(
    ("point", "doubtful"),
    [
        ("after_claim", 0),
        ("after_render", 0),
        ("after_gate_locks", 0),
        ("before_connect", 0),
        ("after_attempt_commit", GROUP),
        ("before_data", GROUP),
        ("mid_data", GROUP),
        ("after_reply", GROUP),
        ("before_settle_commit", GROUP),
        ("after_settle_commit", GROUP),
    ],
)
def test_a_kill_at_each_step_leaves_at_most_a_group_in_doubt(cluster: Cluster, point: str, doubtful: int) -> None:
    plan(cluster, 50)
    nth = 2 if doubtful else 1
    doomed = start_sender(cluster, 1, f"{point}:kill9:{nth}")
    wait_until(lambda: not doomed.alive(), seconds=40, what="the sender died")
    assert doomed.popen.returncode == -9
    start_sender(cluster, 2)
    wait_until(settled, seconds=40, every=0.3, what="every message settled")
    check(cluster.mails(), planned=50, doubt_at_most=doubtful)
    sent = balance().sent
    assert sent >= 50 - doubtful
    if point == "after_reply":
        in_doubt = Delivery.objects.filter(state="in_doubt")
        refs = {mail["headers"]["X-Delivery"] for mail in cluster.mails()}
        assert {str(row.public_id) for row in in_doubt} & refs, (
            "the doubtful may really have arrived, and are not re-sent"
        )
