"""manage.py run_once: a whole pass without broker, worker or beat."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import transaction

from campaigns.models import Campaign, Enrolment, Journey
from campaigns.publish import publish
from common import clock, ticks
from common.models import Tick
from config.beat import TIMETABLE, name_of, sync_timetable
from config.management.commands.run_once import FLOW, in_order
from messaging.models import Delivery
from segments.facts.append import append_facts
from segments.facts.fact import NewFact
from tests.messages import make_account
from tests.messaging.mails import publish as publish_template
from tests.people import make_profile, make_source
from tests.segments.refresh.settled import settle_log

pytestmark = pytest.mark.django_db(transaction=True)
LOCMEM = {"backend": "django.core.mail.backends.locmem.EmailBackend"}
GRAPH = {
    "trigger": {"type": "fact", "params": {"fact": "Signed Up"}},
    "start": "hello",
    "nodes": {
        "hello": {"type": "send", "params": {"template": "hello"}, "next": {"next": "done"}},
        "done": {"type": "exit", "params": {}},
    },
    "entry": {"reentry": "once"},
}


def run_once(*lines: str) -> list[str]:
    told = StringIO()
    call_command("run_once", *lines, stdout=told)
    return told.getvalue().splitlines()


@pytest.fixture(autouse=True)
def timetable() -> None:
    sync_timetable()


def test_the_order_has_every_line_once() -> None:
    assert set(FLOW) <= set(TIMETABLE)
    assert sorted(in_order()) == sorted(TIMETABLE)


def test_a_fact_becomes_a_message_in_one_pass() -> None:
    now = clock.now()
    make_account(transport="backend", settings=LOCMEM)
    publish_template(key="hello", klass="transactional", topic="", now=now)
    campaign = Campaign.objects.create(key="hi", name="Hi", utm_campaign="hi")
    journey = Journey.objects.create(key="welcome", name="Welcome", campaign=campaign, draft=GRAPH)
    publish(journey, now=now - timedelta(minutes=1))
    mei = make_profile(email="mei@example.com", now=now)
    fact = NewFact(mei.pk, mei.shard, "Signed Up", now, "1", make_source("shop").pk)
    with transaction.atomic():
        append_facts([fact], now=now)
    settle_log()
    told = run_once()
    assert [line.split(":")[0] for line in told] == in_order()
    assert Enrolment.objects.get().state == "completed"
    assert Delivery.objects.get().state == "accepted"
    assert [message.to for message in mail.outbox] == [["mei@example.com"]]
    assert all(tick.finished_at and not tick.error for tick in Tick.objects.all())
    assert {tick.schedule for tick in Tick.objects.all()} == {name_of(key) for key in TIMETABLE}


def test_a_line_that_is_off_or_has_run_is_left_alone() -> None:
    from django_celery_beat.models import PeriodicTask

    PeriodicTask.objects.filter(name=name_of("send")).update(enabled=False)
    assert ticks.claim(name_of("prune"), 3600) is not None
    assert run_once("send", "prune") == ["send: switched off", "prune: has run in this slot of 3600 s"]


def test_a_line_that_fails_keeps_no_other_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(now: Any) -> None:
        raise RuntimeError("no such table")

    monkeypatch.setattr("segments.scores.score_changed", broken)
    told = StringIO()
    with pytest.raises(RuntimeError, match="no such table"):
        call_command("run_once", "score", "prune", "sweep", stdout=told)
    assert [line.split(":")[0] for line in told.getvalue().splitlines()] == ["sweep", "prune"]
    assert Tick.objects.get(schedule=name_of("score")).error == "RuntimeError: no such table"


def test_an_unknown_line_is_told() -> None:
    with pytest.raises(CommandError, match="no such line: sendd"):
        run_once("sendd")
