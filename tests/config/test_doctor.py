"""Findings: each is red or amber when it should be, says how to mend it, and is silent when all is well."""

from __future__ import annotations

import json
import socket
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection, connections
from django.test import Client

from common import clock
from common.models import Heartbeat, Instance, Parked, Tick
from config.beat import enabled_intervals
from config.celery import app
from config.doctor import examine, holders, space
from config.instance import adopt, ensure_instance, fence, stranger
from messaging.models import Account, Pause, Quarantine
from segments.models import Segment

pytestmark = pytest.mark.django_db


def red() -> dict[str, str]:
    return {one.id: one.text for one in examine() if one.level == "red"}


def found(id_: str) -> list[tuple[str, str]]:
    return [(one.level, one.text) for one in examine() if one.id == id_]


def at_work(at: datetime) -> None:
    """An installation that runs: one worker, one beat, every slot just run, one sender."""
    for role in ("worker", "beat"):
        Heartbeat.objects.create(process=f"{role}@here:1", role=role, at=at)
    for name in enabled_intervals():
        Tick.objects.create(schedule=name, slot=at, started_at=at, finished_at=at)
    Account.objects.create(key="a", name="A", channel="email", is_default=True)


def test_a_fresh_installation_says_what_is_missing() -> None:
    assert set(red()) == {"P006", "P007", "P008"}
    assert found("P012") == [("amber", "no account is active: nothing can be sent")]


def test_one_at_work_is_healthy(client: Client, settings: Any) -> None:
    settings.SECRET_KEY, settings.SUPPRESSION_KEY = "x" * 50, "y" * 50
    at_work(clock.database_now())
    assert examine() == []
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"healthy": True, "red": [], "findings": []})
    assert client.get("/readyz").json() == {"ready": True}


def test_a_silent_worker_and_standing_slots_are_red(client: Client) -> None:
    at_work(clock.database_now())
    long_ago = clock.database_now() - timedelta(seconds=50)
    Heartbeat.objects.filter(role="worker").update(at=long_ago)
    Tick.objects.filter(schedule="perennial:send").update(started_at=long_ago)
    assert set(red()) == {"P006", "P008"}
    assert "perennial:send 50 s ago" in red()["P008"]
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()["red"]) == (503, ["P006", "P008"])


def test_a_switched_off_line_is_not_missed() -> None:
    from django_celery_beat.models import PeriodicTask

    at_work(clock.database_now())
    Tick.objects.filter(schedule="perennial:send").delete()
    assert "P008" in red()
    PeriodicTask.objects.filter(name="perennial:send").update(enabled=False)
    assert red() == {}


def test_an_overdue_message_is_red() -> None:
    from tests.messages import make_readers, make_version, queue_to

    at = clock.database_now()
    at_work(at)
    version = make_version(now=at)
    first, second = make_readers(2, now=at)
    queue_to([first], version, now=at - timedelta(minutes=4))
    assert found("P009") == []
    queue_to([second], version, now=at - timedelta(minutes=7, seconds=1))
    assert found("P009") == [("red", "the oldest due message has waited 7 min")]


def test_doubt_parked_work_and_stale_segments_are_amber() -> None:
    at = clock.database_now()
    Parked.objects.create(at=at, reader="react", subject="fact:1", reason="ValueError")
    Segment.objects.create(key="vip", name="VIP", refreshed_at=at, last_error="no such trait")
    Segment.objects.create(key="old", name="Old", refreshed_at=at - timedelta(minutes=16))
    Segment.objects.create(key="off", name="Off", state="archived")
    assert found("P015") == [("amber", "1 items are parked")]
    assert sorted(found("P013")) == [("amber", "segment old is out of date"), ("amber", "vip: no such trait")]


def test_a_source_in_quarantine_is_red_until_decided() -> None:
    at = clock.database_now()
    one = Quarantine.objects.create(provider="mail", kind="hard", words=60, messages=100, opened_at=at)
    text = "mail reports far more harm than was sent over it: decide whether its words are true"
    assert found("P019") == [("red", text)]
    Quarantine.objects.filter(pk=one.pk).update(state="dropped")
    assert found("P019") == []


