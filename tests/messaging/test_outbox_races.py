"""Two at once: senders against an unsubscribe, against each other under a cap, and against a frozen one."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.clock import now as clock_now
from messaging.models import Address, Attempt, Delivery
from messaging.outbox.reads import balance, reasons
from messaging.permission import withdraw
from tests.harness import Cluster, Process, wait_until
from tests.messages import make_crowd, make_version, queue_to
from tests.messaging.invariants import check

QUIET = {"MESSAGE_GAPS": "", "QUIET_HOURS": ""}


def start(cluster: Cluster, number: int, *, faults: str = "", caps: str = "") -> Process:
    command = [sys.executable, "-m", "tests.messaging.worker", f"w{number}"]
    return cluster.start(
        f"sender{number}", command, environ={**QUIET, "MESSAGE_CAPS": caps, "PERENNIAL_FAULTS": faults}
    )


def open_account(cluster: Cluster, **fields: Any) -> datetime:
    cluster.start_sink()
    cluster.mail_account(settings={"host": "127.0.0.1", "port": cluster.smtp_port, "timeout": 3}, **fields)
    return clock_now()


def settled() -> bool:
    return not Delivery.objects.filter(state__in=["planned", "claimed", "attempting"]).exists()


@pytest.mark.timeout(240)
def test_after_an_unsubscribe_has_returned_no_marker_is_committed(cluster: Cluster, rng: random.Random) -> None:
    now = open_account(cluster)
    people = make_crowd(400, now=now)
    queue_to(people, make_version(now=now), now=now)
    senders = [start(cluster, number) for number in range(2)]
    wait_until(lambda: len(cluster.mails()) > 10, seconds=60, every=0.02, what="sending has begun")
    returned: dict[str, float] = {}
    for address in rng.sample(list(Address.objects.order_by("id")), 100):
        withdraw(address, now=clock_now(), source="test")
        returned[address.value] = time.time()
    wait_until(settled, seconds=120, every=0.5, what="every message settled")
    check(cluster.mails(), planned=400, doubt_at_most=0)
    late = [mail for mail in cluster.mails() if mail["at"] > returned.get(mail["to"][0], 1e12) + 2]
    assert not late, "begun more than two seconds after the unsubscribe"
    marks = Attempt.objects.filter(delivery__address__value__in=returned).values_list(
        "delivery__address__value", "started_at"
    )
    after = [(value, at) for value, at in marks if at > datetime.fromtimestamp(returned[value], UTC)]
    assert not after, "a marker was committed after the unsubscribe had returned"
    skipped = Delivery.objects.filter(state="skipped", reason="refused:offers").count()
    assert skipped > 0, "some were withdrawn in time"
    assert skipped + len(cluster.mails()) == 400
    assert all(sender.popen.wait(timeout=60) == 0 for sender in senders)


@pytest.mark.timeout(240)
def test_two_senders_never_pass_one_cap(cluster: Cluster) -> None:
    """Each claims one message of every person, in the same order, and both dawdle between the locks and the look."""
    now = open_account(cluster, rate=100, burst=200)  # a claim is a third of the lease: one of the two hundreds
    people = make_crowd(100, now=now)
    for number in range(2):
        queue_to(people, make_version(f"v{number}", now=now), now=now)
    for number in range(2):
        start(cluster, number, caps="email=1/day", faults="after_gate_locks:sleep:0:0.1")
    wait_until(settled, seconds=120, every=0.5, what="every message settled")
    received = Counter(mail["to"][0] for mail in cluster.mails())
    assert len(received) == 100
    assert max(received.values()) == 1
    assert reasons() == {("accepted", ""): 100, ("held", "cap:email:day"): 100}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", ["after_attempt_commit", "after_claim", "after_gate_locks"])
def test_a_frozen_sender_that_wakes_repeats_nothing(cluster: Cluster, point: str) -> None:
    """It sleeps past its lease; others conclude; then it goes on where it stood."""
    if point == "after_gate_locks" and cluster.database_url.startswith("sqlite"):
        point = "after_render"  # a frozen writer of SQLite would stop everybody, not only itself
    now = open_account(cluster)
    queue_to(make_crowd(60, now=now), make_version(now=now), now=now)
    frozen = start(cluster, 1, faults=f"{point}:stop:1")
    wait_until(lambda: is_stopped(frozen), seconds=60, what="the sender froze")
    other = start(cluster, 2)
    time.sleep(6)  # two leases
    frozen.signal(signal.SIGCONT)
    wait_until(settled, seconds=90, every=0.5, what="every message settled")
    wait_until(lambda: not frozen.alive() and not other.alive(), seconds=60, what="both are done")
    if point == "after_attempt_commit":
        stale = Attempt.objects.filter(n=1, outcome="not_begun").count()
        assert stale == 20, "a marker older than two seconds is not acted on"
    doubtful = Delivery.objects.filter(state="in_doubt").count()
    assert doubtful == 0, "its own attempts say that they had not begun"
    check(cluster.mails(), planned=60, doubt_at_most=0)
    assert balance().sent == 60


def is_stopped(process: Process) -> bool:
    with open(f"/proc/{process.pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


@pytest.mark.timeout(240)
def test_a_slow_claim_keeps_its_lease(cluster: Cluster) -> None:
    """Forty messages at 0.3 s each outlast a lease of 3 s; the claim is renewed, so nobody else counts it."""
    now = open_account(cluster)
    queue_to(make_crowd(40, now=now, prefix="slow"), make_version(now=now), now=now)
    for number in range(2):
        start(cluster, number)
    wait_until(settled, seconds=120, every=0.5, what="every message settled")
    check(cluster.mails(), planned=40, doubt_at_most=0)
    assert balance().sent == 40
    assert Delivery.objects.filter(claims__gt=0).count() == 0
    assert timedelta(0) < max(Attempt.objects.values_list("answered_at", flat=True)) - now  # type: ignore[type-var, operator]
