"""Around a back-test: what may be asked, stopping, losing its process, silence, and what a sample makes of everybody."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connections

from campaigns.install import install_recipe
from campaigns.models import Journey, Rehearsal
from campaigns.rehearsal import quiet, run, scratch
from campaigns.rehearsal.history import call_of
from campaigns.rehearsal.sampling import total
from common.clock import database_now
from common.models import AuditEntry
from common.params import Invalid
from messaging.channels import Outcome, Outgoing, Sender, channels
from segments.ingest import ingest
from segments.models import Source
from tests.harness import wait_until
from tests.people import make_profile

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where stores lie: one place, so that the empty one is made once."""
    return tmp_path_factory.mktemp("rehearsals")


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, shelf: Path) -> None:
    settings.VAR = shelf


@pytest.fixture
def journey(transactional_db: None) -> Journey:
    return install_recipe("churn-winback", now=NOW - timedelta(days=60)).journey or Journey()


def test_what_is_asked_is_within_bounds_and_a_flow(journey: Journey) -> None:
    for wish in ({"days": 0}, {"days": 181}, {"people": 5}, {"people": 5001}, {"step_minutes": 5}):
        with pytest.raises(ValidationError):
            run.ask(journey, now=NOW, **wish)
    journey.draft = {"trigger": {}}
    with pytest.raises(Invalid):
        run.ask(journey, now=NOW)
    assert not Rehearsal.objects.exists()


def test_only_so_many_wait(journey: Journey) -> None:
    rows = [run.ask(journey, now=NOW) for _ in range(run.WAITING)]
    with pytest.raises(run.TooMany):
        run.ask(journey, now=NOW)
    assert run.cancel(rows[0], now=NOW)
    assert not run.cancel(rows[0], now=NOW)
    assert run.ask(journey, now=NOW).state == "queued"
    assert AuditEntry.objects.filter(action="journey.rehearsal_cancelled").count() == 1


def test_a_draft_that_cannot_be_published_fails_with_its_problems(journey: Journey) -> None:
    make_profile(email="a@example.com", now=NOW)
    journey.draft["nodes"]["remind"]["params"]["template"] = "nobody-wrote-it"
    row = run.ask(journey, now=NOW, days=1, people=10)
    for _ in range(3):
        run.work(NOW, seconds=60)
    row.refresh_from_db()
    assert row.state == "failed"
    assert "nodes.remind" in row.error
    assert "nobody-wrote-it" in row.error
    assert not scratch.store_of(row.pk).exists()


def test_one_is_worked_at_at_a_time_and_a_lost_one_is_taken_up(journey: Journey) -> None:
    lost, other = run.ask(journey, now=NOW, days=1, people=10), run.ask(journey, now=NOW, days=1, people=10)
    held = Rehearsal.objects.filter(pk=lost.pk)
    held.update(state="running", seen_at=database_now(), place="elsewhere")
    assert run.work(NOW) is None
    held.update(seen_at=database_now() - run.LOST - timedelta(seconds=1))
    taken = run.work(NOW, seconds=60)
    assert taken is not None
    assert taken.pk == lost.pk
    lost.refresh_from_db()
    other.refresh_from_db()
    assert (lost.state, other.state) == ("done", "queued")
    assert lost.result["people"] == {"sampled": 0, "population": 0}


def test_stopping_ends_the_process_within_seconds(journey: Journey) -> None:
    source = Source.objects.create(key="shop", name="Shop", kind=Source.Kind.HTTP)
    calls = [
        {"type": "track", "event": "Seen", "userId": f"u{n % 50}", "timestamp": (NOW - timedelta(hours=n)).isoformat()}
        for n in range(500)
    ]
    assert all(one.ok for one in ingest(calls, source=source, now=NOW))
    row = run.ask(journey, now=NOW, days=180, people=50, step_minutes=15)

    def worker() -> None:
        run.work(NOW, seconds=600)
        connections.close_all()

    thread = threading.Thread(target=worker)
    thread.start()
    wait_until(lambda: Rehearsal.objects.filter(pk=row.pk, phase="walk").exists(), seconds=120, what="it walks")
    assert run.cancel(row, now=NOW)
    thread.join(30)
    assert not thread.is_alive()
    row.refresh_from_db()
    assert (row.state, row.result) == ("cancelled", {})
    assert not list(scratch.folder().glob(f"{row.pk}.*"))