def test_default_keys_are_red_in_public_only(settings: Any) -> None:
    assert [level for level, _ in found("P011")] == ["amber", "amber"]
    settings.PUBLIC_URL = "https://mail.example.com"
    assert [level for level, _ in found("P011")] == ["red", "red"]


def test_an_account_that_is_held_is_named() -> None:
    at_work(clock.database_now())
    Account.objects.update(open_until=clock.database_now() + timedelta(minutes=1), errors=5)
    assert found("P012") == [("amber", "account a is held after 5 errors in a row")]


def test_a_skewed_clock_is_amber(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = clock.now() + timedelta(minutes=10)
    monkeypatch.setattr(clock, "database_now", lambda: ahead)
    assert found("P004")[0][0] == "amber"


def test_little_space_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "FREE_BYTES", 2**62)
    assert "P017" in red()


def test_a_broker_that_does_not_answer_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        url = f"redis://127.0.0.1:{taken.getsockname()[1]}/0"
        monkeypatch.setattr(app.conf, "broker_url", url)
        monkeypatch.setenv("CELERY_BROKER_URL", url)  # which Celery reads before its own settings
        (text,) = [one.text for one in examine(slow=True) if one.id == "P005"]
    assert text.startswith("the broker does not answer: ")


def test_commits_that_do_not_last_are_red() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
        assert "P003" in red()
    else:
        assert found("P003") == []


def test_a_database_that_does_not_answer_is_the_only_finding(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> datetime:
        raise OperationalError("connection refused")

    monkeypatch.setattr(clock, "database_now", refuse)
    assert [(one.id, one.level) for one in examine(slow=True)] == [("P001", "red")]
    assert client.get("/healthz").status_code == 503


def test_the_command_ends_with_one_when_something_is_red(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", json=True)
    assert ended.value.code == 1
    assert "P006" in {one["id"] for one in json.loads(capsys.readouterr().out)}


def test_the_command_is_content_when_all_is_well(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    settings.SECRET_KEY, settings.SUPPRESSION_KEY = "x" * 50, "y" * 50
    at_work(clock.database_now())
    call_command("doctor")
    assert capsys.readouterr().out.strip() == "All is well."


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_whoever_holds_a_transaction_open_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "HOLDER", timedelta(seconds=0))
    other = connections["default"].copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT pg_current_xact_id(), pg_backend_pid()")
            mine = f"process {cursor.fetchone()[1]} ("
            (held,) = [text for _, text in found("P010") if text.startswith(mine)]
            assert "has held a transaction open" in held
            cursor.execute("ROLLBACK")
        assert not [text for _, text in found("P010") if text.startswith(mine)]
    finally:
        other.close()


def test_a_copied_database_starts_paused_until_adopted(settings: Any, now: datetime) -> None:
    settings.INSTANCE = "production"
    Instance.objects.all().delete()
    assert ensure_instance().stamp == "production"
    assert not fence(now=now)
    settings.INSTANCE = "staging"
    assert stranger() == "production"
    assert fence(now=now)
    assert fence(now=now)
    pause = Pause.objects.get()
    assert (pause.scope, pause.ended_at, pause.reason) == ("all", None, "database of another installation: production")
    assert "P016" in red()
    assert adopt(now=now, by="mei")
    assert not adopt(now=now, by="mei")
    pause.refresh_from_db()
    assert (pause.ended_at, pause.ended_by) == (now, "mei")
    assert (Instance.objects.get().stamp, Instance.objects.get().confirmed_at) == ("staging", now)
    assert stranger() == ""


def test_without_a_name_there_is_no_fence(settings: Any, now: datetime) -> None:
    settings.INSTANCE = ""
    assert ensure_instance().stamp
    assert not fence(now=now)