def test_the_process_of_a_rehearsal_has_no_network() -> None:
    """In a process of its own: closing cannot be undone."""
    script = (
        "import smtplib, socket, urllib.request\n"
        "from campaigns.rehearsal.quiet import Closed, close_network\n"
        "close_network()\n"
        "ways = [lambda: socket.create_connection(('127.0.0.1', 9)), lambda: smtplib.SMTP('127.0.0.1', 9),\n"
        "        lambda: socket.getaddrinfo('localhost', 80),\n"
        "        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))]\n"
        "for way in ways:\n"
        "    try:\n"
        "        way()\n"
        "    except Closed:\n"
        "        print('closed')\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["closed"] * 4


def test_every_channel_keeps_what_it_is_and_sends_nothing() -> None:
    message = Outgoing(ref="r", to="a@example.com", to_name="", parts={})
    seen = 0
    for key, channel in channels.items():
        still = quiet.silent(channel)
        assert isinstance(still, type(channel))
        assert (still.key, still.parts, still.group) == (key, channel.parts, channel.group)
        with still.connect(Sender(key, "smtp", "", "", {"host": "192.0.2.1"})) as taken:
            answers = list(taken.send([message, message]))
        assert [one.outcome for one in answers] == [Outcome.SENT, Outcome.SENT]
        seen += 1
    assert seen >= 10


@pytest.mark.django_db(transaction=True)
def test_the_installation_can_only_be_read(journey: Journey, tmp_path: Path) -> None:
    """From the process of a back-test, writing to the installation's database is refused by the database."""
    script = (
        "import django; django.setup()\n"
        "from django.db import DatabaseError\n"
        "from campaigns.models import Journey\n"
        "print(Journey.objects.using('live').count())\n"
        "try:\n    Journey.objects.using('live').update(name='x')\nexcept DatabaseError as error:\n    print('refused')\n"
    )
    row = run.ask(journey, now=NOW)
    environment = run.environment(row) | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "refused"]


def test_a_fact_is_told_as_it_was() -> None:
    """Times, names and properties; an order's amount comes back where its properties do not hold it."""
    at = datetime(2026, 2, 1, 9, 30, tzinfo=UTC)
    order = call_of((1, 7, "track", "Order Completed", at, 3, "order:5", 1250, {"order_id": "5"}, {"ip": "x"}))
    assert (order["userId"], order["event"], order["messageId"]) == ("rehearsal:7", "Order Completed", "3:order:5")
    assert order["timestamp"] == "2026-02-01T09:30:00+00:00"
    assert order["properties"] == {"order_id": "5", "total": "12.50", "currency": "USD"}
    known = call_of((2, 7, "identify", "identify", at, 3, "k", None, {"plan": "pro", "email": "a@example.com"}, {}))
    assert known["traits"] == {"plan": "pro"}
    group = call_of((3, 7, "group", "group", at, 3, "g", None, {"group_id": "acme", "size": 5}, {}))
    assert (group["groupId"], group["traits"]) == ("acme", {"size": 5})


def test_totals_from_a_sample() -> None:
    """By hand: N = 1,000, n = 4 with 3, 1, 0, 0: mean 1, s² = 2, error 1,000 √(0.996 · 2 / 4)."""
    found = total([3, 1], sampled=4, population=1000)
    assert (found.sample, found.estimate) == (4, 1000)
    assert found.high - found.estimate == pytest.approx(1.959964 * 1000 * (0.996 * 2 / 4) ** 0.5)
    assert found.low == 4  # what was counted is a bound that no error goes below
    whole = total([1, 1, 2], sampled=3, population=3)
    assert (whole.low, whole.estimate, whole.high) == (4, 4, 4)
    with pytest.raises(ValueError, match="within"):
        total([1], sampled=5, population=4)


def test_the_bounds_hold_nineteen_times_in_twenty(rng: Random) -> None:
    people = [rng.choices([0, 1, 2, 5], [6, 2, 1, 1])[0] for _ in range(2000)]
    truth, hits = sum(people), 0
    for _ in range(400):
        drawn = [n for n in rng.sample(people, 200) if n]
        found = total(drawn, sampled=200, population=2000)
        hits += found.low <= truth <= found.high
    assert 0.91 <= hits / 400 <= 0.985
    assert fmean(people) > 0
